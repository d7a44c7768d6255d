// Writing and reading plain values, one behind the other, wherever they lie.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>

namespace codewake::internal {

/// Copies as many bytes as keys and values have, without a call.
__attribute__((always_inline)) inline void copy_few_bytes(char* to, const char* from,
                                                          std::size_t size) noexcept {
  const std::size_t last = size - 8;
  if (last <= 16) [[likely]] {
    // Three words that overlap, however many bytes there are: sizes differ from call to call, so that a
    // branch would often be mispredicted.
    const std::size_t middle = last / 2;
    std::uint64_t words[3];
    std::memcpy(&words[0], from, 8);
    std::memcpy(&words[1], from + middle, 8);
    std::memcpy(&words[2], from + last, 8);
    std::memcpy(to, &words[0], 8);
    std::memcpy(to + middle, &words[1], 8);
    std::memcpy(to + last, &words[2], 8);
  } else if (size > 8) {
    struct Block {
      std::uint64_t words[2];
    } block;
    const char* const last_block = from + size - sizeof block;
    for (; from < last_block; from += sizeof block, to += sizeof block) {
      std::memcpy(&block, from, sizeof block);
      std::memcpy(to, &block, sizeof block);
    }
    std::memcpy(&block, last_block, sizeof block);
    std::memcpy(to + (last_block - from), &block, sizeof block);
  } else if (size >= 4) {
    std::uint32_t first, end;
    std::memcpy(&first, from, 4);
    std::memcpy(&end, from + size - 4, 4);
    std::memcpy(to, &first, 4);
    std::memcpy(to + size - 4, &end, 4);
  } else if (size != 0) {
    to[0] = from[0];
    to[size / 2] = from[size / 2];
    to[size - 1] = from[size - 1];
  }
}

/// Copies bytes, and returns the end.
__attribute__((always_inline)) inline char* copy_bytes(char* to, const char* from,
                                                       std::size_t size) noexcept {
  constexpr std::size_t kFew = 64;
  if (size <= kFew) [[likely]] {
    copy_few_bytes(to, from, size);
  } else {
    std::memcpy(to, from, size);
  }
  return to + size;
}

template <class T>
requires std::is_trivially_copyable_v<T>
__attribute__((always_inline)) inline char* put(char* to, const T& value) noexcept {
  std::memcpy(to, &value, sizeof value);
  return to + sizeof value;
}

/// Reads what `put` and `copy_bytes` wrote; a read past the end gives nothing, and so do all that follow.
class ByteReader {
 public:
  explicit ByteReader(std::span<const char> bytes) noexcept : rest_(bytes) {}

  template <class T>
  requires std::is_trivially_copyable_v<T> std::optional<T> get()
  noexcept {
    if (rest_.size() < sizeof(T)) return fail();
    T value;
    std::memcpy(&value, rest_.data(), sizeof value);
    rest_ = rest_.subspan(sizeof value);
    return value;
  }

  std::optional<std::string_view> text(std::size_t size) noexcept {
    if (rest_.size() < size) return fail();
    const std::string_view view(rest_.data(), size);
    rest_ = rest_.subspan(size);
    return view;
  }

  /// A uint32 with the length, then as many bytes.
  std::optional<std::string_view> sized_text() noexcept {
    const auto size = get<std::uint32_t>();
    return size ? text(*size) : std::nullopt;
  }

  std::size_t left() const noexcept { return rest_.size(); }

 private:
  std::nullopt_t fail() noexcept {
    rest_ = {};
    return std::nullopt;
  }

  std::span<const char> rest_;
};

}  // namespace codewake::internal
