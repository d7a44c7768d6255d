// Long work on a store, in slices: it may be ended between two of them, and who looks sees how far it is.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace codewake::cli {

/// The state of work that was ended before its end.
inline constexpr std::string_view kInterrupted = "interrupted";

/// From now on the first SIGINT or SIGTERM is only noted; a second one ends the process at once.
void end_between_slices();

/// Whether one has come.
bool is_interrupted() noexcept;

/// `[######        ]  20%  200 of 1000 events`.
std::string bar(std::uint64_t done, std::uint64_t all, std::string_view what);

}  // namespace codewake::cli
