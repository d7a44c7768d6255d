// One request to any server.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "codewake/raceway.hpp"
#include "codewake/tracing.hpp"

namespace codewake::internal {

/// `value` under `name`, unless the name is there already, in whatever case.
void add_if_missing(HeaderMap& headers, std::string_view name, std::string_view value);

/// Sends it, and waits for the answer. Follows redirects to http and https, up to 30, as browsers do: after
/// 301 a POST, after 302 and 303 every method but HEAD goes on as a GET without a body, and without the
/// fields that describe one; Authorization, Proxy-Authorization and Cookie do not go to another host.
/// `timeout` is for all of it; 0: none. Reentrant. Throws Error where no answer comes, and for methods and
/// headers that cannot be sent as they are.
raceway::Response send_http_request(std::string_view method, const std::string& url, HeaderMap headers,
                                    std::string body, std::chrono::milliseconds timeout);

}  // namespace codewake::internal
