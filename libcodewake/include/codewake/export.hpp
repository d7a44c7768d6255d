// Visibility of the library's symbols: everything is hidden unless marked with CODEWAKE_API.
#pragma once

#define CODEWAKE_API __attribute__((visibility("default")))
