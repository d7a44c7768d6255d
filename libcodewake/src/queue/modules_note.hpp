// Where the code of a run lay, so that the addresses of its stacks mean something after its death.
#pragma once

#include <string>
#include <vector>

#include "codewake/stacktrace.hpp"
#include "stacktrace/loaded_modules.hpp"

namespace codewake::internal {

/// The name of the file, beside the front.
inline constexpr const char* kModulesNote = "modules.json";

std::string write_modules(const std::vector<Module>& modules);

/// What was written; what is no such note gives none.
std::vector<Module> read_modules(const std::string& note);

/// A stack of another run, resolved from the modules' files as far as they are still the same. Blocks on the
/// disk. Thread-safe.
Stacktrace stack_of(const std::vector<void*>& addresses, const std::vector<Module>& modules);

}  // namespace codewake::internal
