#include "stacktrace/crash_stack.hpp"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <signal.h>
#include <sys/auxv.h>
#include <ucontext.h>
#include <unistd.h>
#include <unwind.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <span>
#include <string_view>

#include "base/file_descriptor.hpp"
#include "stacktrace/unwind/available.hpp"
#ifdef CODEWAKE_WALKS_STACKS
#include "stacktrace/unwind/code_module.hpp"
#include "stacktrace/unwind/stack_memory.hpp"
#include "stacktrace/unwind/stack_walk.hpp"
#endif

namespace codewake::internal {
namespace {

// A reader of the page must find what the count says, whenever the writer dies.
void publish(std::uint32_t& count, std::uint32_t value) noexcept {
  std::atomic_ref(count).store(value, std::memory_order_release);
}

void add_frame(CrashPage& page, std::uintptr_t address) noexcept {
  if (page.frames == CrashPage::kMaxFrames) return;
  page.addresses[page.frames] = address;
  publish(page.frames, page.frames + 1);
}

#if defined(__x86_64__)
std::uintptr_t instruction_of(const ucontext_t& context) noexcept {
  return static_cast<std::uintptr_t>(context.uc_mcontext.gregs[REG_RIP]);
}
std::uintptr_t stack_pointer_of(const ucontext_t& context) noexcept {
  return static_cast<std::uintptr_t>(context.uc_mcontext.gregs[REG_RSP]);
}
// As if the call had returned at once.
void return_from_jump(ucontext_t& context) noexcept {
  const auto* const top = reinterpret_cast<const greg_t*>(context.uc_mcontext.gregs[REG_RSP]);
  context.uc_mcontext.gregs[REG_RIP] = *top;
  context.uc_mcontext.gregs[REG_RSP] += static_cast<greg_t>(sizeof *top);
}
#elif defined(__aarch64__)
std::uintptr_t instruction_of(const ucontext_t& context) noexcept {
  return context.uc_mcontext.pc;
}
std::uintptr_t stack_pointer_of(const ucontext_t& context) noexcept {
  return context.uc_mcontext.sp;
}
void return_from_jump(ucontext_t& context) noexcept {
  context.uc_mcontext.pc = context.uc_mcontext.regs[30];
}
#else
#error "how a context is read on this processor is not known here"
#endif

struct Unwinding {
  CrashPage* page;
  std::uintptr_t begin;  // where the thread was interrupted: what comes before is the handler's
  bool has_begun;
};

// Not boost::stacktrace::safe_dump_to, as in boost_functions.cpp: it does not tell which frame a signal
// interrupted, and reports frames only at the end, where a walk that faults would leave none.
_Unwind_Reason_Code on_frame(_Unwind_Context* context, void* data) {
  auto& unwinding = *static_cast<Unwinding*>(data);
  int is_interrupted = 0;
  const std::uintptr_t address = _Unwind_GetIPInfo(context, &is_interrupted);
  if (!unwinding.has_begun) {
    // The first is known already: it was added before anything could go wrong.
    unwinding.has_begun = is_interrupted != 0 && address == unwinding.begin;
    return _URC_NO_REASON;
  }
  if (unwinding.page->frames == CrashPage::kMaxFrames || address == 0) return _URC_END_OF_STACK;
  // All others are behind a call; this one is not, unless another handler of a signal lies between.
  add_frame(*unwinding.page, address + (is_interrupted != 0 ? 1 : 0));
  return _URC_NO_REASON;
}

_Unwind_Reason_Code on_no_frame(_Unwind_Context*, void*) {
  return _URC_END_OF_STACK;
}

constexpr std::string_view kDeleted = " (deleted)";

/// A line of /proc/self/maps.
struct Mapping {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  std::uint64_t offset = 0;
  bool is_readable = false;
  std::string_view path = {};
};

/// Takes what is read apart, line by line, with no more memory than this.
class Mappings {
 public:
  Mappings() noexcept
      : fd_(beyond_standard(open("/proc/self/maps", O_RDONLY | O_CLOEXEC))) {}  // lint: the system's path
  Mappings(const Mappings&) = delete;
  Mappings& operator=(const Mappings&) = delete;
  ~Mappings() {
    if (fd_ >= 0) close(fd_);
  }

