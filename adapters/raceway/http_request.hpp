// One request to any server.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

#include "codewake/raceway.hpp"
#include "codewake/tracing.hpp"

namespace codewake::internal {

/// `value` under `name`, unless the name is there already, in whatever case.
void add_if_missing(HeaderMap& headers, std::string_view name, std::string_view value);

/// Of an answer.
struct HttpBounds {
  std::chrono::milliseconds timeout{0};  ///< of all of it; 0: none
  std::size_t most_bytes = 0;            ///< of the body
};

/// Sends it, and waits for the answer. Follows redirects to http and https, up to 30, as browsers do: after
/// 301 a POST, after 302 and 303 every method but HEAD goes on as a GET without a body, and without the
/// fields that describe one; headers whose values `masked` (config.hpp) takes for secrets, such as
/// Authorization, Cookie and X-API-Key, do not go to another host. A redirect from https to http is not
/// followed. Reentrant. Throws Error where no answer comes, where one is larger than `bounds`, or has more
/// than 256 KiB of headers, for a redirect from https to http, for methods and headers that cannot be sent as
/// they are, and in a setuid program that libcurl's variables of the user who started it would lead elsewhere
/// (curl_setup.hpp).
raceway::Response send_http_request(std::string_view method, const std::string& url, HeaderMap headers,
                                    std::string body, const HttpBounds& bounds);

}  // namespace codewake::internal
