// The loaded module that an instruction belongs to.
#pragma once

#include <cstdint>

namespace codewake::internal {

struct CodeModule {
  std::uintptr_t begin = 0;
  std::uintptr_t end = 0;
  std::uintptr_t base = 0;     // what is added to the addresses in its file
  std::uintptr_t index = 0;    // its .eh_frame_hdr
  const char* name = nullptr;  // the dynamic linker's: a path, maybe a relative one; empty for the program
  // The segment of the index, which holds .eh_frame, too: it can be read.
  std::uintptr_t tables_begin = 0;
  std::uintptr_t tables_end = 0;

  bool contains(std::uintptr_t address) const noexcept { return address >= begin && address < end; }
  bool has_tables() const noexcept { return tables_begin != 0; }
};

/// Looks for _dl_find_object, which glibc 2.35 and later has: it takes no lock; and for the modules that
/// never go. Thread-safe.
void prepare_to_find_modules() noexcept;

/// Whether it was found. Async-signal-safe, as what follows.
bool can_find_modules() noexcept;

/// The module at the address. False where there is none, as for code that was made at run time. A module may
/// be found that has no tables. Async-signal-safe, thread-safe.
bool find_module(std::uintptr_t address, CodeModule& module) noexcept;

}  // namespace codewake::internal
