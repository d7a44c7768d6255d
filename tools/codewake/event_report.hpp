// One event in full, for people.
#pragma once

#include <optional>

#include "codewake/records.hpp"
#include "output.hpp"

namespace codewake::cli {

/// Writes when, where and by whom the event was recorded, its exception, its data one a line, and its stack.
/// `process`: that recorded it; empty where the store does not have it.
void write_event_report(Output& output, const EventRecord& event,
                        const std::optional<ProcessRecord>& process);

}  // namespace codewake::cli
