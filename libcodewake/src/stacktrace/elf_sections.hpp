// The sections of an ELF file, by libelf.
#pragma once

#include <gelf.h>
#include <libelf.h>

#include <cstddef>
#include <string_view>

namespace codewake::internal {

/// Calls `visit(name, section, header)` for each section until it returns true; whether it did.
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

}  // namespace codewake::internal
