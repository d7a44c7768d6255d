// Names as people write them.
#pragma once

#include <string>

namespace codewake::internal {

/// The C++ name that the compiler encoded in `name`, or `name` itself where it is no such encoding (`main`).
std::string demangle(const char* name);

}  // namespace codewake::internal
