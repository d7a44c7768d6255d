#include "stacktrace/elf_file.hpp"

#include <elf.h>
#include <elfutils/libdwelf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gelf.h>
#include <libelf.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef CODEWAKE_HAS_ZSTD
#include <zstd.h>
#endif

#include <algorithm>
#include <bit>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <iterator>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "stacktrace/elf_sections.hpp"
#include "stacktrace/small_symbols.hpp"

// The headers are read first, then the sections that are needed: the rest of a copy is memory that was never
// touched, so it costs nothing.

namespace codewake::internal {
namespace {

constexpr std::string_view kAltLink = ".gnu_debugaltlink";
constexpr std::size_t kHeadBytes = 4096;  // has the build-id of a file without sections, too
constexpr std::size_t kMaxIdBytes = 64;
constexpr std::size_t kMostCodeSections = 64;

// Of debug information what names functions and lines.
bool is_debug(std::string_view section) {
  static constexpr std::string_view kRead[] = {"abbrev", "addr",     "info", "line",        "line_str",
                                               "ranges", "rnglists", "str",  "str_offsets", "types"};
  for (const std::string_view prefix : {".debug_", ".zdebug_"}) {
    if (!section.starts_with(prefix)) continue;
    std::string_view rest = section.substr(prefix.size());
    if (rest.ends_with(".dwo")) rest.remove_suffix(4);
    return std::find(std::begin(kRead), std::end(kRead), rest) != std::end(kRead);
  }
  return false;
}

bool is_needed(std::string_view name, const GElf_Shdr& header) {
  return header.sh_type == SHT_SYMTAB || header.sh_type == SHT_DYNSYM || header.sh_type == SHT_STRTAB ||
         header.sh_type == SHT_NOTE || name == ".gnu_debuglink" || name == kAltLink || name == kSmallSymbols;
}

// How many bytes of section headers there are; empty where they are not as ELF says, or too many.
template <class Header, class Section, class Read>
std::optional<std::size_t> table_bytes(const char* image, std::uint64_t& offset, Read read) {
  Header header;
  std::memcpy(&header, image, sizeof header);
  offset = header.e_shoff;
  if (offset == 0) return 0;
  if (header.e_shentsize != sizeof(Section)) return std::nullopt;
  std::uint64_t count = header.e_shnum;
  if (count == 0) {  // too many for the field: the first section says how many
    Section first;
    if (!read(offset, sizeof first)) return std::nullopt;
    std::memcpy(&first, image + offset, sizeof first);
    count = first.sh_size;
  }
  if (count > ElfFile::kMaxCopiedBytes / sizeof(Section)) return std::nullopt;
  return count * sizeof(Section);
}

/// A section of debug information that zstd has compressed.
struct Packed {
  std::size_t number;   ///< of the section
  std::uint64_t begin;  ///< in the file, behind what says how it is compressed
  std::uint64_t bytes;
  std::uint64_t unpacked_bytes;
};

// What says how a section is compressed (gABI, "Compressed Sections") is read from the file: libelf would
// read all of the section, which may not be copied yet.
template <class Head>
std::optional<Packed> packed_by_zstd(const OpenFile& file, std::size_t number, const GElf_Shdr& header) {
  constexpr std::uint32_t kZstd = 2;  // ELFCOMPRESS_ZSTD, which older headers do not have
  Head head;
  const auto begin = static_cast<off_t>(header.sh_offset);
  if (header.sh_size < sizeof head || begin < 0) return std::nullopt;
  if (pread(file.descriptor.number(), &head, sizeof head, begin) != ssize_t{sizeof head}) return std::nullopt;
  if (head.ch_type != kZstd) return std::nullopt;
  return Packed{.number = number,
                .begin = header.sh_offset + sizeof head,
                .bytes = header.sh_size - sizeof head,
                .unpacked_bytes = head.ch_size};
}

// libelf has unpacked these since 0.189, where it was built so.
std::vector<Packed> packed_by_zstd(const OpenFile& file, Elf* elf) {
  std::vector<Packed> packed;
  find_section(elf, [&](std::string_view name, Elf_Scn* section, const GElf_Shdr& header) {
    if (!is_debug(name) || header.sh_type == SHT_NOBITS || (header.sh_flags & SHF_COMPRESSED) == 0)
      return false;
    const auto read =
        gelf_getclass(elf) == ELFCLASS64 ? &packed_by_zstd<Elf64_Chdr> : &packed_by_zstd<Elf32_Chdr>;
    if (const auto found = read(file, elf_ndxscn(section), header)) packed.push_back(*found);
    return false;
  });
  return packed;
}

// Says in the header of a section, in the image of a file, where its bytes are now.
template <class Header, class Section>
void move_section(char* image, std::size_t number, std::uint64_t offset, std::uint64_t bytes) {
  Header header;
  std::memcpy(&header, image, sizeof header);
  char* const at = image + header.e_shoff + number * sizeof(Section);
  Section section;
  std::memcpy(&section, at, sizeof section);
  section.sh_offset = static_cast<decltype(section.sh_offset)>(offset);
  section.sh_size = static_cast<decltype(section.sh_size)>(bytes);
  section.sh_flags &= ~static_cast<decltype(section.sh_flags)>(SHF_COMPRESSED);
  std::memcpy(at, &section, sizeof section);
}

std::string hexadecimal(std::string_view bytes) {
  const std::span id(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
  return fmt::format("{:02x}", fmt::join(id, ""));
}

bool is_same_time(const timespec& a, const timespec& b) {
  return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

}  // namespace

std::unique_ptr<ElfFile> ElfFile::open(const std::string& path, const FileOwners& owners,
                                       bool* is_unreadable) {
  std::optional<OpenFile> file = open_regular(path, kMaxFileBytes);
  if (!file || !owners.allow(*file)) return {};
  std::unique_ptr<ElfFile> elf(new ElfFile);
  elf->path_ = path;
  elf->size_ = static_cast<std::size_t>(file->status.st_size);
  elf->device_ = file->status.st_dev;
  elf->inode_ = file->status.st_ino;
  elf->modified_ = file->status.st_mtim;
  elf->owner_ = file->status.st_uid;
  elf->is_ours_ = internal::is_ours(*file);
  struct stat now {};
  bool is_read = elf->size_ > EI_NIDENT && elf->load(*file);
  // Half of a copy may be of another file.
  if (is_read && !elf->is_mapped_)
    is_read = fstat(file->descriptor.number(), &now) == 0 && elf->is_same_as(now);
  if (is_unreadable != nullptr) *is_unreadable = !is_read;
  return is_read ? std::move(elf) : nullptr;
}

ElfFile::~ElfFile() {
  let_go();
  drop();
}

void ElfFile::drop() noexcept {
  if (elf_ != nullptr) elf_end(elf_);
  if (image_ != nullptr) munmap(image_, image_bytes_);
  elf_ = nullptr;
  image_ = nullptr;
  image_bytes_ = 0;
  copied_bytes_ = 0;
  max_copied_bytes_ = kMaxCopiedBytes;
  has_names_ = false;
  is_mapped_ = false;
}

bool ElfFile::load(OpenFile& file) {
  elf_version(EV_CURRENT);
  if (!begin_copy(file)) return false;
  bool with_debug = copy_sections(file, true, kMaxCopiedBytes);
  if (!with_debug && may_be_mapped(file) && packed_by_zstd(file, elf_).empty()) {
    drop();
    with_debug = map(file) && begin();
    if (!with_debug && !begin_copy(file)) return false;
  }
  with_debug = with_debug || copy_sections(file, true, kMaxCopiedDebugBytes);
  if (with_debug) {
    max_copied_bytes_ = kMaxCopiedDebugBytes;
    with_debug = unpack_by_zstd(file);
    if (elf_ == nullptr) return false;
  }
  if (!with_debug && !copy_sections(file, false, kMaxCopiedSymbolBytes)) return false;
  note_alt_link();
  hide_other_sections(with_debug);
  find_code();
  if (is_mapped_) find_read_pages();
  return true;
}

// Anew, if something else was tried before.
bool ElfFile::begin_copy(const OpenFile& file) {
  drop();
  return reserve() && read_headers(file) && begin();
}

bool ElfFile::reserve() {
  void* const image =
      mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (image == MAP_FAILED) return false;
  image_ = static_cast<char*>(image);
  image_bytes_ = size_;
  return true;
}

bool ElfFile::map(OpenFile& file) {
  // Writable, for libelf notes in the headers what it has unpacked; the file does not change.
  void* const image =
      mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, file.descriptor.number(), 0);
  if (image == MAP_FAILED) return false;
  image_ = static_cast<char*>(image);
  image_bytes_ = size_;
  FileDescriptor again(fcntl(file.descriptor.number(), F_DUPFD_CLOEXEC, 0));
  held_ = HeldFile(std::move(again));
  is_mapped_ = true;
  if (lease()) return true;
  let_go();
  return false;
}

// Whether what is mapped may be touched. The kernel sends the holder of a lease a signal when a writer waits,
// unless the file has no owner. F_SETLEASE sets the owner, so that it can be removed only afterwards: for
// that moment the signal is one whose default is to be ignored.
bool ElfFile::lease() {
  struct stat now {};
  const int file = held_.fd();
  if (may_hold_ && (fcntl(file, F_SETSIG, SIGURG) != 0 || fcntl(file, F_SETLEASE, F_RDLCK) != 0)) {
    if (errno == EAGAIN) return false;  // it is open for writing
    may_hold_ = false;
  }
  if (may_hold_) fcntl(file, F_SETOWN, 0);
  return fstat(file, &now) == 0 && is_same_as(now);
}

bool ElfFile::hold() {
  if (!is_mapped_ || held_.is_open()) return true;
  std::optional<OpenFile> file = open_regular(path_, UINT64_MAX);
  if (!file || file->status.st_dev != device_ || file->status.st_ino != inode_) return true;
  held_ = HeldFile(std::move(file->descriptor));
  return lease();
}

void ElfFile::let_go() noexcept {
  // Not by closing alone: a child of a fork() may have the descriptor, too.
  if (may_hold_ && held_.is_open()) fcntl(held_.fd(), F_SETLEASE, F_UNLCK);
  held_ = HeldFile();
}

bool ElfFile::is_same_as(const struct stat& status) const noexcept {
  return static_cast<std::size_t>(status.st_size) == size_ && is_same_time(status.st_mtim, modified_);
}

// Whether the file has these bytes and the copy may have so many more.
bool ElfFile::read(const OpenFile& file, std::uint64_t offset, std::uint64_t bytes) {
  if (offset > size_ || bytes > size_ - offset || bytes > max_copied_bytes_ - copied_bytes_) return false;
  copied_bytes_ += bytes;
  while (bytes > 0) {
    const ssize_t count = pread(file.descriptor.number(), image_ + offset, bytes, static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    offset += static_cast<std::uint64_t>(count);
    bytes -= static_cast<std::uint64_t>(count);
  }
  return true;
}

bool ElfFile::read_headers(const OpenFile& file) {
  if (!read(file, 0, std::min(size_, kHeadBytes)) || std::memcmp(image_, ELFMAG, SELFMAG) != 0) return false;
  constexpr int kOrder = std::endian::native == std::endian::little ? ELFDATA2LSB : ELFDATA2MSB;
  if (image_[EI_DATA] != kOrder) return false;
  const auto more = [&](std::uint64_t at, std::uint64_t bytes) { return read(file, at, bytes); };
  std::uint64_t offset = 0;
  std::optional<std::size_t> bytes;
  if (image_[EI_CLASS] == ELFCLASS64 && size_ >= sizeof(Elf64_Ehdr)) {
    bytes = table_bytes<Elf64_Ehdr, Elf64_Shdr>(image_, offset, more);
  } else if (image_[EI_CLASS] == ELFCLASS32 && size_ >= sizeof(Elf32_Ehdr)) {
    bytes = table_bytes<Elf32_Ehdr, Elf32_Shdr>(image_, offset, more);
  }
  return bytes && read(file, offset, *bytes);
}

bool ElfFile::begin() {
  elf_ = elf_memory(image_, image_bytes_);
  return elf_ != nullptr && elf_kind(elf_) == ELF_K_ELF;
}

// Whether all that is needed could be copied; nothing is if the copy would have more than `max_bytes`.
bool ElfFile::copy_sections(const OpenFile& file, bool with_debug, std::size_t max_bytes) {
  max_copied_bytes_ = max_bytes;
  std::size_t names = 0;
  GElf_Shdr header;
  if (elf_getshdrstrndx(elf_, &names) != 0) return false;
  if (names == 0) return true;  // no sections
  if (gelf_getshdr(elf_getscn(elf_, names), &header) == nullptr) return false;
  if ((header.sh_flags & SHF_COMPRESSED) != 0) return false;  // libelf would unpack it, whatever its size
  if (!has_names_ && !read(file, header.sh_offset, header.sh_size)) return false;
  has_names_ = true;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> pieces;
  std::uint64_t bytes = copied_bytes_;
  find_section(elf_, [&](std::string_view name, Elf_Scn* section, const GElf_Shdr& found) {
    if (found.sh_type == SHT_NOBITS || elf_ndxscn(section) == names) return false;
    if (!is_needed(name, found) && !(with_debug && is_debug(name))) return false;
    // A section that the file does not have as a whole stays empty.
    if (found.sh_offset > size_ || found.sh_size > size_ - found.sh_offset) return false;
    pieces.emplace_back(found.sh_offset, found.sh_size);
    bytes += found.sh_size;
    return bytes > max_bytes;
  });
  return bytes <= max_bytes && std::all_of(pieces.begin(), pieces.end(), [&](const auto& piece) {
           return read(file, piece.first, piece.second);
         });
}

// Behind the copy of the file, where there is room for it; whether there was nothing to do, or it was done.
bool ElfFile::unpack_by_zstd([[maybe_unused]] const OpenFile& file) {
#ifdef CODEWAKE_HAS_ZSTD
  if (is_mapped_) return true;
  const std::vector<Packed> packed = packed_by_zstd(file, elf_);
  if (packed.empty()) return true;
  std::uint64_t bytes = 0;
  for (const Packed& section : packed) {
    if (section.unpacked_bytes > max_copied_bytes_ - copied_bytes_ - bytes) return false;
    bytes += section.unpacked_bytes;
  }
  void* const larger = mremap(image_, image_bytes_, size_ + bytes, MREMAP_MAYMOVE);
  if (larger == MAP_FAILED) return false;
  const bool is_64 = gelf_getclass(elf_) == ELFCLASS64;
  elf_end(std::exchange(elf_, nullptr));
  image_ = static_cast<char*>(larger);
  image_bytes_ = size_ + bytes;
  copied_bytes_ += bytes;
  std::uint64_t end = size_;
  bool is_whole = true;
  for (const Packed& section : packed) {
    const std::size_t unpacked =
        ZSTD_decompress(image_ + end, section.unpacked_bytes, image_ + section.begin, section.bytes);
    is_whole = is_whole && unpacked == section.unpacked_bytes;
    const auto move = is_64 ? &move_section<Elf64_Ehdr, Elf64_Shdr> : &move_section<Elf32_Ehdr, Elf32_Shdr>;
    move(image_, section.number, end, section.unpacked_bytes);
    end += section.unpacked_bytes;
  }
  return begin() && is_whole;
#else
  return true;  // a libelf that can do it does
#endif
}

void ElfFile::note_alt_link() {
  find_section(elf_, [&](std::string_view name, Elf_Scn* section, const GElf_Shdr& header) {
    if (name != kAltLink || header.sh_type == SHT_NOBITS) return false;
    const Elf_Data* const data = elf_rawdata(section, nullptr);
    if (data == nullptr || data->d_buf == nullptr) return true;
    const std::string_view content(static_cast<const char*>(data->d_buf), data->d_size);
    const std::size_t end = content.find('\0');
    if (end == content.npos || content.size() - end - 1 > kMaxIdBytes) return true;
    alt_link_ = AltLink{.name = std::string(content.substr(0, end)),
                        .build_id = hexadecimal(content.substr(end + 1))};
    return true;
  });
}

// libdw and libelf look at no others then: not at a link to a file that libdw would open by its path, which
// may be a pipe, and not at what is compressed and not needed.
void ElfFile::hide_other_sections(bool with_debug) {
  find_section(elf_, [&](std::string_view name, Elf_Scn* section, GElf_Shdr header) {
    const bool is_read = name != kAltLink && (is_needed(name, header) || (with_debug && is_debug(name)));
    if (is_read || header.sh_type == SHT_NULL) return false;
    header.sh_type = SHT_NOBITS;
    gelf_update_shdr(section, &header);
    return false;
  });
}

std::string ElfFile::build_id() const {
  const void* bytes = nullptr;
  const ssize_t size = dwelf_elf_gnu_build_id(elf_, &bytes);
  if (size <= 0) return {};
  return hexadecimal({static_cast<const char*>(bytes), static_cast<std::size_t>(size)});
}

std::optional<DebugLink> ElfFile::debug_link() const {
  GElf_Word crc32 = 0;
  const char* name = dwelf_elf_gnu_debuglink(elf_, &crc32);
  if (name == nullptr) return std::nullopt;
  return DebugLink{.name = name, .crc32 = crc32};
}

bool ElfFile::has_debug_info() const {
  return find_section(elf_, [](std::string_view name, Elf_Scn*, const GElf_Shdr& header) {
    return header.sh_type != SHT_NOBITS &&
           (name == ".debug_info" || name == ".zdebug_info" || name == ".debug_info.dwo");
  });
}

bool ElfFile::is_code(std::uint64_t address) const noexcept {
  if (code_.empty()) return address != 0;
  return std::any_of(code_.begin(), code_.end(), [&](const auto& section) {
    return address >= section.first && address < section.second;
  });
}

std::string_view ElfFile::unpacked_section(std::string_view wanted) const {
  std::string_view found;
  find_section(elf_, [&](std::string_view name, Elf_Scn* section, const GElf_Shdr& header) {
    const bool is_older_form =
        name.starts_with(".z") && wanted.starts_with('.') && name.substr(2) == wanted.substr(1);
    if ((name != wanted && !is_older_form) || header.sh_type == SHT_NOBITS) return false;
    if ((header.sh_flags & SHF_COMPRESSED) != 0) return false;
    const Elf_Data* const data = elf_rawdata(section, nullptr);
    if (data == nullptr || data->d_buf == nullptr) return false;
    found = {static_cast<const char*>(data->d_buf), data->d_size};
    return true;
  });
  return found;
}

std::size_t ElfFile::unpacked_bytes() const {
  std::size_t bytes = 0;
  find_section(elf_, [&](std::string_view name, Elf_Scn* section, const GElf_Shdr& header) {
    if (!is_debug(name) || header.sh_type == SHT_NOBITS) return false;
    GElf_Chdr compressed;
    std::size_t size = 0;
    if ((header.sh_flags & SHF_COMPRESSED) != 0 && gelf_getchdr(section, &compressed) != nullptr) {
      size = compressed.ch_size;
    } else if (name.starts_with(".z")) {
      // The older form: "ZLIB", and the size as eight bytes, the highest first.
      const Elf_Data* data = elf_rawdata(section, nullptr);
      if (data == nullptr || data->d_buf == nullptr || data->d_size < 12) return false;
      for (int i = 4; i < 12; ++i) size = size << 8 | static_cast<const unsigned char*>(data->d_buf)[i];
    }
    bytes = size > SIZE_MAX - bytes ? SIZE_MAX : bytes + size;
    return false;
  });
  return bytes;
}

void ElfFile::find_code() {
  find_section(elf_, [&](std::string_view, Elf_Scn*, const GElf_Shdr& header) {
    const bool is_code = (header.sh_flags & SHF_ALLOC) != 0 && (header.sh_flags & SHF_EXECINSTR) != 0;
    if (!is_code || header.sh_size > UINT64_MAX - header.sh_addr) return false;
    const std::uint64_t end = header.sh_addr + header.sh_size;
    if (code_.size() < kMostCodeSections) {
      code_.emplace_back(header.sh_addr, end);
    } else {  // what lies between them is taken for code, too
      code_.back() = {std::min(code_.back().first, header.sh_addr), std::max(code_.back().second, end)};
    }
    return false;
  });
}

// Whole pages: what is beside the sections may have been written to.
void ElfFile::find_read_pages() {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  find_section(elf_, [&](std::string_view name, Elf_Scn*, const GElf_Shdr& header) {
    const bool is_read = is_debug(name) || name == ".symtab" || name == ".strtab";
    if (!is_read || header.sh_type == SHT_NOBITS) return false;
    if (header.sh_offset > size_ || header.sh_size > size_ - header.sh_offset) return false;
    const std::size_t begin = (header.sh_offset + page - 1) / page * page;
    const std::size_t end = (header.sh_offset + header.sh_size) / page * page;
    if (begin < end) read_pages_.push_back({image_ + begin, end - begin});
    return false;
  });
}

void ElfFile::release_pages() const noexcept {
  for (const std::span<char> pages : read_pages_) madvise(pages.data(), pages.size(), MADV_DONTNEED);
}

}  // namespace codewake::internal
