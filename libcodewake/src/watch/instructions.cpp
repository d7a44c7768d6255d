#include "watch/instructions.hpp"

#include <cstring>
#include <iterator>

namespace codewake::internal {
namespace {

int digit_of(char c) noexcept {
  return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

// Reads one field, and moves `from` behind its comma. The result is the end of the text in `to`; null: a bad
// field.
char* read_field(const char*& from, char* to) noexcept {
  for (; *from != '\0' && *from != ','; ++from) {
    if (*from != '%') {
      *to++ = *from;
      continue;
    }
    const int high = digit_of(from[1]);
    const int low = high < 0 ? -1 : digit_of(from[2]);
    if (low < 0) return nullptr;
    *to++ = static_cast<char>(high * 16 + low);
    from += 2;
  }
  if (*from == ',') ++from;
  *to++ = '\0';
  return to;
}

}  // namespace

bool read_watch_instructions(const char* value, char* buffer, std::size_t buffer_bytes,
                             WatchInstructions& instructions) noexcept {
  // No field is longer than it was.
  if (value == nullptr || std::strlen(value) + std::size(kWatchTexts) > buffer_bytes) return false;
  for (const auto text : kWatchTexts) {
    instructions.*text = buffer;
    buffer = read_field(value, buffer);
    if (buffer == nullptr) return false;
  }
  return *value == '\0' && std::strcmp(instructions.version, kWatchVersion) == 0;
}

}  // namespace codewake::internal
