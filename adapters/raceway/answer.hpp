// What becomes of a request, by what the server answered.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

#include "http_client.hpp"
#include "parameters.hpp"

namespace codewake::internal {

struct Verdict {
  enum class Outcome {
    stored,       ///< all of it
    too_large,    ///< the body; a smaller one may do
    refused,      ///< what is in it, or it was not understood at all
    unavailable,  ///< not now: the same again later. Ids are the same then, and the server knows them.
  };

  Outcome outcome = Outcome::unavailable;
  std::string message = {};  ///< names the server; without secrets; empty where it is stored
  /// How long the server is to be left alone; at most kLongestPause.
  std::chrono::seconds pause{0};
  bool is_rate_limit = false;
};

inline constexpr std::chrono::seconds kLongestPause{300};

/// Judges the answer to a request with so many events. A pure function.
Verdict judge(const HttpAnswer& answer, std::size_t events, const RacewayParameters& parameters);

}  // namespace codewake::internal
