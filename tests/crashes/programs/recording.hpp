// The recording of a program that dies, compiled once for all of its variants.
#pragma once

#include <cstddef>
#include <functional>

/// Makes the process, as configuration says.
void begin_recording();

/// Records an event with this number.
void note(int number);

/// Does the work inside of a trace, behind a trace event and an event with this number.
void in_trace(int number, const std::function<void()>& work);

/// Returns once the library's threads have been at work: each needs memory when it begins.
void wait_for_threads();

/// Records an event with this text.
void note_text(const char* text, std::size_t size);
