// Checksums that are made to fit, so that a fuzzer comes to what stands behind them.
#pragma once

#include <cstdint>
#include <span>

namespace codewake::testing {

/// Of the records of a lane, from this position on.
void repair_records(std::span<char> bytes, std::uint32_t lane, std::uint64_t position);
/// Of a file `front`, its first slot and the records there.
void repair_front(std::span<char> bytes);
/// Of a file of the spill.
void repair_spill(std::span<char> bytes);

}  // namespace codewake::testing
