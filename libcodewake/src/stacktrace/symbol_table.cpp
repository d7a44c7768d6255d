#include "stacktrace/symbol_table.hpp"

#include <gelf.h>
#include <libelf.h>

#include <algorithm>
#include <climits>
#include <tuple>

namespace codewake::internal {
namespace {

Elf_Scn* find_table(Elf* elf, GElf_Word type) {
  for (Elf_Scn* section = nullptr; (section = elf_nextscn(elf, section)) != nullptr;) {
    GElf_Shdr header;
    if (gelf_getshdr(section, &header) != nullptr && header.sh_type == type) return section;
  }
  return nullptr;
}

int rank_of(std::uint32_t binding) {
  return binding == STB_GLOBAL ? 0 : binding == STB_WEAK ? 1 : 2;
}

}  // namespace

SymbolTable::SymbolTable(Elf* elf) : elf_(elf) {
  if (Elf_Scn* full = find_table(elf, SHT_SYMTAB)) is_full_ = read(full);
  if (is_full_) return;
  if (Elf_Scn* dynamic = find_table(elf, SHT_DYNSYM)) read(dynamic);
}

// Whether there are any functions in it. What is compressed libelf would unpack, whatever its size: linkers
// compress neither symbols nor their names.
bool SymbolTable::read(Elf_Scn* section) {
  GElf_Shdr header, names;
  if (gelf_getshdr(section, &header) == nullptr || (header.sh_flags & SHF_COMPRESSED) != 0) return false;
  if (gelf_getshdr(elf_getscn(elf_, header.sh_link), &names) == nullptr) return false;
  if ((names.sh_flags & SHF_COMPRESSED) != 0) return false;
  Elf_Data* data = elf_getdata(section, nullptr);
  if (data == nullptr) return false;
  names_ = header.sh_link;
  const std::size_t size = gelf_fsize(elf_, ELF_T_SYM, 1, EV_CURRENT);
  const std::size_t count = std::min<std::size_t>(size == 0 ? 0 : data->d_size / size, INT_MAX);
  for (std::size_t i = 0; i < count; ++i) {
    GElf_Sym symbol;
    if (gelf_getsym(data, static_cast<int>(i), &symbol) == nullptr) break;
    const auto type = GELF_ST_TYPE(symbol.st_info);
    if (type != STT_FUNC && type != STT_GNU_IFUNC) continue;
    if (symbol.st_shndx == SHN_UNDEF || symbol.st_size == 0) continue;
    const auto binding = static_cast<std::uint32_t>(GELF_ST_BIND(symbol.st_info));
    functions_.push_back({symbol.st_value, symbol.st_value + symbol.st_size, symbol.st_name, binding});
  }
  functions_.shrink_to_fit();
  std::sort(functions_.begin(), functions_.end(), [](const Function& a, const Function& b) {
    return std::tie(a.begin, a.name) < std::tie(b.begin, b.name);
  });
  return !functions_.empty();
}

std::string_view SymbolTable::find(std::uint64_t address) const {
  auto function = std::upper_bound(functions_.begin(), functions_.end(), address,
                                   [](std::uint64_t a, const Function& f) { return a < f.begin; });
  if (function == functions_.begin()) return {};
  const std::uint64_t begin = (function - 1)->begin;
  const Function* best = nullptr;
  while (function != functions_.begin() && (--function)->begin == begin) {
    if (address < function->end && (best == nullptr || is_better(*function, *best))) best = &*function;
  }
  if (best == nullptr) return {};
  const std::string_view name = name_of(*best);
  return name.substr(0, name.find('@'));  // behind it the version of the library
}

std::string_view SymbolTable::name_of(const Function& function) const {
  const char* name = elf_strptr(elf_, names_, function.name);
  return name == nullptr ? "" : name;
}

bool SymbolTable::is_better(const Function& function, const Function& other) const {
  const auto key = [this](const Function& f) {
    const std::string_view name = name_of(f);
    const std::size_t underscores = std::min(name.find_first_not_of('_'), name.size());
    return std::tuple(name.empty(), !name.starts_with("_Z"), rank_of(f.binding), underscores, name);
  };
  return key(function) < key(other);
}

}  // namespace codewake::internal
