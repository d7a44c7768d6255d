// Reads the tables of .eh_frame, never beyond their end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace codewake::internal {

/// How a pointer is written: LSB 5.0 Core, 10.5.1 "DWARF Exception Header Encoding".
class PointerEncoding {
 public:
  static constexpr std::uint8_t kOmitted = 0xFF;
  static constexpr std::uint8_t kSigned4FromIndex = 0x3B;

  constexpr PointerEncoding() noexcept = default;  // eight bytes, absolute
  constexpr explicit PointerEncoding(std::uint8_t code) noexcept : code_(code) {}

  std::uint8_t code() const noexcept { return code_; }
  std::uint8_t format() const noexcept { return code_ & 0x0F; }
  std::uint8_t base() const noexcept { return code_ & 0x70; }
  bool is_omitted() const noexcept { return code_ == kOmitted; }

 private:
  std::uint8_t code_ = 0;
};

/// Once something was not there, everything is zero, and `failed()`.
class TableReader {
 public:
  TableReader(std::uintptr_t begin, std::uintptr_t end) noexcept : at_(begin), end_(end) {
    if (begin > end) fail();
  }

  std::uintptr_t at() const noexcept { return at_; }
  std::uintptr_t end() const noexcept { return end_; }
  bool is_at_end() const noexcept { return at_ >= end_; }
  bool failed() const noexcept { return failed_; }

  template <class T>
  T take() noexcept {
    T value{};
    if (end_ - at_ < sizeof value) {
      fail();
      return value;
    }
    std::memcpy(&value, reinterpret_cast<const void*>(at_), sizeof value);
    at_ += sizeof value;
    return value;
  }

  void skip(std::uint64_t bytes) noexcept {
    if (bytes > end_ - at_) {
      fail();
    } else {
      at_ += bytes;
    }
  }

  std::uint64_t take_uleb() noexcept {
    std::uint64_t value = 0;
    for (unsigned shift = 0;; shift += 7) {
      const auto byte = take<std::uint8_t>();
      if (shift < 64) value |= std::uint64_t{byte & 0x7Fu} << shift;
      if ((byte & 0x80) == 0) return value;
    }
  }

  std::int64_t take_sleb() noexcept {
    std::uint64_t value = 0;
    for (unsigned shift = 0;;) {
      const auto byte = take<std::uint8_t>();
      if (shift < 64) value |= std::uint64_t{byte & 0x7Fu} << shift;
      shift += 7;
      if ((byte & 0x80) != 0) continue;
      if (shift < 64 && (byte & 0x40) != 0) value |= ~std::uint64_t{0} << shift;
      return static_cast<std::int64_t>(value);
    }
  }

  /// A number in the encoding's format, without what it counts from.
  std::uint64_t take_number(PointerEncoding encoding) noexcept {
    switch (encoding.format()) {
      case 0x00:
      case 0x04:
      case 0x0C:
        return take<std::uint64_t>();
      case 0x01:
        return take_uleb();
      case 0x02:
        return take<std::uint16_t>();
      case 0x03:
        return take<std::uint32_t>();
      case 0x09:
        return static_cast<std::uint64_t>(take_sleb());
      case 0x0A:
        return static_cast<std::uint64_t>(std::int64_t{take<std::int16_t>()});
      case 0x0B:
        return static_cast<std::uint64_t>(std::int64_t{take<std::int32_t>()});
      default:
        fail();
        return 0;
    }
  }

  /// An address: absolute, or from where it is written on.
  std::uintptr_t take_pointer(PointerEncoding encoding) noexcept {
    constexpr std::uint8_t kAbsolute = 0x00, kFromHere = 0x10;
    const std::uintptr_t here = at_;
    const std::uint64_t number = take_number(encoding);
    if (encoding.base() == kFromHere) return here + number;
    if (encoding.base() != kAbsolute) fail();
    return number;
  }

  void fail() noexcept {
    failed_ = true;
    at_ = end_;
  }

 private:
  std::uintptr_t at_;
  std::uintptr_t end_;
  bool failed_ = false;
};

}  // namespace codewake::internal
