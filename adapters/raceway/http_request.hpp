// One request to any server.
#pragma once

#include <string>
#include <string_view>

#include "codewake/raceway.hpp"

namespace codewake::internal {

/// Sends it, and waits for the answer; follows redirects of http and https. Reentrant. Throws Error where no
/// answer comes.
raceway::Response send_http_request(std::string_view method, const std::string& url, const HeaderMap& headers,
                                    const std::string& body, std::chrono::milliseconds timeout);

}  // namespace codewake::internal
