// Programs that were never changed, and what `codewake run` tells the small library that it preloads there.
#pragma once

#include <filesystem>
#include <string>

#include "codewake/config.hpp"
#include "codewake/export.hpp"
#include "codewake/store.hpp"

namespace codewake {

/// What can be recorded of a program from inside.
struct ProgramCheck {
  std::string problem;      ///< why nothing can, as in "is linked statically"; empty: crashes can
  bool can_preload = true;  ///< else the program would not start, or its dynamic linker would complain
  bool has_other_runtime =
      false;  ///< its exceptions are libc++'s: of those that no handler catches the type is known
};

/// `program`: the path of an executable or a script; what cannot be read has no problem. Reads the file, and
/// blocks on it. Thread-safe.
CODEWAKE_API ProgramCheck check_program(const std::filesystem::path& program);

/// What that library needs to record a crash for this store: the value of CODE_WAKE_WATCH for a program and
/// its descendants, one line without spaces. `library`: the path of libcodewake, for programs that are to
/// load it and record every exception; empty: they load nothing. Empty where the configuration wants nothing
/// recorded. Looks up the host's name, which may block for half a second. Throws std::system_error where no
/// folder can have the crash. Thread-safe.
CODEWAKE_API std::string watch_instructions(const Config& config, const Store& store,
                                            const std::filesystem::path& library);

}  // namespace codewake
