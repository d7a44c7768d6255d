// How commands show trace events to people, always in the same way.
#pragma once

#include <string>

#include "codewake/trace_event.hpp"
#include "trace_tree.hpp"

namespace codewake::cli {

/// What happened, on one line: `Write stock 5 → 4`.
std::string describe_entry(const TraceEntry& entry);

/// Of a change, or a read, what the variable was and is: `5 → 4`, `5`; on one line.
std::string value_of(const TraceEventRecord& event);

/// `file.cpp:12`; empty where it is not known.
std::string place_of(const TraceEventRecord& event);

}  // namespace codewake::cli
