// One frame of a stack trace, as it is stored and shown.
#pragma once

#include <cstdint>
#include <string>

namespace codewake {

/// A frame whose place in the code has been resolved as far as it could be.
struct Frame {
  /// The source file's path as the compiler recorded it, made absolute where it was found; the module's path
  /// where the line is not known.
  std::string filename = {};
  /// Counts from 1; 0 where it is not known.
  std::uint32_t lineno = 0;
  /// The trimmed source line, empty where it cannot be read, behind it what an instance of a template is made
  /// of (`return f(x); [T = double]`); `+0xOFFSET` within the module where no line is known: stacks differ.
  std::string src = {};
  /// Demangled; empty where it is not known, as in frames that Code Wake for Python wrote.
  std::string function = {};
  /// The executable's or shared object's path; empty where it is not known.
  std::string module = {};
  /// The module's GNU build-id in lower-case hexadecimal; empty where it has none.
  std::string build_id = {};
  /// Of the call within the module, as in its ELF file (load address taken off).
  std::uint64_t offset = 0;

  bool operator==(const Frame&) const = default;
};

}  // namespace codewake
