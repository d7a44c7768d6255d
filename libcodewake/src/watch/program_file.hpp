// What kind of program a file is: whether a library can be preloaded there, and may.
//
// Its source needs nothing but the C library, and no memory but the stack: it is asked in the child of a
// vfork(), too.
#pragma once

namespace codewake::internal {

enum class ProgramKind {
  watchable,
  other_runtime,     ///< watchable, and its C++ runtime is libc++abi
  other_processor,   ///< of 32 bits, or for another machine: its dynamic linker would complain of the library
  sanitized,         ///< a shared sanitizer runtime insists on being first
  static_linked,     ///< no dynamic linker loads it
  sanitized_static,  ///< a sanitizer's runtime is in the program
  other_libc,        ///< as musl
  other_user,  ///< set-user-ID, set-group-ID, or with capabilities of its own: preloading does not count
};

/// Of an executable, or of the interpreter of a script. What cannot be read is watchable. `path` as execve()
/// would have it. Async-signal-safe; errno stays.
ProgramKind kind_of_program(const char* path) noexcept;

/// Whether the library must not be preloaded: it would keep the program from starting, or have its dynamic
/// linker complain. In the others it does nothing where it can record nothing.
constexpr bool must_run_alone(ProgramKind kind) noexcept {
  return kind == ProgramKind::other_processor || kind == ProgramKind::sanitized;
}

}  // namespace codewake::internal
