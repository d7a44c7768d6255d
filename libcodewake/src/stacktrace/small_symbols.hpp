// What some distributions leave in their stripped programs: the symbols of functions that are not exported,
// as an ELF file of its own in the section `.gnu_debugdata`, which xz has compressed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "stacktrace/symbol_table.hpp"

namespace codewake::internal {

inline constexpr std::string_view kSmallSymbols = ".gnu_debugdata";

/// Nothing in the section is trusted. Reentrant.
class SmallSymbols {
 public:
  /// A section of more is not read.
  static constexpr std::size_t kMaxBytes = 16u << 20;

  /// Whether this library was built with liblzma.
  static bool can_be_read() noexcept;

  /// Of a section's content. Null where it has none, has kMaxBytes or more when it is unpacked, or needs more
  /// than four times as much for that.
  static std::unique_ptr<SmallSymbols> in(std::string_view section);

  SmallSymbols(const SmallSymbols&) = delete;
  SmallSymbols& operator=(const SmallSymbols&) = delete;
  ~SmallSymbols() = default;

  /// See SymbolTable.
  std::string_view find(std::uint64_t address) const { return table_.find(address); }
  std::size_t bytes() const noexcept { return image_.capacity() + table_.bytes(); }

 private:
  struct End {
    void operator()(Elf* elf) const noexcept;
  };
  using OpenElf = std::unique_ptr<Elf, End>;

  /// `elf` reads `image`.
  SmallSymbols(std::vector<char> image, OpenElf elf)
      : image_(std::move(image)), elf_(std::move(elf)), table_(elf_.get()) {}

  std::vector<char> image_;
  OpenElf elf_;
  SymbolTable table_;
};

}  // namespace codewake::internal
