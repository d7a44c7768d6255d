#include "watch/program_file.hpp"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace codewake::internal {
namespace {

#if defined(__x86_64__)
constexpr ElfW(Half) kMachine = EM_X86_64;
#elif defined(__aarch64__)
constexpr ElfW(Half) kMachine = EM_AARCH64;
#endif

// As kernels bound it: a script's interpreter may be a script.
constexpr int kMostInterpreters = 5;
constexpr std::size_t kMostHeaders = 64;
constexpr std::size_t kTextBytes = 4096;

constexpr std::string_view kSharedSanitizers[] = {"libasan.so",        "libtsan.so",       "liblsan.so",
                                                  "libhwasan.so",      "libclang_rt.asan", "libclang_rt.tsan",
                                                  "libclang_rt.hwasan"};
constexpr std::string_view kOtherRuntimes[] = {"libc++.so", "libc++abi.so"};
constexpr std::string_view kSanitizerFunctions[] = {"__asan_init", "__tsan_init", "__msan_init",
                                                    "__hwasan_init", "__lsan_init"};

class File {
 public:
  explicit File(const char* path) noexcept
      : fd_(open(path, O_RDONLY | O_CLOEXEC)) {}  // lint: the caller's path
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() {
    if (fd_ >= 0) close(fd_);
  }

  int number() const noexcept { return fd_; }

  /// As many bytes as there are.
  std::size_t read_some(void* to, std::size_t size_bytes, std::uint64_t offset) const noexcept {
    const ssize_t done = pread(fd_, to, size_bytes, static_cast<off_t>(offset));
    return done < 0 ? 0 : static_cast<std::size_t>(done);
  }
  template <class T>
  bool read_at(T& to, std::uint64_t offset) const noexcept {
    return read_some(&to, sizeof to, offset) == sizeof to;
  }

 private:
  int fd_;
};

/// The program headers of a file, and what they say of its dynamic section.
class ProgramHeaders {
 public:
  ProgramHeaders(const File& file, const ElfW(Ehdr) & header) noexcept : file_(file) {
    count_ = std::min<std::size_t>(header.e_phnum, kMostHeaders);
    if (header.e_phentsize != sizeof *headers_) count_ = 0;
    count_ = file.read_some(headers_, count_ * sizeof *headers_, header.e_phoff) / sizeof *headers_;
  }

  const ElfW(Phdr) * find(ElfW(Word) type) const noexcept {
    const auto* const found =
        std::find_if(headers_, headers_ + count_, [&](const auto& one) { return one.p_type == type; });
    return found == headers_ + count_ ? nullptr : found;
  }

  /// Where an address lies in the file; 0: nowhere.
  std::uint64_t offset_of(std::uint64_t address) const noexcept {
    for (const auto* one = headers_; one != headers_ + count_; ++one) {
      if (one->p_type == PT_LOAD && address >= one->p_vaddr && address - one->p_vaddr < one->p_filesz)
        return address - one->p_vaddr + one->p_offset;
    }
    return 0;
  }

  /// Calls `see` with each entry of the dynamic section until it returns false.
  template <class See>
  void each_entry(See see) const noexcept {
    const ElfW(Phdr)* const dynamic = find(PT_DYNAMIC);
    if (dynamic == nullptr) return;
    for (std::uint64_t at = 0; at + sizeof(ElfW(Dyn)) <= dynamic->p_filesz;) {
      ElfW(Dyn) entries[64];
      const std::size_t wanted = std::min<std::uint64_t>(sizeof entries, dynamic->p_filesz - at);
      const std::size_t count = file_.read_some(entries, wanted, dynamic->p_offset + at) / sizeof *entries;
      if (count == 0) return;
      for (std::size_t i = 0; i < count; ++i) {
        if (entries[i].d_tag == DT_NULL || !see(entries[i])) return;
      }
      at += count * sizeof *entries;
    }
  }

