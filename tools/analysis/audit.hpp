// All that happened to one variable.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "codewake/analysis.hpp"
#include "codewake/store.hpp"
#include "codewake/trace_event.hpp"

namespace codewake::analysis {

/// An access, and how it stands to those before it.
struct AuditedAccess {
  TraceEventRecord event;
  /// The access before it in the trail did not come before it: it may as well have been the other way round.
  bool is_unordered = false;
  /// Of a write: one of another execution that it undoes without having seen it, as a number of the trail.
  std::optional<std::size_t> lost;
};

/// The accesses in causal order: each behind all that came before it, else by time. Throws as find_races
/// does.
std::vector<AuditedAccess> audit(Store& store, const std::string& variable, const RaceQuery& query,
                                 const OnProgress& on_progress);

}  // namespace codewake::analysis
