#include "stacktrace/unwind/code_module.hpp"

#include <dlfcn.h>
#include <link.h>
#include <sys/auxv.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstring>

#include "stacktrace/unwind/stack_memory.hpp"

namespace codewake::internal {
namespace {

constexpr std::uintptr_t kPageBytes = 4096;

// Not linked: the library loads where the C library is older.
constinit std::atomic<decltype(&_dl_find_object)> find_object{nullptr};

// Pages that were readable when they were asked for: those at the begin of modules, which the dynamic linker
// never takes away while the module is there. One entry may drop another.
constinit std::array<std::atomic<std::uintptr_t>, 64> readable_headers{};

bool is_header_readable(std::uintptr_t begin) noexcept {
  std::atomic<std::uintptr_t>& known = readable_headers[(begin / kPageBytes) % readable_headers.size()];
  if (known.load(std::memory_order_relaxed) == begin) return true;
  if (!is_readable(begin)) return false;
  known.store(begin, std::memory_order_relaxed);
  return true;
}

// Modules that stay for as long as this code does: its own, the program, and the C library. Most frames are
// of these.
constinit std::array<CodeModule, 3> lasting_modules{};
enum class Lasting { unknown, being_found, known };
constinit std::atomic<Lasting> lasting{Lasting::unknown};

constexpr std::size_t kSegmentBytes = sizeof(ElfW(Phdr));

ElfW(Phdr) segment_at(std::uintptr_t headers, std::size_t number) noexcept {
  ElfW(Phdr) segment;
  std::memcpy(&segment, reinterpret_cast<const void*>(headers + number * kSegmentBytes), sizeof segment);
  return segment;
}

/// Program headers in memory.
struct Headers {
  std::uintptr_t begin = 0;
  std::size_t count = 0;
};

// What the kernel has told; not where it has started the dynamic linker, which has loaded the program.
Headers headers_of_program(std::uintptr_t base) noexcept {
  const Headers told{getauxval(AT_PHDR), getauxval(AT_PHNUM)};
  if (told.begin == 0 || getauxval(AT_PHENT) != kSegmentBytes) return {};
  for (std::size_t i = 0; i < told.count; ++i) {
    const ElfW(Phdr) segment = segment_at(told.begin, i);
    if (segment.p_type == PT_PHDR) return base + segment.p_vaddr == told.begin ? told : Headers();
  }
  return {};
}

// The first page of a module holds them.
Headers headers_in(const CodeModule& module) noexcept {
  if (module.begin % kPageBytes != 0 || !is_header_readable(module.begin)) return {};
  ElfW(Ehdr) header;
  std::memcpy(&header, reinterpret_cast<const void*>(module.begin), sizeof header);
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_phentsize != kSegmentBytes) return {};
  if (header.e_phoff > kPageBytes || header.e_phnum > (kPageBytes - header.e_phoff) / kSegmentBytes)
    return {};
  return {module.begin + header.e_phoff, header.e_phnum};
}

void find_tables(CodeModule& module) noexcept {
  if (module.index == 0) return;
  // A program may lie in pieces that are far from each other: `begin` and `end` are those of one of them.
  const Headers told = *module.name == '\0' ? headers_of_program(module.base) : Headers();
  const Headers headers = told.count != 0 ? told : headers_in(module);
  for (std::size_t i = 0; i < headers.count; ++i) {
    const ElfW(Phdr) segment = segment_at(headers.begin, i);
    // What lies behind the file's bytes may not be there.
    if (segment.p_type != PT_LOAD || (segment.p_flags & PF_R) == 0) continue;
    const std::uintptr_t begin = module.base + segment.p_vaddr;
    const bool is_inside = module.contains(begin) && segment.p_filesz <= module.end - begin;
    if (told.count == 0 && !is_inside) continue;
    if (module.index >= begin && module.index - begin < segment.p_filesz) {
      module.tables_begin = begin;
      module.tables_end = begin + segment.p_filesz;
      return;
    }
  }
}

bool look_for_module(std::uintptr_t address, CodeModule& module) noexcept {
  dl_find_object found;
  const auto find = find_object.load(std::memory_order_relaxed);
  if (find == nullptr || find(reinterpret_cast<void*>(address), &found) != 0) return false;
  module = {.begin = reinterpret_cast<std::uintptr_t>(found.dlfo_map_start),
            .end = reinterpret_cast<std::uintptr_t>(found.dlfo_map_end),
            .base = found.dlfo_link_map->l_addr,
            .index = reinterpret_cast<std::uintptr_t>(found.dlfo_eh_frame),
            .name = found.dlfo_link_map->l_name};
  find_tables(module);
  return true;
}

// A thread that comes while another looks for them does without. The C library's function is looked up: this
// is also loaded beside C libraries that do not have it.
void find_lasting_modules() noexcept {
  Lasting before = Lasting::unknown;
  if (!lasting.compare_exchange_strong(before, Lasting::being_found)) return;
  const std::uintptr_t inside[] = {
      reinterpret_cast<std::uintptr_t>(&find_module), getauxval(AT_ENTRY),
      reinterpret_cast<std::uintptr_t>(dlsym(RTLD_DEFAULT, "gnu_get_libc_version"))};
  for (std::size_t i = 0; i < lasting_modules.size(); ++i) {
    CodeModule& module = lasting_modules[i];
    if (!look_for_module(inside[i], module) || !module.has_tables()) module = {};
  }
  lasting.store(Lasting::known, std::memory_order_release);
}

}  // namespace

void prepare_to_find_modules() noexcept {
  find_object.store(reinterpret_cast<decltype(&_dl_find_object)>(dlsym(RTLD_DEFAULT, "_dl_find_object")),
                    std::memory_order_relaxed);
  find_lasting_modules();
}

bool can_find_modules() noexcept {
  return find_object.load(std::memory_order_relaxed) != nullptr;
}

bool find_module(std::uintptr_t address, CodeModule& module) noexcept {
  if (lasting.load(std::memory_order_acquire) == Lasting::known) {
    for (const CodeModule& one : lasting_modules) {
      if (!one.contains(address)) continue;
      module = one;
      return true;
    }
  }
  return look_for_module(address, module);
}

}  // namespace codewake::internal