 private:
  const File& file_;
  ElfW(Phdr) headers_[kMostHeaders] = {};
  std::size_t count_ = 0;
};

struct Strings {
  std::uint64_t offset = 0;
  std::uint64_t size_bytes = 0;
};

Strings strings_of(const ProgramHeaders& headers) noexcept {
  Strings strings;
  headers.each_entry([&](const ElfW(Dyn) & entry) {
    if (entry.d_tag == DT_STRTAB) strings.offset = headers.offset_of(entry.d_un.d_ptr);
    if (entry.d_tag == DT_STRSZ) strings.size_bytes = entry.d_un.d_val;
    return true;
  });
  return strings;
}

/// Whether it is linked with a library whose name begins with one of these.
bool needs_one_of(std::span<const std::string_view> names, const File& file, const ProgramHeaders& headers,
                  const Strings& strings) noexcept {
  bool found = false;
  headers.each_entry([&](const ElfW(Dyn) & entry) {
    if (entry.d_tag != DT_NEEDED) return true;
    char name[64] = {};
    file.read_some(name, sizeof name - 1, strings.offset + entry.d_un.d_val);
    found = std::any_of(names.begin(), names.end(),
                        [&](std::string_view one) { return std::string_view(name).starts_with(one); });
    return !found;
  });
  return found;
}

// Names of functions that it has or wants stand among its strings, each behind a zero.
bool contains_sanitizer(const File& file, const Strings& strings) noexcept {
  char bytes[kTextBytes];
  constexpr std::size_t kOverlap = 32;
  for (std::uint64_t at = 0; at < strings.size_bytes; at += sizeof bytes - kOverlap) {
    const std::size_t wanted = std::min<std::uint64_t>(sizeof bytes, strings.size_bytes - at);
    const std::string_view text(bytes, file.read_some(bytes, wanted, strings.offset + at));
    if (text.empty()) return false;
    for (const std::string_view function : kSanitizerFunctions) {
      for (std::size_t found = text.find(function); found != text.npos;
           found = text.find(function, found + 1)) {
        const std::size_t end = found + function.size();
        if (found > 0 && text[found - 1] == '\0' && end < text.size() && text[end] == '\0') return true;
      }
    }
  }
  return false;
}

bool is_of_glibc(const File& file, const ElfW(Phdr) & interpreter) noexcept {
  char path[256] = {};
  file.read_some(path, std::min<std::size_t>(interpreter.p_filesz, sizeof path - 1), interpreter.p_offset);
  const std::string_view text(path);
  const std::string_view name = text.substr(text.rfind('/') + 1);
  return !name.starts_with("ld-musl") && !name.starts_with("ld-uClibc") && !name.starts_with("linker");
}

ProgramKind kind_of_elf(const File& file, const ElfW(Ehdr) & header) noexcept {
  if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_machine != kMachine)
    return ProgramKind::other_processor;
  const ProgramHeaders headers(file, header);
  const ElfW(Phdr)* const interpreter = headers.find(PT_INTERP);
  if (interpreter == nullptr) return ProgramKind::static_linked;
  if (!is_of_glibc(file, *interpreter)) return ProgramKind::other_libc;
  const Strings strings = strings_of(headers);
  if (needs_one_of(kSharedSanitizers, file, headers, strings)) return ProgramKind::sanitized;
  if (contains_sanitizer(file, strings)) return ProgramKind::sanitized_static;
  return needs_one_of(kOtherRuntimes, file, headers, strings) ? ProgramKind::other_runtime
                                                              : ProgramKind::watchable;
}

// The kernel lets no variable through to the dynamic linker there.
bool changes_user(const File& file) noexcept {
  struct stat status {};
  if (fstat(file.number(), &status) != 0) return false;
  if ((status.st_mode & S_ISUID) != 0 && status.st_uid != getuid()) return true;
  if ((status.st_mode & S_ISGID) != 0 && (status.st_mode & S_IXGRP) != 0 && status.st_gid != getgid())
    return true;
  return geteuid() != 0 && fgetxattr(file.number(), "security.capability", nullptr, 0) > 0;
}

/// Of `#! /path argument`, the path; false: it is no script.
bool read_interpreter(const File& file, char (&path)[kTextBytes]) noexcept {
  char line[256] = {};
  file.read_some(line, sizeof line - 1, 0);
  if (line[0] != '#' || line[1] != '!') return false;
  const char* const begin = line + 2 + std::strspn(line + 2, " \t");
  const std::size_t size = std::strcspn(begin, " \t\n");
  if (size == 0) return false;
  std::memcpy(path, begin, size);
  path[size] = '\0';
  return true;
}

class KeptErrno {
 public:
  KeptErrno() noexcept : error_(errno) {}
  KeptErrno(const KeptErrno&) = delete;
  KeptErrno& operator=(const KeptErrno&) = delete;
  ~KeptErrno() { errno = error_; }

 private:
  int error_;
};

}  // namespace

ProgramKind kind_of_program(const char* path) noexcept {
  const KeptErrno guard;
  char interpreter[kTextBytes];
  for (int i = 0; i < kMostInterpreters; ++i) {
    const File file(path);
    ElfW(Ehdr) header{};
    if (file.number() < 0) return ProgramKind::watchable;
    if (file.read_at(header, 0) && std::memcmp(header.e_ident, ELFMAG, SELFMAG) == 0)
      return changes_user(file) ? ProgramKind::other_user : kind_of_elf(file, header);
    if (!read_interpreter(file, interpreter)) return ProgramKind::watchable;
    path = interpreter;
  }
  return ProgramKind::watchable;
}

}  // namespace codewake::internal
