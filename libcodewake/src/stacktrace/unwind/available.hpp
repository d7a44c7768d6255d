// Whether the library walks stacks itself: on this processor, with a C library that finds modules without a
// lock. The same condition is in meson.build.
#pragma once

#include <dlfcn.h>

#if defined(__x86_64__) && defined(DLFO_EH_SEGMENT_TYPE)
#define CODEWAKE_WALKS_STACKS
#endif
