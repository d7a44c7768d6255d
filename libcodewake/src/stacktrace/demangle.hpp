// Names as people write them.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace codewake::internal {

/// The C++ name that the compiler encoded in `name`, or `name` itself where it is no such encoding (`main`).
std::string demangle(const char* name);

/// The same for a function's name from a file. What compilers add to the parts that they split off
/// (`.cold`, `.isra.0`) is left out, and what is beyond kMaxFunctionBytes.
std::string demangle_function(std::string_view name);

inline constexpr std::size_t kMaxFunctionBytes = 16u << 10;

}  // namespace codewake::internal
