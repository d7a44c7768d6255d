// One event in full, for people.
#pragma once

#include <optional>
#include <vector>

#include "codewake/records.hpp"
#include "output.hpp"

namespace codewake::cli {

/// Writes when, where and by whom the event was recorded, its exception, its data one a line, and its stack.
/// `process`: that recorded it; empty where the store does not have it. `breadcrumbs`: of a crash, what came
/// before it, oldest first.
void write_event_report(Output& output, const EventRecord& event, const std::optional<ProcessRecord>& process,
                        const std::vector<EventRecord>& breadcrumbs);

}  // namespace codewake::cli
