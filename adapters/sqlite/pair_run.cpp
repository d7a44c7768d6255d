#include "pair_run.hpp"

#include <array>
#include <bit>
#include <cstring>

namespace codewake::internal {
namespace {

/// A row of this size fills a page of 4 KiB and does not spill into a second.
constexpr std::size_t kChunkBytes = 3'980;
constexpr std::size_t kMaxEntryBytes = 5 + 10;

char* put(char* out, std::uint64_t number) {
  while (number >= 0x80) {
    *out++ = static_cast<char>(number | 0x80);
    number >>= 7;
  }
  *out++ = static_cast<char>(number);
  return out;
}

bool get(std::string_view& in, std::uint64_t& number) {
  number = 0;
  for (unsigned shift = 0; shift < 64 && !in.empty(); shift += 7) {
    const auto byte = static_cast<unsigned char>(in.front());
    in.remove_prefix(1);
    number |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return true;
  }
  return false;
}

std::uint64_t zigzag(std::uint64_t difference) {
  return (difference << 1) ^ (0 - (difference >> 63));
}
std::uint64_t unzigzag(std::uint64_t number) {
  return (number >> 1) ^ (0 - (number & 1));
}

std::uint64_t little_endian_word(const char* bytes) noexcept {
  std::uint64_t word;
  std::memcpy(&word, bytes, sizeof word);
  return std::endian::native == std::endian::little ? word : __builtin_bswap64(word);
}

std::uint64_t hash_text(std::uint64_t hash, std::string_view text) noexcept {
  const auto add = [&hash](std::uint64_t word) {
    hash = (hash ^ word) * 0x9E3779B97F4A7C15U;
    hash ^= hash >> 32;
  };
  std::uint64_t last = static_cast<std::uint64_t>(text.size()) << 56;
  for (; text.size() >= sizeof last; text.remove_prefix(sizeof last)) add(little_endian_word(text.data()));
  for (std::size_t i = 0; i < text.size(); ++i) {
    last |= static_cast<std::uint64_t>(static_cast<unsigned char>(text[i])) << (8 * i);
  }
  add(last);
  return hash;
}

}  // namespace

std::uint32_t pair_hash(std::string_view key, std::optional<std::string_view> value) noexcept {
  std::uint64_t hash = hash_text(0, key);
  if (value) hash = hash_text(hash, *value);
  return static_cast<std::uint32_t>(hash);
}

// Radix sort: a comparison for each of log2(n) steps costs eight times as much.
void sort_pairs(std::vector<PairEntry>& entries) {
  constexpr unsigned kPasses = 3, kBits = 11, kDigits = 1U << kBits;
  const auto digit = [](std::uint32_t hash, unsigned pass) { return hash >> (pass * kBits) & (kDigits - 1); };
  std::vector<std::array<std::size_t, kDigits>> places(kPasses);
  for (const PairEntry& entry : entries) {
    for (unsigned pass = 0; pass < kPasses; ++pass) ++places[pass][digit(entry.hash, pass)];
  }
  std::vector<PairEntry> sorted(entries.size());
  for (unsigned pass = 0; pass < kPasses; ++pass) {
    std::size_t place = 0;
    for (std::size_t& count : places[pass]) {
      const std::size_t first = place;
      place += count;
      count = first;
    }
    for (const PairEntry& entry : entries) sorted[places[pass][digit(entry.hash, pass)]++] = entry;
    entries.swap(sorted);
  }
}

std::string encode_chunk(const std::vector<PairEntry>& entries, std::size_t& at) {
  std::string chunk(kChunkBytes, '\0');
  char* out = chunk.data();
  const char* const full = out + kChunkBytes - kMaxEntryBytes;
  PairEntry before{entries[at].hash, 0};
  while (at < entries.size() && out <= full) {
    const PairEntry& entry = entries[at++];
    out = put(out, entry.hash - before.hash);
    out = put(out, zigzag(static_cast<std::uint64_t>(entry.event_id) -
                          static_cast<std::uint64_t>(before.event_id)));
    before = entry;
  }
  chunk.resize(static_cast<std::size_t>(out - chunk.data()));
  return chunk;
}

void decode_chunk(std::uint32_t first_hash, std::string_view chunk, std::vector<PairEntry>& entries) {
  PairEntry entry{first_hash, 0};
  std::uint64_t hash = 0, id = 0;
  while (!chunk.empty() && get(chunk, hash) && get(chunk, id)) {
    entry.hash += static_cast<std::uint32_t>(hash);
    entry.event_id = static_cast<Id>(static_cast<std::uint64_t>(entry.event_id) + unzigzag(id));
    entries.push_back(entry);
  }
}

}  // namespace codewake::internal
