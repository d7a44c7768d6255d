// All that is looked for, in one history.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "codewake/analysis.hpp"
#include "history.hpp"

namespace codewake::analysis {

/// Fetches one of the history's events as it was recorded; empty where it is gone.
using Fetch = std::function<std::optional<TraceEventRecord>(const History& history, std::uint32_t event)>;

/// The findings, in the order of a report, with their examples by `fetch`: at most ten thousand of a verdict.
/// Notes in the history which executions contradict themselves.
std::vector<Finding> find_all(History& history, const Fetch& fetch);

/// Only the possible deadlocks.
std::vector<Finding> find_lock_orders(const History& history, const Fetch& fetch);

}  // namespace codewake::analysis
