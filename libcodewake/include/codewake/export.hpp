// Visibility of the library's symbols: everything is hidden unless marked with CODEWAKE_API.
#pragma once

#define CODEWAKE_API __attribute__((visibility("default")))

/// For inline functions through which a program enters the library: part of their caller in every build, so
/// that none of them is a frame of the stack traces that the library records.
#define CODEWAKE_PART_OF_CALLER [[gnu::always_inline]] inline
