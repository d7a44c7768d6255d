#include "stacktrace/elf_file.hpp"

#include <elfutils/libdwelf.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gelf.h>
#include <libelf.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <span>
#include <string_view>

#include "base/file_descriptor.hpp"

namespace codewake::internal {
namespace {

// Calls `visit(name, header)` for each section until it returns true; whether it did.
template <class Visit>
bool find_section(Elf* elf, Visit visit) {
  std::size_t names = 0;
  if (elf_getshdrstrndx(elf, &names) != 0) return false;
  for (Elf_Scn* section = nullptr; (section = elf_nextscn(elf, section)) != nullptr;) {
    GElf_Shdr header;
    if (gelf_getshdr(section, &header) == nullptr) continue;
    const char* name = elf_strptr(elf, names, header.sh_name);
    if (name != nullptr && visit(std::string_view(name), section, header)) return true;
  }
  return false;
}

bool is_debug(std::string_view section) {
  return section.starts_with(".debug_") || section.starts_with(".zdebug_");
}

}  // namespace

std::unique_ptr<ElfFile> ElfFile::open(const std::string& path) {
  const FileDescriptor descriptor(path.c_str());
  const auto status = descriptor.regular_file();
  if (!status || status->st_size <= EI_NIDENT) return {};
  std::unique_ptr<ElfFile> file(new ElfFile);
  file->path_ = path;
  file->size_ = static_cast<std::size_t>(status->st_size);
  file->device_ = status->st_dev;
  file->inode_ = status->st_ino;
  file->modified_ = status->st_mtim;
  // Writable, for libelf notes in the headers what it has unpacked; the file does not change.
  void* image =
      mmap(nullptr, file->size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, descriptor.number(), 0);
  if (image == MAP_FAILED) return {};
  file->image_ = static_cast<char*>(image);
  elf_version(EV_CURRENT);
  file->elf_ = elf_memory(file->image_, file->size_);
  if (file->elf_ == nullptr || elf_kind(file->elf_) != ELF_K_ELF) return {};
  file->find_read_pages();
  return file;
}

ElfFile::~ElfFile() {
  if (elf_ != nullptr) elf_end(elf_);
  if (image_ != nullptr) munmap(image_, size_);
}

std::string ElfFile::build_id() const {
  const void* bytes = nullptr;
  const ssize_t size = dwelf_elf_gnu_build_id(elf_, &bytes);
  if (size <= 0) return {};
  const std::span id(static_cast<const unsigned char*>(bytes), static_cast<std::size_t>(size));
  return fmt::format("{:02x}", fmt::join(id, ""));
}

std::optional<DebugLink> ElfFile::debug_link() const {
  GElf_Word crc32 = 0;
  const char* name = dwelf_elf_gnu_debuglink(elf_, &crc32);
  if (name == nullptr) return std::nullopt;
  return DebugLink{.name = name, .crc32 = crc32};
}

bool ElfFile::has_debug_info() const {
  return find_section(elf_, [](std::string_view name, Elf_Scn*, const GElf_Shdr& header) {
    return header.sh_type != SHT_NOBITS && (name == ".debug_info" || name == ".zdebug_info");
  });
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

bool ElfFile::is_changed() const {
  struct stat status {};
  if (stat(path_.c_str(), &status) != 0 || status.st_dev != device_ || status.st_ino != inode_) return false;
  return static_cast<std::size_t>(status.st_size) != size_ || status.st_mtim.tv_sec != modified_.tv_sec ||
         status.st_mtim.tv_nsec != modified_.tv_nsec;
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
