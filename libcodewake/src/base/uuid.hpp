// Random UUIDs (version 4).
#pragma once

#include <string>

namespace codewake::internal {

/// A new random UUID, `xxxxxxxx-xxxx-4xxx-yxxx-xxxxxxxxxxxx`, from the kernel's random numbers. Thread-safe,
/// also after fork().
std::string make_uuid();

}  // namespace codewake::internal
