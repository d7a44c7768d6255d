#include "journal/file_io.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/crc32c.hpp"
#include "base/file_size_signal.hpp"
#include "journal/event_codec.hpp"

namespace codewake::internal {
namespace {

std::error_code last_error() noexcept {
  return {errno, std::generic_category()};
}

}  // namespace

std::size_t read_at(int fd, void* to, std::size_t size_bytes, std::uint64_t offset) {
  std::size_t done = 0;
  while (done < size_bytes) {
    const ssize_t read =
        pread(fd, static_cast<char*>(to) + done, size_bytes - done, static_cast<off_t>(offset + done));
    if (read < 0 && errno == EINTR) continue;
    if (read < 0) throw std::system_error(last_error(), "reading a journal");
    if (read == 0) break;
    done += static_cast<std::size_t>(read);
  }
  return done;
}

std::error_code write_at(int fd, const void* from, std::size_t size_bytes, std::uint64_t offset) noexcept {
  const NoFileSizeSignal guard;
  std::size_t done = 0;
  while (done < size_bytes) {
    const ssize_t written = pwrite(fd, static_cast<const char*>(from) + done, size_bytes - done,
                                   static_cast<off_t>(offset + done));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return last_error();
    done += static_cast<std::size_t>(written);
  }
  return {};
}

std::uint64_t most_file_bytes() noexcept {
  rlimit limit{};
  const bool is_limited = getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
  return is_limited ? limit.rlim_cur : UINT64_MAX;
}

std::uint64_t size_of(int fd) noexcept {
  struct stat status {};
  return fstat(fd, &status) == 0 ? static_cast<std::uint64_t>(status.st_size) : 0;
}

std::string external_file(std::uint32_t lane, std::uint64_t position) {
  return fmt::format("large-{}-{}", lane, position);
}

std::error_code read_external_file(const Folder& folder, std::uint32_t lane, std::uint64_t position,
                                   const ExternalPayload& payload, std::string& content) {
  const FileDescriptor file = folder.open_file(external_file(lane, position), O_RDONLY);
  if (file.number() < 0) return last_error();
  // A file of several names could be the content of as many records.
  const auto status = file.regular_file();
  if (!status || status->st_nlink > 1) return std::make_error_code(std::errc::bad_message);
  const auto size = static_cast<std::uint64_t>(status->st_size);
  const auto hole = lseek(file.number(), 0, SEEK_HOLE);
  const bool is_whole = hole < 0 || static_cast<std::uint64_t>(hole) >= size;
  if (size != payload.size_bytes || size > kMaxPayloadBytes || (size != 0 && !is_whole))
    return std::make_error_code(std::errc::bad_message);
  content.resize(size);
  try {
    content.resize(read_at(file.number(), content.data(), content.size(), 0));
  } catch (const std::system_error& failed) {
    return failed.code();
  }
  const bool is_good = content.size() == size && crc32c(content.data(), content.size()) == payload.crc;
  return is_good ? std::error_code() : std::make_error_code(std::errc::bad_message);
}

}  // namespace codewake::internal
