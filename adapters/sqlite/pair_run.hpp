// The runs of the index of pairs, as bytes: what `pair_index.hpp` keeps in the database.
//
// A chunk is a list of entries, sorted by hash: the hash as the difference to the one before (the chunk's
// first_hash before the first), then the event's id as the zigzag difference to the one before (0 before the
// first), both as LEB128.
//
// The hash of a pair is made from 64-bit words, by h = (h ^ word) * 0x9E3779B97F4A7C15; h ^= h >> 32, from h
// = 0 on. The words are the key's bytes, little-endian, eight each; then one that holds the bytes left over
// (none to seven) and in its uppermost byte the size modulo 256; then, unless the value is NULL, the value's
// in the same way. The lower half of h is the hash.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "codewake/records.hpp"

namespace codewake::internal {

std::uint32_t pair_hash(std::string_view key, std::optional<std::string_view> value) noexcept;

struct PairEntry {
  std::uint32_t hash = 0;
  Id event_id = 0;

  bool operator==(const PairEntry&) const = default;
};

/// By hash; entries of one hash keep their order.
void sort_pairs(std::vector<PairEntry>& entries);

/// Encodes sorted entries from `at` on, as many as a chunk takes, and moves `at` behind them.
std::string encode_chunk(const std::vector<PairEntry>& entries, std::size_t& at);

/// Appends the entries of a chunk. What is not one gives fewer entries, never more.
void decode_chunk(std::uint32_t first_hash, std::string_view chunk, std::vector<PairEntry>& entries);

}  // namespace codewake::internal
