// How commands show trace events to people, always in the same way.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "codewake/trace_event.hpp"
#include "trace_tree.hpp"

namespace codewake::cli {

/// What happened, on one line: `Write stock 5 → 4`.
std::string describe_entry(const TraceEntry& entry);

/// What events of the kind and name have in common: `lock shelf`.
std::string describe_kind(TraceKind kind, std::string_view name);

/// Of a change, or a read, what the variable was and is: `5 → 4`, `5`; on one line.
std::string value_of(const TraceEventRecord& event);

/// `file.cpp:12`; empty where it is not known.
std::string place_of(const TraceEventRecord& event);
std::string place_of(std::string_view path, std::uint32_t line);

/// `3.607`.
std::string milliseconds(std::chrono::nanoseconds duration);

}  // namespace codewake::cli
