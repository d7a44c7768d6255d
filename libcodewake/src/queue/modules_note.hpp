// Where the code of a run lay, so that the addresses of its stacks mean something after its death.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/folder.hpp"
#include "codewake/stacktrace.hpp"
#include "stacktrace/captured_stack.hpp"
#include "stacktrace/loaded_modules.hpp"

namespace codewake::internal {

/// The name of the file, beside the front.
inline constexpr const char* kModulesFile = "modules.json";

/// What a note has at most: a writer leaves out what is beyond, and a reader takes a note that has more text
/// or deeper nesting for none, and the first of too many modules.
struct ModulesNoteLimits {
  static constexpr std::size_t kTextBytes = 4u << 20;
  static constexpr std::size_t kModules = 4096;
  static constexpr std::size_t kPathBytes = 4096;
  static constexpr std::size_t kBuildIdDigits = 128;
  static constexpr std::size_t kDepth = 8;
};

/// Not by the JSON library, whose objects cannot be destroyed without memory.
std::string write_modules(const std::vector<Module>& loaded, const std::vector<Module>& gone = {});

/// The note of the process that runs. Thread-bound.
class ModulesNote {
 public:
  /// Writes it where there is none, or where modules have come or gone since; those that have gone are in it,
  /// for stacks that were taken before. Without memory, or room, the
  /// stacks of this run say less if it has to be recovered, and nothing else.
  void keep(const Folder& folder) noexcept;

  /// The folder is another one.
  void begin_anew() noexcept { is_written_ = false; }

 private:
  LoadedModules modules_;
  bool is_written_ = false;
};

/// What was written. What is no such note gives none; nor does an entry of it that says something else. Takes
/// little more memory than the modules themselves.
std::vector<Module> read_modules(const std::string& note);

/// A stack of another run of the effective user, resolved from the modules' files as far as they are still
/// the same. Blocks on the disk. Thread-safe.
Stacktrace stack_of(const CapturedStack& stack, const std::vector<Module>& modules);

}  // namespace codewake::internal
