// Raceway's client, as its SDK for Python has it: for a program that has no Process, or one for each server.
//
//     codewake::raceway::Client raceway({.endpoint = "http://localhost:8080", .service_name = "my-service"});
//     const codewake::RequestScope request(raceway, headers, "POST", "/transfer");
//     raceway.track_state_change("alice.balance", nullptr, 100, codewake::Access::read);
//     const auto answer = raceway.request("POST", "http://inventory/reserve", {.json = {{"orderId", 7}}});
//
// Linked with `pkg-config codewake-raceway`.
#pragma once

#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "codewake/errors.hpp"
#include "codewake/export.hpp"
#include "codewake/source_location.hpp"
#include "codewake/tracing.hpp"

namespace codewake::raceway {

/// The names and defaults of the SDK for Python.
struct Config {
  std::string endpoint = "http://localhost:8080";  ///< the server's URL
  std::string service_name = "unknown-service";
  /// Default: $RACEWAY_INSTANCE_ID, else `<host>-<pid>`.
  std::optional<std::string> instance_id = std::nullopt;
  std::string environment = "development";
  /// Of a queue that has little to do. One that has more sends as much at once as the server takes.
  std::size_t batch_size = 50;
  double flush_interval = 1.0;  ///< seconds, at most; events are sent in the background
  bool debug = false;           ///< says on stderr what is not recorded because no context is current
  /// Sent to the endpoint, and nowhere else. Default: $RACEWAY_API_KEY, else none.
  std::optional<std::string> api_key = std::nullopt;
};

/// What is sent with a request.
struct RequestOptions {
  HeaderMap headers = {};  ///< these win over those that are added
  std::string body = {};
  /// In place of `body`, with its content type; null: none.
  nlohmann::json json = nullptr;
  std::chrono::milliseconds timeout = std::chrono::seconds(30);  ///< of all of it; 0: none
  /// Of the body of an answer, and of each on the way to it; a larger one ends the request.
  std::size_t most_bytes = std::size_t{64} << 20;
};

/// What was answered.
struct Response {
  int status = 0;
  HeaderMap headers = {};  ///< names in lower case; of several with one name the last
  std::string body = {};

  /// Throws nlohmann::json::parse_error.
  nlohmann::json json() const { return nlohmann::json::parse(body); }
};

/// A tracer that sends to a Raceway server: a queue on local disk stands between, so that nothing waits for
/// the server, and nothing is lost while it is away or when the program is killed. What is left at the
/// program's end is sent by the next program with the same endpoint, or by `codewake recover`. Thread-safe.
class CODEWAKE_API Client : public Tracer {
 public:
  /// Connects to nothing. Throws ConfigError where the configuration makes no sense; StoreError where the
  /// queue's journal cannot be made, anywhere.
  explicit Client(Config config = {});
  /// Sends what is left, for at most `queue.exit_timeout` of the configuration.
  ~Client();

  /// Sends a request with the headers of the current trace, and waits for the answer: both are recorded, and
  /// what the other service has done comes before what is done here from now on. Outside of a context it only
  /// sends. Follows redirects, up to 30, but none from https to http; headers with names of secrets, such as
  /// Authorization and Cookie, do not go to another host. In a program with raised privileges it throws Error
  /// while a proxy's variable or SSLKEYLOGFILE is set. Passwords and keys in `url` are not recorded. Any
  /// status is an answer. Throws Error where none comes, where one has more than `most_bytes` or 256 KiB of
  /// headers, and for a redirect from https to http, all of which are recorded too, and for a method or a
  /// header that would break the request's form.
  Response request(std::string_view method, const std::string& url, const RequestOptions& options = {},
                   const SourceLocation& location = SourceLocation::current());

  using Tracer::shutdown;
  /// Sends what it can within five seconds, and ends. Later events are counted as lost. The result says
  /// whether all were sent.
  bool shutdown() { return shutdown(std::chrono::seconds(5)); }
};

}  // namespace codewake::raceway
