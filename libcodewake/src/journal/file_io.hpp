// Reading and writing all of a range of a file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <system_error>

#include "base/folder.hpp"
#include "journal/format.hpp"

namespace codewake::internal {

/// Reads up to `size_bytes` from `offset` on; the result is how many there were. Throws std::system_error.
std::size_t read_at(int fd, void* to, std::size_t size_bytes, std::uint64_t offset);

/// Beyond RLIMIT_FSIZE it fails, without a signal.
std::error_code write_at(int fd, const void* from, std::size_t size_bytes, std::uint64_t offset) noexcept;

/// How large a file may be for this process, by RLIMIT_FSIZE; UINT64_MAX without a limit.
std::uint64_t most_file_bytes() noexcept;

/// 0 where it cannot be told.
std::uint64_t size_of(int fd) noexcept;

/// The name of the file with the content of an external record.
std::string external_file(std::uint32_t lane, std::uint64_t position);

/// That content, if it is what the record says. What no writer leaves is refused before memory is taken for
/// it: more than kMaxPayloadBytes, files with holes, and files with several names.
std::error_code read_external_file(const Folder& folder, std::uint32_t lane, std::uint64_t position,
                                   const ExternalPayload& payload, std::string& content);

}  // namespace codewake::internal
