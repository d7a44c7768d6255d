// Tracing for servers and clients of cpp-httplib. Include httplib.h first; this header does not need it to be
// installed.
//
//     httplib::Server server;
//     codewake::trace_requests(server, tracer);
//     httplib::Client stock("http://localhost:3001");
//     auto answer = codewake::send(stock, {"POST", "/reserve"}, tracer);
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <utility>

#include "codewake/source_location.hpp"
#include "codewake/tracing.hpp"

namespace codewake {

/// Has each request handled in a context of its own, from its headers, and recorded with its response. An
/// exception that leaves a handler is recorded, too. The handlers that run before and after all others (pre-
/// and post-routing) are taken for that: give the program's own here. `tracer` must outlive the server. Call
/// it before the server listens.
template <class Server>
void trace_requests(Server& server, Tracer& tracer, typename Server::HandlerWithResponse before = {},
                    typename Server::Handler after = {}) {
  server.set_pre_routing_handler([&tracer, before = std::move(before)](const auto& request, auto& response) {
    tracer.begin_request(request.headers, request.method, request.path);
    return before ? before(request, response) : Server::HandlerResponse::Unhandled;
  });
  server.set_post_routing_handler([&tracer, after = std::move(after)](const auto& request, auto& response) {
    if (after) after(request, response);
    if (response.has_header("EXCEPTION_WHAT")) {
      tracer.track_error("exception", response.get_header_value("EXCEPTION_WHAT"));
    }
    for (const auto& [name, value] : tracer.end_request(response.status)) response.set_header(name, value);
  });
}

/// Sends the request as a part of the current trace, and waits for the answer: request and response are
/// recorded, and what was done there comes before what is done here from now on. Headers that the request has
/// already stay. Outside of a context it only sends. The result is that of `client.send`.
template <class Client, class Request>
auto send(Client& client, Request request, Tracer& tracer,
          const SourceLocation& location = SourceLocation::current()) {
  if (!tracer.has_context()) return client.send(request);
  tracer.track_http_request(request.method, request.path, {}, nullptr, location);
  for (const auto& [name, value] : tracer.propagation_headers()) {
    if (!request.has_header(name.c_str())) request.set_header(name.c_str(), value);
  }
  const auto began = std::chrono::steady_clock::now();
  auto result = client.send(request);
  const auto took = std::chrono::steady_clock::now() - began;
  if (result) {
    tracer.receive(result->headers);
    tracer.track_http_response(result->status, {}, nullptr, took, location);
  } else {
    tracer.track_error("httplib::Error", "no answer: " + to_string(result.error()), {}, location);
  }
  return result;
}

}  // namespace codewake
