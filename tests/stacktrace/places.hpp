// Functions to be found in stack traces, in places of their own.
#pragma once

#include "codewake/stacktrace.hpp"

codewake::Stacktrace capture_in_ghost();

/// What the shared object `frames_plugin` exports: calls back from within.
using CallBack = void (*)(void (*callback)(void*), void* data);
