// Call frame information: what .eh_frame says of the function that an instruction belongs to. Its format:
// LSB 5.0 Core, 10.6 "Exception Frames"; the index: 10.6.2 "The .eh_frame_hdr section".
#pragma once

#include <cstdint>

#include "stacktrace/unwind/code_module.hpp"
#include "stacktrace/unwind/table_reader.hpp"

namespace codewake::internal {

/// A frame description entry together with its common information entry.
struct FrameDescription {
  std::uintptr_t begin = 0;  // of the entry
  std::uintptr_t function_begin = 0;
  std::uintptr_t function_end = 0;
  std::uint64_t code_alignment = 0;
  std::int64_t data_alignment = 0;
  PointerEncoding encoding;
  bool is_signal_frame = false;
  // Call frame instructions: those that all entries of the kind share, and those of this one.
  std::uintptr_t common_begin = 0;
  std::uintptr_t common_end = 0;
  std::uintptr_t own_begin = 0;
  std::uintptr_t own_end = 0;
};

/// False where the module's tables do not name the address, or are damaged. Async-signal-safe, thread-safe.
bool find_frame_description(const CodeModule& module, std::uintptr_t address,
                            FrameDescription& found) noexcept;

}  // namespace codewake::internal
