// Reading and writing all of a range of a file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>

#include "journal/format.hpp"

namespace codewake::internal {

/// Reads up to `size_bytes` from `offset` on; the result is how many there were. Throws std::system_error.
std::size_t read_at(int fd, void* to, std::size_t size_bytes, std::uint64_t offset);

std::error_code write_at(int fd, const void* from, std::size_t size_bytes, std::uint64_t offset) noexcept;

/// Makes a file of this content, for this user alone; nothing is left of it after an error.
std::error_code write_new_file(const std::filesystem::path& path, std::string_view content,
                               bool sync) noexcept;

/// Returns once a file's content, or the names in a folder, survive the machine.
std::error_code sync_path(const std::filesystem::path& path) noexcept;

/// 0 where it cannot be told.
std::uint64_t size_of(int fd) noexcept;

/// Where the content of an external record lies.
std::filesystem::path external_file(const std::filesystem::path& folder, std::uint32_t lane,
                                    std::uint64_t position);

/// That content, if it is what the record says.
std::error_code read_external_file(const std::filesystem::path& folder, std::uint32_t lane,
                                   std::uint64_t position, const ExternalPayload& payload,
                                   std::string& content);

}  // namespace codewake::internal
