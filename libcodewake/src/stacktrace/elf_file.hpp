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
#include <string_view>
#include <utility>
#include <vector>

#include "base/held_file.hpp"
#include "stacktrace/file_trust.hpp"

struct Elf;

namespace codewake::internal {

/// What `.gnu_debuglink` says of the file that holds the debug information.
struct DebugLink {
  std::string name;
  std::uint32_t crc32 = 0;
};

/// What `.gnu_debugaltlink` says of the file that several debug files share.
struct AltLink {
  std::string name;
  std::string build_id;  ///< lower-case hexadecimal
};

/// The sections of a file that tell about functions and lines; all others are seen as empty. They are a copy,
/// whatever happens to the file afterwards, if they take at most kMaxCopiedBytes. A larger file is mapped, if
/// no other user can write to it and no process has it open for writing. Otherwise it is copied, too: up to
/// kMaxCopiedDebugBytes, or without debug information up to kMaxCopiedSymbolBytes; a file with more is not
/// read. What zstd has compressed is unpacked in a copy, as part of these bytes. Keeps a descriptor only
/// while it is held. Nothing in the file is trusted. Reentrant.
class ElfFile {
 public:
  static constexpr std::size_t kMaxCopiedBytes = 4u << 20;
  static constexpr std::size_t kMaxCopiedDebugBytes = 24u << 20;
  static constexpr std::size_t kMaxCopiedSymbolBytes = 64u << 20;
  /// A larger file is not read.
  static constexpr std::uint64_t kMaxFileBytes = std::uint64_t{16} << 30;

  /// Null where there is no regular file of this path that belongs to one of these owners, where it cannot be
  /// read or changes meanwhile, and where it is no ELF file of this machine's byte order. `is_unreadable`, if
  /// not null, is set to whether there is a file of these owners that could not be read: a later try may
  /// succeed, as when the file is being written.
  static std::unique_ptr<ElfFile> open(const std::string& path, const FileOwners& owners,
                                       bool* is_unreadable = nullptr);

  ElfFile(const ElfFile&) = delete;
  ElfFile& operator=(const ElfFile&) = delete;
  ~ElfFile();

  const std::string& path() const noexcept { return path_; }

  /// Valid as long as this.
  Elf* elf() const noexcept { return elf_; }

  /// In lower-case hexadecimal; empty where it has none.
  std::string build_id() const;
  std::optional<DebugLink> debug_link() const;
  const std::optional<AltLink>& alt_link() const noexcept { return alt_link_; }

  /// Whether there is debug information for more than the call frames.
  bool has_debug_info() const;

  /// Whether code lies at an address of the file, by its sections; where it has none, all but 0 are taken for
  /// it.
  bool is_code(std::uint64_t address) const noexcept;

  /// What a section has, unpacked by libdw before; empty where there is none. Valid as long as this, and
  /// until its pages are released.
  std::string_view unpacked_section(std::string_view name) const;

  /// What the debug information takes in memory when it is unpacked; 0 where it is not compressed.
  std::size_t unpacked_bytes() const;

  /// From here to `let_go` no process writes to a mapped file or cuts it off, not even its owner's linker: it
  /// waits (fcntl's F_SETLEASE; where that is not allowed, as for files of root, only a change up to here is
  /// seen). False where the file was written to since it was opened: it must not be touched any more, that
  /// would be a SIGBUS. A copy, and a file that another one has replaced, stay as they were. Holds once it is
  /// open.
  bool hold();
  void let_go() noexcept;

  /// See the function `is_ours`, as of when it was opened.
  bool is_ours() const noexcept { return is_ours_; }
  uid_t owner() const noexcept { return owner_; }

  /// What the copy takes in memory.
  std::size_t copied_bytes() const noexcept { return copied_bytes_; }

  bool is_same_file(const ElfFile& other) const noexcept {
    return device_ == other.device_ && inode_ == other.inode_;
  }

  /// Gives back the memory of symbols and debug information that were read; they are read again when needed.
  void release_pages() const noexcept;

 private:
  ElfFile() = default;

  bool load(OpenFile& file);
  bool begin_copy(const OpenFile& file);
  bool reserve();
  bool map(OpenFile& file);
  bool lease();
  bool is_same_as(const struct stat& status) const noexcept;
  bool read(const OpenFile& file, std::uint64_t offset, std::uint64_t bytes);
  bool read_headers(const OpenFile& file);
  bool begin();
  bool copy_sections(const OpenFile& file, bool with_debug, std::size_t max_bytes);
  bool unpack_by_zstd(const OpenFile& file);
  void note_alt_link();
  void hide_other_sections(bool with_debug);
  void find_read_pages();
  void find_code();
  void drop() noexcept;

  std::string path_;
  char* image_ = nullptr;
  std::size_t size_ = 0;         // of the file
  std::size_t image_bytes_ = 0;  // of the image: what was unpacked lies behind the file's bytes
  std::size_t copied_bytes_ = 0;
  std::size_t max_copied_bytes_ = kMaxCopiedBytes;
  bool has_names_ = false;  // those of sections, in the copy
  bool is_mapped_ = false;
  bool is_ours_ = false;
  bool may_hold_ = true;
  HeldFile held_;  // has the lease
  uid_t owner_ = 0;
  Elf* elf_ = nullptr;
  std::optional<AltLink> alt_link_;
  dev_t device_ = 0;
  ino_t inode_ = 0;
  timespec modified_{};
  std::vector<std::span<char>> read_pages_;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> code_;  // begin and end
};

}  // namespace codewake::internal
