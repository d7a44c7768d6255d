// An ELF file on disk, seen through libelf.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <ctime>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

struct Elf;

namespace codewake::internal {

/// What `.gnu_debuglink` says of the file that holds the debug information.
struct DebugLink {
  std::string name;
  std::uint32_t crc32 = 0;
};

/// A file that is mapped for as long as the object lives; it keeps no descriptor. Nothing in the file is
/// trusted. Reentrant.
class ElfFile {
 public:
  /// Null where there is no regular file of this path, where it cannot be read, and where it is no ELF file.
  static std::unique_ptr<ElfFile> open(const std::string& path);

  ElfFile(const ElfFile&) = delete;
  ElfFile& operator=(const ElfFile&) = delete;
  ~ElfFile();

  /// Valid as long as this.
  Elf* elf() const noexcept { return elf_; }

  /// In lower-case hexadecimal; empty where it has none.
  std::string build_id() const;
  std::optional<DebugLink> debug_link() const;

  /// Whether there is debug information for more than the call frames.
  bool has_debug_info() const;

  /// What the debug information takes in memory when it is unpacked; 0 where it is not compressed.
  std::size_t unpacked_bytes() const;

  /// Whether somebody has written into the file since it was opened. What was cut off it must not be touched:
  /// that would be a SIGBUS. A file that another one has replaced stays as it was.
  bool is_changed() const;

  bool is_same_file(const ElfFile& other) const noexcept {
    return device_ == other.device_ && inode_ == other.inode_;
  }

  /// Gives back the memory of symbols and debug information that were read; they are read again when needed.
  void release_pages() const noexcept;

 private:
  ElfFile() = default;

  void find_read_pages();

  std::string path_;
  char* image_ = nullptr;
  std::size_t size_ = 0;
  Elf* elf_ = nullptr;
  dev_t device_ = 0;
  ino_t inode_ = 0;
  timespec modified_{};
  std::vector<std::span<char>> read_pages_;
};

}  // namespace codewake::internal
