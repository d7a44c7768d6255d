// Programs that the watched one becomes or starts, and that could not start with this library: they get an
// environment in which it is not preloaded. All ways by which a C program executes another are replaced for
// that; what calls the kernel past the C library is not seen.
#pragma once

namespace codewake::internal {

/// From now on. `library`: as LD_PRELOAD names it, borrowed for good. Until then every call passes through.
void let_others_run_alone(const char* library) noexcept;

}  // namespace codewake::internal
