#include "stacktrace/debug_info.hpp"

#include <dwarf.h>
#include <gelf.h>
#include <libelf.h>

#include <cstring>
#include <optional>
#include <string_view>
#include <utility>

#include "stacktrace/dwarf_names.hpp"

namespace codewake::internal {
namespace {

constexpr int kMaxDepth = 128;                    // hostile files nest without end
constexpr std::size_t kMaxInlined = 128;          // no trace has more frames
constexpr std::size_t kBytesPerLine = 64;         // of a line table that was read
constexpr std::size_t kBytesPerUnit = 16u << 10;  // libdw's own notes on a unit that was walked through
constexpr std::size_t kMaxTouchedBytes = 8u << 20;

// Calls `visit` with the first and behind the last address of each range of an entry.
template <class Visit>
void visit_ranges(Dwarf_Die& die, Visit visit) {
  Dwarf_Addr base = 0;
  Dwarf_Addr begin = 0;
  Dwarf_Addr end = 0;
  ptrdiff_t at = 0;
  // A range at 0 is that of code which the linker has thrown away.
  while ((at = dwarf_ranges(&die, at, &base, &begin, &end)) > 0) {
    if (begin != 0) visit(begin, end);
  }
}

// Puts all functions with code into `ranges`. Where functions lie in classes or in functions, which is rare
// and takes most of the time, they are found only if `everywhere`.
void find_functions(Dwarf_Die& scope, bool everywhere, int depth, AddressRanges& ranges) {
  Dwarf_Die child;
  if (depth == kMaxDepth) return;
  for (int more = dwarf_child(&scope, &child); more == 0; more = dwarf_siblingof(&child, &child)) {
    switch (dwarf_tag(&child)) {
      case DW_TAG_subprogram:
        visit_ranges(child, [&](Dwarf_Addr begin, Dwarf_Addr end) {
          ranges.add(begin, end, dwarf_dieoffset(&child));
        });
        [[fallthrough]];
      case DW_TAG_class_type:
      case DW_TAG_structure_type:
      case DW_TAG_union_type:
      case DW_TAG_lexical_block:
        if (!everywhere) break;
        [[fallthrough]];
      case DW_TAG_namespace:
      case DW_TAG_module:
        find_functions(child, everywhere, depth + 1, ranges);
        break;
      default:
        break;
    }
  }
}

// The functions that were inlined where the address lies in `function`, the outermost first.
std::vector<Dwarf_Die> inlined_at(const Dwarf_Die& function, std::uint64_t address) {
  std::vector<Dwarf_Die> inlined;
  Dwarf_Die scope = function;
  for (int depth = 0; depth < kMaxDepth && inlined.size() < kMaxInlined; ++depth) {
    Dwarf_Die child;
    int more = dwarf_child(&scope, &child);
    for (; more == 0; more = dwarf_siblingof(&child, &child)) {
      const int tag = dwarf_tag(&child);
      const bool is_scope = tag == DW_TAG_inlined_subroutine || tag == DW_TAG_lexical_block ||
                            tag == DW_TAG_try_block || tag == DW_TAG_catch_block;
      if (is_scope && dwarf_haspc(&child, address) > 0) break;
    }
    if (more != 0) break;
    if (dwarf_tag(&child) == DW_TAG_inlined_subroutine) inlined.push_back(child);
    scope = child;
  }
  return inlined;
}

std::optional<Dwarf_Word> number(Dwarf_Die& die, unsigned name) {
  Dwarf_Attribute attribute;
  Dwarf_Word value = 0;
  if (dwarf_formudata(dwarf_attr(&die, name, &attribute), &value) != 0) return std::nullopt;
  return value;
}

std::string absolute(std::string_view path, Dwarf_Die& unit) {
  Dwarf_Attribute attribute;
  const char* folder = dwarf_formstring(dwarf_attr(&unit, DW_AT_comp_dir, &attribute));
  if (path.starts_with('/') || folder == nullptr || *folder == '\0') return std::string(path);
  return std::string(folder).append("/").append(path);
}

// Where the inlined function was called.
void find_caller(Dwarf_Die& inlined, Dwarf_Die& unit, Call& call) {
  const auto line = number(inlined, DW_AT_call_line);
  const auto file = number(inlined, DW_AT_call_file);
  Dwarf_Files* files = nullptr;
  std::size_t count = 0;
  if (!line || *line == 0 || *line > UINT32_MAX || !file) return;
  if (dwarf_getsrcfiles(&unit, &files, &count) != 0 || *file >= count) return;
  const char* path = dwarf_filesrc(files, *file, nullptr, nullptr);
  if (path == nullptr) return;
  call.file = absolute(path, unit);
  call.line = static_cast<std::uint32_t>(*line);
}

// What the section has from an offset on: what is there is never more than `size`.
std::optional<std::uint64_t> little_endian(const Elf_Data& section, std::uint64_t offset, std::size_t size) {
  if (section.d_buf == nullptr || offset > section.d_size || size > section.d_size - offset)
    return std::nullopt;
  std::uint64_t value = 0;
  std::memcpy(&value, static_cast<const char*>(section.d_buf) + offset, size);
  return value;
}

Elf_Data* line_section(Elf* elf) {
  std::size_t names = 0;
  if (elf_getshdrstrndx(elf, &names) != 0) return nullptr;
  for (Elf_Scn* section = nullptr; (section = elf_nextscn(elf, section)) != nullptr;) {
    GElf_Shdr header;
    const char* name =
        gelf_getshdr(section, &header) == nullptr ? nullptr : elf_strptr(elf, names, header.sh_name);
    if (name != nullptr && (std::strcmp(name, ".debug_line") == 0 || std::strcmp(name, ".zdebug_line") == 0))
      return elf_rawdata(section, nullptr);
  }
  return nullptr;
}

}  // namespace

DebugInfo::DebugInfo(const ElfFile& file, const SymbolTable& symbols, std::size_t max_line_table_bytes)
    : file_(file),
      symbols_(symbols),
      max_line_table_bytes_(max_line_table_bytes),
      dwarf_(dwarf_begin_elf(file.elf(), DWARF_C_READ, nullptr)) {
  if (dwarf_ != nullptr) find_units();
}

DebugInfo::~DebugInfo() {
  if (dwarf_ != nullptr) dwarf_end(dwarf_);
}

void DebugInfo::find_units() {
  Dwarf_CU* unit = nullptr;
  std::uint8_t type = 0;
  Dwarf_Die die;
  while (dwarf_get_units(dwarf_, unit, &unit, nullptr, &type, &die, nullptr) == 0) {
    if (type != DW_UT_compile && type != DW_UT_skeleton) continue;
    visit_ranges(
        die, [&](Dwarf_Addr begin, Dwarf_Addr end) { unit_ranges_.add(begin, end, dwarf_dieoffset(&die)); });
    bytes_ += 256;
    touched_bytes_ += 4096;
    if (touched_bytes_ > kMaxTouchedBytes) {
      file_.release_pages();
      touched_bytes_ = 0;
    }
  }
  unit_ranges_.sort();
  bytes_ += unit_ranges_.bytes();
}

std::vector<Call> DebugInfo::calls_at(std::uint64_t address) {
  const auto unit_offset = unit_ranges_.find(address);
  Dwarf_Die unit;
  if (!unit_offset || dwarf_offdie(dwarf_, *unit_offset, &unit) == nullptr) return {};
  std::vector<Call> calls(1);
  find_line(*unit_offset, unit, address, calls.front());
  // With -gsplit-dwarf the functions are in a file of their own.
  Dwarf_Die split;
  std::uint8_t type = 0;
  Dwarf_Die* detailed = &unit;
  if (dwarf_cu_info(unit.cu, nullptr, &type, nullptr, &split, nullptr, nullptr, nullptr) == 0 &&
      type == DW_UT_skeleton && dwarf_tag(&split) != DW_TAG_invalid)
    detailed = &split;
  Dwarf_Die function;
  const std::string_view symbol = symbols_.find(address);
  if (!find_function(*unit_offset, *detailed, address, function)) {
    calls.front().function = symbol;
  } else {
    std::vector<Dwarf_Die> inlined = inlined_at(function, address);
    for (auto die = inlined.rbegin(); die != inlined.rend(); ++die) {
      calls.back().function = name_of(*die, {});
      find_caller(*die, *detailed, calls.emplace_back());
    }
    calls.back().function = name_of(function, symbol);
  }
  if (touched_bytes_ > kMaxTouchedBytes) {
    file_.release_pages();
    touched_bytes_ = 0;
  }
  return calls;
}

bool DebugInfo::find_function(Dwarf_Off unit_offset, Dwarf_Die& detailed, std::uint64_t address,
                              Dwarf_Die& function) {
  Unit& unit = units_[unit_offset];
  std::optional<std::uint64_t> found = unit.functions.find(address);
  while (!found && !unit.knows_all_functions) {
    AddressRanges functions;
    find_functions(detailed, unit.knows_functions, 0, functions);
    functions.sort();
    bytes_ += functions.bytes() + kBytesPerUnit;
    unit.functions = std::move(functions);
    unit.knows_all_functions = std::exchange(unit.knows_functions, true);
    found = unit.functions.find(address);
    Dwarf_Off next = 0;
    std::size_t header = 0;
    const Dwarf_Off begin = dwarf_dieoffset(&detailed) - dwarf_cuoffset(&detailed);
    if (dwarf_nextcu(dwarf_cu_getdwarf(detailed.cu), begin, &next, &header, nullptr, nullptr, nullptr) == 0)
      touched_bytes_ += next - begin;
  }
  return found && dwarf_offdie(dwarf_cu_getdwarf(detailed.cu), *found, &function) != nullptr;
}

void DebugInfo::find_line(Dwarf_Off unit_offset, Dwarf_Die& unit, std::uint64_t address, Call& call) {
  Unit& known = units_[unit_offset];
  if (!known.knows_lines && !may_read_lines(unit)) return;
  Dwarf_Lines* lines = nullptr;
  std::size_t count = 0;
  if (dwarf_getsrclines(&unit, &lines, &count) != 0) return;
  if (!std::exchange(known.knows_lines, true)) {
    bytes_ += count * kBytesPerLine;
    touched_bytes_ += count * 4;
  }
  Dwarf_Line* line = dwarf_getsrc_die(&unit, address);
  int lineno = 0;
  if (line == nullptr || dwarf_lineno(line, &lineno) != 0 || lineno <= 0) return;
  const char* path = dwarf_linesrc(line, nullptr, nullptr);
  if (path == nullptr) return;
  call.file = absolute(path, unit);
  call.line = static_cast<std::uint32_t>(lineno);
}

bool DebugInfo::may_read_lines(Dwarf_Die& unit) const {
  Dwarf_Attribute attribute;
  Dwarf_Word offset = 0;
  if (dwarf_formudata(dwarf_attr(&unit, DW_AT_stmt_list, &attribute), &offset) != 0) return false;
  const Elf_Data* section = line_section(file_.elf());
  if (section == nullptr) return false;
  std::optional<std::uint64_t> length = little_endian(*section, offset, 4);
  if (length == 0xFFFF'FFFFu) length = little_endian(*section, offset + 4, 8);
  return length && *length <= max_line_table_bytes_;
}

std::string DebugInfo::name_of(Dwarf_Die& function, std::string_view symbol) {
  if (const char* name = linkage_name(function)) return name;
  if (symbol.starts_with("_Z")) return std::string(symbol);
  Dwarf_Die declaration = declaration_of(function);
  const auto [known, added] = composed_names_.try_emplace(
      std::pair(dwarf_cu_getdwarf(declaration.cu), dwarf_dieoffset(&declaration)));
  if (added) {
    known->second = compose_name(declaration);
    bytes_ += known->second.size() + 128;
  }
  return known->second.empty() ? std::string(symbol) : known->second;
}

}  // namespace codewake::internal
