#include "codewake/raceway.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <utility>
#include <vector>

#include "codewake/config.hpp"
#include "codewake/raceway_store.hpp"
#include "http_request.hpp"

namespace codewake::raceway {
namespace {

std::optional<std::string> variable(const char* name) {
  // As the configuration does: a program with raised privileges does not trust its environment.
  const char* const value = secure_getenv(name);
  return value == nullptr || *value == '\0' ? std::nullopt : std::optional<std::string>(value);
}

std::vector<std::string> parameters_of(const Config& config) {
  if (!(config.flush_interval > 0)) {
    throw ConfigError({.key = "flush_interval"}, "must be above 0 seconds");
  }
  std::vector<std::string> parameters = {config.endpoint, fmt::format("batch_size={}", config.batch_size),
                                         fmt::format("flush_interval={}s", config.flush_interval)};
  const std::optional<std::string> key = config.api_key ? config.api_key : variable("RACEWAY_API_KEY");
  if (key) parameters.push_back("api_key=" + *key);
  return parameters;
}

std::shared_ptr<Store> store_of(const Config& config) {
  auto store = std::make_shared<RacewayQueueStore>(parameters_of(config));
  std::array<char, 4096> path{};
  const ssize_t size = readlink("/proc/self/exe", path.data(), path.size());
  ProcessInfo info{.app_name = config.service_name, .env_name = config.environment, .pid = getpid()};
  if (info.app_name.empty()) info.app_name = "unknown-service";
  if (size > 0) info.exe_path.emplace(path.data(), static_cast<std::size_t>(size));
  store->insert_process(info, false);
  return store;
}

TracerOptions options_of(const Config& config) {
  return {
      .service_name = config.service_name,
      .instance_id = (config.instance_id ? config.instance_id : variable("RACEWAY_INSTANCE_ID")).value_or(""),
      .environment = config.environment,
      .debug = config.debug};
}

}  // namespace

Client::Client(Config config) : Tracer(store_of(config), options_of(config)) {}

Client::~Client() = default;

Response Client::request(std::string_view method, const std::string& url, const RequestOptions& options,
                         const SourceLocation& location) {
  HeaderMap headers = options.headers;
  std::string body = options.body;
  if (!options.json.is_null()) {
    body = options.json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    internal::add_if_missing(headers, "Content-Type", "application/json");
  }
  const internal::HttpBounds bounds{.timeout = options.timeout, .most_bytes = options.most_bytes};
  if (!has_context())
    return internal::send_http_request(method, url, std::move(headers), std::move(body), bounds);
  track_http_request(method, masked(url), options.headers, options.json, location);
  headers = propagation_headers(std::move(headers));
  const auto began = std::chrono::steady_clock::now();
  try {
    Response response = internal::send_http_request(method, url, std::move(headers), std::move(body), bounds);
    receive(response.headers);
    track_http_response(response.status, response.headers, nullptr, std::chrono::steady_clock::now() - began,
                        location);
    return response;
  } catch (const Error& error) {
    track_error(error, location);
    throw;
  }
}

}  // namespace codewake::raceway