  /// Valid until the next call; false at the end.
  bool next(Mapping& mapping) noexcept {
    while (true) {
      const std::string_view rest(buffer_ + at_, size_ - at_);
      const std::size_t end = rest.find('\n');
      if (end != rest.npos) {
        at_ += end + 1;
        if (parse(rest.substr(0, end), mapping)) return true;
        continue;
      }
      std::memmove(buffer_, rest.data(), rest.size());
      size_ = rest.size();
      at_ = 0;
      if (size_ == sizeof buffer_) size_ = 0;  // no path is so long
      const ssize_t read_bytes = fd_ < 0 ? 0 : read(fd_, buffer_ + size_, sizeof buffer_ - size_);
      if (read_bytes < 0 && errno == EINTR) continue;
      if (read_bytes <= 0) return false;
      size_ += static_cast<std::size_t>(read_bytes);
    }
  }

 private:
  static std::uint64_t take_hex(std::string_view& text) noexcept {
    std::uint64_t number = 0;
    while (!text.empty()) {
      const char c = text.front();
      const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
      if (digit < 0) break;
      number = number * 16 + static_cast<unsigned>(digit);
      text.remove_prefix(1);
    }
    return number;
  }

  static void skip(std::string_view& text, std::size_t count) noexcept {
    text.remove_prefix(std::min(count, text.size()));
  }

  // begin-end perms offset device inode path
  static bool parse(std::string_view line, Mapping& mapping) noexcept {
    mapping.begin = take_hex(line);
    skip(line, 1);
    mapping.end = take_hex(line);
    skip(line, 1);
    mapping.is_readable = !line.empty() && line.front() == 'r';
    skip(line, 5);
    mapping.offset = take_hex(line);
    for (int fields = 0; fields < 2; ++fields) {
      skip(line, 1);
      skip(line, std::min(line.find(' '), line.size()));
    }
    skip(line, std::min(line.find_first_not_of(' '), line.size()));
    if (line.ends_with(kDeleted)) line.remove_suffix(kDeleted.size());
    mapping.path = line;
    return mapping.end > mapping.begin;
  }

  int fd_;
  static constinit inline char
      buffer_[4096]{};  // there is one at a time, and the handler's stack may be small
  std::size_t at_ = 0;
  std::size_t size_ = 0;
};

std::size_t align_up(std::size_t size) noexcept {
  return (size + 3) & ~std::size_t{3};
}

void find_build_id(const char* notes, std::size_t size, std::span<char> build_id) noexcept {
  while (size >= sizeof(ElfW(Nhdr))) {
    ElfW(Nhdr) note;
    std::memcpy(&note, notes, sizeof note);
    const std::size_t content = sizeof note + align_up(note.n_namesz);
    const std::size_t next = content + align_up(note.n_descsz);
    if (next > size) return;
    if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 &&
        std::memcmp(notes + sizeof note, "GNU", 4) == 0) {
      const std::size_t bytes = std::min<std::size_t>(note.n_descsz, (build_id.size() - 1) / 2);
      for (std::size_t i = 0; i < bytes; ++i) {
        constexpr char kDigits[] = "0123456789abcdef";
        const auto byte = static_cast<unsigned char>(notes[content + i]);
        build_id[2 * i] = kDigits[byte >> 4];
        build_id[2 * i + 1] = kDigits[byte & 15];
      }
      return;
    }
    notes += next;
    size -= next;
  }
}

/// The file that mappings are of, which follow each other.
struct MappedFile {
  std::uint64_t base = 0;  ///< what is added to its addresses
  std::uint64_t end = 0;   ///< of its segments, where its headers tell
  Mapping first;           ///< `path` is not valid any more
  char path[sizeof(CrashModule::path)] = {};
  char build_id[sizeof(CrashModule::build_id)] = {};

