// What the sources of this library expect of a C++ runtime, and what the program may lack.
#pragma once

namespace codewake::internal {

/// Finds the unwinder: the program's, or else the compiler's, which it loads. Without one stacks have one
/// frame.
void find_unwinder() noexcept;

}  // namespace codewake::internal
