// A store's trace events, made into a history.
#pragma once

#include <optional>

#include "codewake/analysis.hpp"
#include "codewake/store.hpp"
#include "history.hpp"

namespace codewake::analysis {

/// Reads in pages, on a thread of its own, ahead of what is taken in. Throws what the store throws, and what
/// `on_progress` does.
History read_history(Store& store, const RaceQuery& query, const OnProgress& on_progress);

/// One of the history's events as it was recorded; empty where it is gone.
std::optional<TraceEventRecord> fetch(Store& store, const History& history, std::uint32_t event);

}  // namespace codewake::analysis