  /// Whether that one is of this file, too. Several may begin with what the file begins with, for segments
  /// share a page of it; and it may be loaded twice.
  bool covers(const Mapping& mapping) const noexcept {
    char other[sizeof path];
    set_text(other, mapping.path);
    if (std::strcmp(other, path) != 0) return false;
    return end == 0 ? mapping.offset != 0 : mapping.begin < end;
  }
};

// Of what the file begins with, more may be there than is known yet.
bool is_in_headers(Mapping& first, std::uint64_t at, std::uint64_t bytes) noexcept {
  constexpr std::uint64_t kMost = 1u << 16;
  if (at < first.begin || at - first.begin > kMost || bytes > kMost) return false;
#ifdef CODEWAKE_WALKS_STACKS
  while (at + bytes > first.end && is_readable(first.end)) first.end += 4096;
#endif
  return at + bytes <= first.end;
}

// By the headers of the file, which are the first thing in memory in nearly all of them.
void read_headers(MappedFile& file) noexcept {
  const auto* const bytes = reinterpret_cast<const char*>(file.first.begin);
  const std::size_t size = file.first.end - file.first.begin;
  ElfW(Ehdr) header;
  if (file.first.offset != 0 || !file.first.is_readable || size < sizeof header) return;
  std::memcpy(&header, bytes, sizeof header);
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_phentsize != sizeof(ElfW(Phdr))) return;
  if (header.e_phoff > size || header.e_phnum > (size - header.e_phoff) / sizeof(ElfW(Phdr))) return;
  const auto segment = [&](unsigned i) {
    ElfW(Phdr) found;
    std::memcpy(&found, bytes + header.e_phoff + i * sizeof found, sizeof found);
    return found;
  };
  bool has_base = false;
  for (unsigned i = 0; i < header.e_phnum; ++i) {
    const ElfW(Phdr) load = segment(i);
    if (load.p_type != PT_LOAD) continue;
    const auto page = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
    if (!has_base) file.base = file.first.begin - (load.p_vaddr & ~(page - 1));
    has_base = true;
    file.end = std::max<std::uint64_t>(file.end, file.base + load.p_vaddr + load.p_memsz);
  }
  for (unsigned i = 0; i < header.e_phnum && file.build_id[0] == '\0'; ++i) {
    const ElfW(Phdr) notes = segment(i);
    if (notes.p_type != PT_NOTE) continue;
    const std::uint64_t at = file.base + notes.p_vaddr;
    if (!is_in_headers(file.first, at, notes.p_memsz)) continue;
    find_build_id(reinterpret_cast<const char*>(at), notes.p_memsz, file.build_id);
  }
}

void begin_file(const Mapping& first, MappedFile& file) noexcept {
  file = {.base = first.begin - first.offset, .first = first};
  set_text(file.path, first.path);
  read_headers(file);
}

CrashModule* module_at(CrashPage& page, std::uint64_t address) noexcept {
  CrashModule* const end = page.module + page.modules;
  CrashModule* const found = std::find_if(page.module, end, [&](const CrashModule& module) {
    return address >= module.begin && address < module.end;
  });
  return found == end ? nullptr : found;
}

/// `file.base` is that of the module.
void add_module(std::uint64_t begin, std::uint64_t end, const MappedFile& file, CrashPage& page) noexcept {
  CrashModule& module = page.module[page.modules];
  module.base = file.base;
  module.begin = begin;
  module.end = end;
  std::memcpy(module.path, file.path, sizeof module.path);
  std::memcpy(module.build_id, file.build_id, sizeof module.build_id);
  publish(page.modules, page.modules + 1);
}

bool has_frame_in(const CrashPage& page, const Mapping& mapping) noexcept {
  return std::any_of(page.addresses, page.addresses + page.frames, [&](std::uint64_t address) {
    return address - 1 >= mapping.begin && address - 1 < mapping.end;
  });
}

#ifdef CODEWAKE_WALKS_STACKS

// Of the program: /proc may be out of reach when it crashes.
constinit char program_path[sizeof(CrashModule::path)]{};

