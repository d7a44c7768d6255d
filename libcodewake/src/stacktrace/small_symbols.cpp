#include "stacktrace/small_symbols.hpp"

#include <libelf.h>
#ifdef CODEWAKE_HAS_LZMA
#include <lzma.h>
#endif

#include <algorithm>
#include <cstdint>
#include <utility>

namespace codewake::internal {
namespace {

#ifdef CODEWAKE_HAS_LZMA

struct XzDecoder {
  lzma_stream stream = LZMA_STREAM_INIT;

  XzDecoder() = default;
  XzDecoder(const XzDecoder&) = delete;
  XzDecoder& operator=(const XzDecoder&) = delete;
  ~XzDecoder() { lzma_end(&stream); }
};

/// Empty where it cannot be unpacked, or has `max_bytes` or more.
std::vector<char> unpack_xz(std::string_view packed, std::size_t max_bytes) {
  constexpr std::size_t kFirstBytes = 64 << 10;
  XzDecoder decoder;
  lzma_stream& stream = decoder.stream;
  if (lzma_stream_decoder(&stream, 4 * max_bytes, 0) != LZMA_OK) return {};
  stream.next_in = reinterpret_cast<const std::uint8_t*>(packed.data());
  stream.avail_in = packed.size();
  std::vector<char> unpacked;
  lzma_ret state = LZMA_OK;
  while (state == LZMA_OK && unpacked.size() < max_bytes) {
    const std::size_t size = unpacked.size();
    unpacked.resize(std::min(std::max(kFirstBytes, 2 * size), max_bytes));
    stream.next_out = reinterpret_cast<std::uint8_t*>(unpacked.data()) + size;
    stream.avail_out = unpacked.size() - size;
    while (state == LZMA_OK && stream.avail_out != 0) state = lzma_code(&stream, LZMA_FINISH);
  }
  unpacked.resize(unpacked.size() - stream.avail_out);
  if (state != LZMA_STREAM_END) unpacked.clear();
  return unpacked;
}

#else

std::vector<char> unpack_xz(std::string_view, std::size_t) {
  return {};
}

#endif

}  // namespace

bool SmallSymbols::can_be_read() noexcept {
#ifdef CODEWAKE_HAS_LZMA
  return true;
#else
  return false;
#endif
}

void SmallSymbols::End::operator()(Elf* elf) const noexcept {
  elf_end(elf);
}

std::unique_ptr<SmallSymbols> SmallSymbols::in(std::string_view section) {
  if (section.empty()) return {};
  std::vector<char> image = unpack_xz(section, kMaxBytes);
  if (image.empty()) return {};
  image.shrink_to_fit();
  elf_version(EV_CURRENT);
  OpenElf elf(elf_memory(image.data(), image.size()));
  if (elf == nullptr || elf_kind(elf.get()) != ELF_K_ELF) return {};
  return std::unique_ptr<SmallSymbols>(new SmallSymbols(std::move(image), std::move(elf)));
}

}  // namespace codewake::internal
