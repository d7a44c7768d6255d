// The recording of a program that dies, compiled once for all of its variants.
#pragma once

#include <cstddef>

/// Makes the process, as configuration says.
void begin_recording();

/// Records an event with this number.
void note(int number);

/// Records an event with this text.
void note_text(const char* text, std::size_t size);