void note_program_path() noexcept {
  if (getauxval(AT_BASE) == 0) return;  // it was the dynamic linker that was started, and the link is to that
  const ssize_t size =
      readlink("/proc/self/exe", program_path, sizeof program_path - 1);  // lint: the system's path
  if (size < 0) return;
  std::string_view path(program_path, static_cast<std::size_t>(size));
  if (path.ends_with(kDeleted)) path.remove_suffix(kDeleted.size());
  program_path[path.size()] = '\0';
}

#else

void note_program_path() noexcept {}

#endif

}  // namespace

void prepare_crash_stack() noexcept {
  note_program_path();
#ifdef CODEWAKE_WALKS_STACKS
  prepare_stack_walks();
#endif
  _Unwind_Backtrace(&on_no_frame, nullptr);
}

InterruptedAt interrupted_at(const void* context) noexcept {
  const auto& interrupted = *static_cast<const ucontext_t*>(context);
  return {instruction_of(interrupted), stack_pointer_of(interrupted)};
}

void find_frames(void* context, std::uintptr_t fault_address, CrashPage& page) noexcept {
  auto& interrupted = *static_cast<ucontext_t*>(context);
  const std::uintptr_t instruction = instruction_of(interrupted);
  // The other signals tell the instruction's address, too, where it is the instruction that is to blame.
  const bool is_fetch = instruction == fault_address && (page.signal == SIGSEGV || page.signal == SIGBUS);
  if (is_fetch) {
    return_from_jump(interrupted);
    add_frame(page, instruction_of(interrupted));  // it is behind a call
  } else {
    add_frame(page, instruction + 1);
  }
#ifdef CODEWAKE_WALKS_STACKS
  if (can_walk_stacks()) {
    StackWalk walk(registers_of(interrupted), is_fetch);
    while (page.frames < CrashPage::kMaxFrames && walk.step() == StackWalk::Step::caller) {
      add_frame(page, walk.address());
    }
    return;
  }
#endif
  Unwinding unwinding{&page, instruction_of(interrupted), false};
  _Unwind_Backtrace(&on_frame, &unwinding);
}

void set_frames(const void* const* addresses, std::size_t count, CrashPage& page) noexcept {
  for (std::size_t i = 0; i < count; ++i) add_frame(page, reinterpret_cast<std::uintptr_t>(addresses[i]));
}

bool find_linked_modules(CrashPage& page) noexcept {
#ifdef CODEWAKE_WALKS_STACKS
  bool are_all_known = can_find_modules();
  if (!are_all_known) return false;
  for (std::uint32_t i = 0; i < page.frames; ++i) {
    const std::uint64_t address = page.addresses[i] - 1;
    if (module_at(page, address) != nullptr) continue;
    CodeModule found;
    if (page.modules == CrashPage::kMaxModules || !find_module(address, found)) {
      are_all_known = false;
      continue;
    }
    MappedFile file;
    const char* const path = *found.name == '\0' ? program_path : found.name;
    set_text(file.path, path);
    const auto page_bytes = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
    file.first = {
        .begin = found.begin, .end = found.begin + page_bytes, .is_readable = is_readable(found.begin)};
    read_headers(file);
    file.base = found.base;
    add_module(found.begin, found.end, file, page);
    const bool has_headers = file.end != 0;
    are_all_known = are_all_known && has_headers && *path == '/';
  }
  return are_all_known;
#else
  static_cast<void>(page);
  return false;
#endif
}

void find_mapped_modules(CrashPage& page) noexcept {
  Mappings mappings;
  MappedFile file;
  Mapping mapping;
  while (mappings.next(mapping)) {
    if (mapping.path.empty()) continue;
    if (!file.covers(mapping)) begin_file(mapping, file);
    if (!has_frame_in(page, mapping)) continue;
    if (CrashModule* const known = module_at(page, mapping.begin)) {
      std::memcpy(known->path, file.path, sizeof known->path);
      if (known->build_id[0] == '\0') std::memcpy(known->build_id, file.build_id, sizeof known->build_id);
    } else if (page.modules < CrashPage::kMaxModules) {
      add_module(mapping.begin, mapping.end, file, page);
    }
  }
}

}  // namespace codewake::internal
