// PostgreSQL's binary format, as parameters, COPY and results have it: big-endian numbers, text as it is.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace codewake::internal {

inline void append_big_endian(std::string& to, std::uint64_t bits, int bytes) {
  char encoded[8];
  for (int i = 0; i < bytes; ++i) encoded[i] = static_cast<char>(bits >> (8 * (bytes - 1 - i)));
  to.append(encoded, static_cast<std::size_t>(bytes));
}

inline void append_int16(std::string& to, std::int16_t number) {
  append_big_endian(to, static_cast<std::uint16_t>(number), 2);
}
inline void append_int32(std::string& to, std::int32_t number) {
  append_big_endian(to, static_cast<std::uint32_t>(number), 4);
}

// A value of a column or of an array: its length, or -1 for NULL, and its bytes.

inline void append_null(std::string& to) {
  append_int32(to, -1);
}
inline void append_value(std::string& to, std::string_view bytes) {
  append_int32(to, static_cast<std::int32_t>(bytes.size()));
  to += bytes;
}
inline void append_value(std::string& to, std::int64_t number) {
  append_int32(to, 8);
  append_big_endian(to, static_cast<std::uint64_t>(number), 8);
}
inline void append_value(std::string& to, double number) {
  append_int32(to, 8);
  append_big_endian(to, std::bit_cast<std::uint64_t>(number), 8);
}

inline std::uint64_t read_big_endian(std::string_view bytes) {
  std::uint64_t bits = 0;
  for (const char byte : bytes) bits = bits << 8 | static_cast<unsigned char>(byte);
  return bits;
}

}  // namespace codewake::internal
