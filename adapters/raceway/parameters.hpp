// What the parameters of RacewayStore say.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

namespace codewake::internal {

struct RacewayParameters {
  /// Where events are posted to; ends in `/events`.
  std::string url;
  /// The server, as it may be shown; without a slash at its end.
  std::string display;
  /// Names the storage: Store::identity.
  std::string identity;
  std::string api_key;  ///< empty: none is sent
  std::string ca_file;  ///< empty: the system's authorities
  std::chrono::milliseconds timeout{10'000};
  std::chrono::milliseconds connect_timeout{5'000};
  std::size_t body_limit_bytes = 2u << 20;
  bool asks_for_compression = false;
  /// Of a queue that has little to do; nothing without a queue.
  std::size_t batch_size = 50;
  std::chrono::nanoseconds flush_interval{0};  ///< of a queue; 0: as the configuration says
};

/// Reads the URL and the `key=value` parameters behind it. Throws ConfigError.
RacewayParameters parse_raceway_parameters(const std::vector<std::string>& parameters);

}  // namespace codewake::internal
