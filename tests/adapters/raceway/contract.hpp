// What a Raceway server takes, by reference/raceway-contract.md, written down a second time: as the server's
// own types read it, not as the adapter writes it.
#pragma once

#include <cstddef>
#include <string>

#include "server.hpp"

namespace codewake::testing {

/// What the server would answer to a body: 200, 400 (no JSON) or 422 (wrong types).
struct Taken {
  int status = 200;
  std::string problem = {};
  std::size_t events = 0;
};
Taken take_events(const std::string& body);

/// The server's own answer to events that it has all taken; also to 206, with `dropped` of them lost.
HttpReply ingested(std::size_t events, std::size_t dropped = 0);

/// The whole of it: path, content type, body.
HttpReply take_request(const HttpRequest& request);

}  // namespace codewake::testing
