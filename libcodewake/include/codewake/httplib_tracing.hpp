// Tracing for servers and clients of cpp-httplib. Include httplib.h first; this header does not need it to be
// installed.
//
//     httplib::Server server;
//     codewake::trace_requests(server, tracer);
//     httplib::Client stock("http://localhost:3001");
//     auto answer = codewake::send(stock, {"POST", "/reserve"}, tracer);
#pragma once

#include <chrono>
#include <exception>
#include <functional>
#include <new>
#include <string>
#include <utility>

#include "codewake/process.hpp"
#include "codewake/source_location.hpp"
#include "codewake/tracing.hpp"

namespace codewake {

namespace internal {

/// Calls with the exception as a handler would have it; with nothing where it is no std::exception.
template <class Handle>
void with_exception(const std::exception_ptr& thrown, Handle handle) {
  try {
    std::rethrow_exception(thrown);
  } catch (const std::exception& exception) {
    handle(&exception);
  } catch (...) {
    handle(nullptr);
  }
}

inline void record_failed_request(Tracer& tracer, const std::string& method, const std::string& path,
                                  const std::exception_ptr& thrown) {
  with_exception(thrown, [&](const std::exception* exception) {
    if (exception != nullptr) {
      tracer.track_error(*exception);
    } else {
      tracer.track_error("exception", "what was thrown is no std::exception");
    }
  });
  if (!Process::exists()) return;
  Process::instance().log(
      {{"event", "codewake.failed_request"}, {"http.method", method}, {"http.path", path}}, thrown);
}

/// What cpp-httplib says of an exception in a header.
inline std::string header_of(const std::exception* exception) {
  std::string text;
  for (const char* c = exception == nullptr ? "UNKNOWN" : exception->what(); *c != '\0'; ++c) {
    switch (*c) {
      case '\r':
        text += "\\r";
        break;
      case '\n':
        text += "\\n";
        break;
      default:
        text += *c;
    }
  }
  return text;
}

}  // namespace internal

/// Has each request handled in a context of its own, from its headers, and recorded with its response. An
/// exception that leaves a handler is recorded, too: as an error of the trace, and, where the program has a
/// Process, as its event `codewake.failed_request`, with type, message and the stack of the throw. Without a
/// handler `failed` for it the answer is what cpp-httplib makes of an exception: status 500, and a header
/// EXCEPTION_WHAT.
///
/// The handlers that run before and after all others (pre- and post-routing), and that for exceptions, are
/// taken for that (cpp-httplib 0.11 and later): give the program's own here. `tracer` must outlive the
/// server. Call it before the server listens.
template <class Server>
void trace_requests(Server& server, Tracer& tracer, typename Server::HandlerWithResponse before = {},
                    typename Server::Handler after = {}, typename Server::ExceptionHandler failed = {}) {
  server.set_pre_routing_handler([&tracer, before = std::move(before)](const auto& request, auto& response) {
    tracer.begin_request(request.headers, request.method, request.path);
    return before ? before(request, response) : Server::HandlerResponse::Unhandled;
  });
  server.set_post_routing_handler([&tracer, after = std::move(after)](const auto& request, auto& response) {
    if (after) after(request, response);
    for (const auto& [name, value] : tracer.end_request(response.status)) response.set_header(name, value);
  });
  server.set_exception_handler(
      [&tracer, failed = std::move(failed)](const auto& request, auto& response, std::exception_ptr thrown) {
        try {
          internal::record_failed_request(tracer, request.method, request.path, thrown);
        } catch (const std::bad_alloc&) {
          // Without memory it cannot be recorded; and what leaves here ends the program.
        }
        if (failed) return failed(request, response, thrown);
        response.status = 500;
        internal::with_exception(thrown, [&](const std::exception* exception) {
          response.set_header("EXCEPTION_WHAT", internal::header_of(exception));
        });
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
