#include "journal/file_io.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/crc32c.hpp"

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

std::error_code write_new_file(const std::filesystem::path& path, std::string_view content,
                               bool sync) noexcept {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return last_error();
  std::error_code error = write_at(fd, content.data(), content.size(), 0);
  if (!error && sync && fdatasync(fd) != 0) error = last_error();
  close(fd);
  if (error) unlink(path.c_str());
  return error;
}

std::error_code sync_path(const std::filesystem::path& path) noexcept {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return last_error();
  // Some file systems have nothing to sync a folder for, and say EINVAL.
  const std::error_code error = fsync(fd) == 0 || errno == EINVAL ? std::error_code() : last_error();
  close(fd);
  return error;
}

std::uint64_t size_of(int fd) noexcept {
  struct stat status {};
  return fstat(fd, &status) == 0 ? static_cast<std::uint64_t>(status.st_size) : 0;
}

std::filesystem::path external_file(const std::filesystem::path& folder, std::uint32_t lane,
                                    std::uint64_t position) {
  return folder / fmt::format("large-{}-{}", lane, position);
}

std::error_code read_external_file(const std::filesystem::path& folder, std::uint32_t lane,
                                   std::uint64_t position, const ExternalPayload& payload,
                                   std::string& content) {
  const int fd = open(external_file(folder, lane, position).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return last_error();
  const std::uint64_t size = size_of(fd);
  std::error_code error;
  if (size == payload.size_bytes) {
    content.resize(size);
    try {
      content.resize(read_at(fd, content.data(), content.size(), 0));
    } catch (const std::system_error& failed) {
      error = failed.code();
    }
  }
  close(fd);
  const bool good = size == payload.size_bytes && crc32c(content.data(), content.size()) == payload.crc;
  return error || good ? error : std::make_error_code(std::errc::bad_message);
}

}  // namespace codewake::internal
