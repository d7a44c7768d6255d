// What comes ahead of this library in the program's order of linking.
#pragma once

#include <string>

namespace codewake::internal {

/// Looks a function up as the program itself does, which may not be as this library does; null: not there.
void* find_in_program(const char* function) noexcept;

/// Whether the program, or a library that it is linked with, has asked for this one, or it is preloaded: it
/// may replace functions. Not where it was opened with dlopen(). Thread-safe.
bool is_linked_into_program() noexcept;

/// Why handlers that the program sets for fatal signals are not seen, in one sentence; empty where they are.
/// Thread-safe.
std::string signal_hook_problem();

}  // namespace codewake::internal
