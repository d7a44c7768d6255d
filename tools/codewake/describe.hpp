// How commands show parts of records to people, always in the same way.
#pragma once

#include <string>
#include <string_view>

#include "codewake/attributes.hpp"
#include "codewake/frame.hpp"
#include "table.hpp"

namespace codewake::cli {

inline constexpr std::string_view kExceptionType = "exception.type";
inline constexpr std::string_view kExceptionMessage = "exception.message";
inline constexpr std::string_view kCrashSignal = "crash.signal";
inline constexpr std::string_view kCrashReason = "crash.reason";

/// Whether the event says how its process died.
bool is_crash(const Attributes& data);

/// `key=value key="other value"`, NULL as `key=NULL`.
Cell describe_data(const Attributes& data);

/// `file.cpp:12`; `module +0xOFFSET` where the line is not known.
std::string describe_place(const Frame& frame);

/// The function and its place, or the place alone where the function is not known.
std::string describe_frame(const Frame& frame);

/// The text of the first attribute of this key; empty where there is none.
std::string_view text_of(const Attributes& data, std::string_view key);

}  // namespace codewake::cli
