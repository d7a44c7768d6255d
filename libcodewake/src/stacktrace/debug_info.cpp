#include "stacktrace/debug_info.hpp"

#include <dwarf.h>

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "stacktrace/debug_texts.hpp"
#include "stacktrace/demangle.hpp"
#include "stacktrace/dwarf_names.hpp"
#include "stacktrace/line_table.hpp"
#include "stacktrace/walk_budget.hpp"

namespace codewake::internal {
namespace {

constexpr int kMaxDepth = 128;                    // hostile files nest without end
constexpr std::size_t kMaxInlined = 128;          // no trace has more frames
constexpr std::size_t kBytesPerUnit = 16u << 10;  // libdw's own notes on a unit that was walked through
constexpr std::size_t kMaxUnpackedBytes = 4u << 20;
constexpr std::size_t kMaxTouchedUnits = 100;  // each touches some pages of the file

// Calls `visit` with the first and behind the last address of each range of an entry.
template <class Visit>
void visit_ranges(Dwarf_Die& die, WalkBudget& budget, Visit visit) {
  Dwarf_Addr base = 0;
  Dwarf_Addr begin = 0;
  Dwarf_Addr end = 0;
  ptrdiff_t at = 0;
  // A range at 0 is that of code which the linker has thrown away.
  while (budget.spend() && (at = dwarf_ranges(&die, at, &base, &begin, &end)) > 0) {
    if (begin != 0) visit(begin, end);
  }
}

// Puts all functions with code into `ranges`. Where functions lie in classes or in functions, which is rare
// and takes most of the time, they are found only if `everywhere`.
void find_functions(Dwarf_Die& scope, bool everywhere, int depth, WalkBudget& budget, AddressRanges& ranges) {
  Dwarf_Die child;
  if (depth == kMaxDepth) return;
  for (int more = dwarf_child(&scope, &child); more == 0; more = dwarf_siblingof(&child, &child)) {
    if (!budget.spend()) return;
    switch (dwarf_tag(&child)) {
      case DW_TAG_subprogram:
        visit_ranges(child, budget, [&](Dwarf_Addr begin, Dwarf_Addr end) {
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
        find_functions(child, everywhere, depth + 1, budget, ranges);
        break;
      default:
        break;
    }
  }
}

// The functions that were inlined where the address lies in `function`, the outermost first.
std::vector<Dwarf_Die> inlined_at(const Dwarf_Die& function, std::uint64_t address) {
  std::vector<Dwarf_Die> inlined;
  WalkBudget budget;
  Dwarf_Die scope = function;
  for (int depth = 0; depth < kMaxDepth && inlined.size() < kMaxInlined; ++depth) {
    Dwarf_Die child;
    int more = dwarf_child(&scope, &child);
    for (; more == 0; more = budget.spend() ? dwarf_siblingof(&child, &child) : -1) {
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

Dwarf* begin_reading(const ElfFile& file) {
  Dwarf* const dwarf = dwarf_begin_elf(file.elf(), DWARF_C_READ, nullptr);
  if (dwarf != nullptr) leave_out_unended_strings(file.elf());
  return dwarf;
}

// The path that libdw takes; empty where it has none.
std::string split_path(Dwarf_Die& skeleton) {
  Dwarf_Attribute attribute;
  const char* name = text_of(dwarf_attr(&skeleton, DW_AT_dwo_name, &attribute));
  if (name == nullptr) name = text_of(dwarf_attr(&skeleton, DW_AT_GNU_dwo_name, &attribute));
  const char* folder = text_of(dwarf_attr(&skeleton, DW_AT_comp_dir, &attribute));
  if (name == nullptr || *name == '/') return name == nullptr ? "" : name;
  return folder == nullptr || *folder != '/' ? "" : std::string(folder) + "/" + name;
}

// Whether libdw may open it: it exists, and no other user can put another file in its place.
bool is_usable_split(const std::string& path, std::size_t max_unpacked_bytes) {
  if (stable_path(path).empty()) return false;
  const auto file = ElfFile::open(path, {});
  return file != nullptr && file->has_debug_info() && file->unpacked_bytes() <= max_unpacked_bytes;
}

// Of a function's readable name: whether it has arguments of a template. `operator<` and its kin have none by
// that.
bool names_instance(std::string_view name) {
  constexpr std::string_view kOperator = "operator";
  for (std::size_t at = 0; (at = name.find('<', at)) != std::string_view::npos;) {
    if (!name.substr(0, at).ends_with(kOperator)) return true;
    while (at < name.size() && (name[at] == '<' || name[at] == '=' || name[at] == '>')) ++at;
  }
  return false;
}

}  // namespace

DebugInfo::DebugInfo(const ElfFile& file, const ElfFile* alternative, const SymbolTable& symbols,
                     DebugInfoLimits limits)
    : file_(file), alternative_(alternative), symbols_(symbols), limits_(limits) {
  if (open()) find_units();
}

DebugInfo::~DebugInfo() {
  close();
}

bool DebugInfo::open() {
  if (dwarf_ != nullptr) return true;
  dwarf_ = begin_reading(file_);
  if (dwarf_ == nullptr || alternative_ == nullptr) return dwarf_ != nullptr;
  alternative_dwarf_ = begin_reading(*alternative_);
  if (alternative_dwarf_ != nullptr) dwarf_setalt(dwarf_, alternative_dwarf_);
  return true;
}

void DebugInfo::close() noexcept {
  may_open_split_.clear();
  if (dwarf_ != nullptr) dwarf_end(std::exchange(dwarf_, nullptr));
  if (alternative_dwarf_ != nullptr) dwarf_end(std::exchange(alternative_dwarf_, nullptr));
}

void DebugInfo::give_back() {
  if (unpacked_bytes_ <= kMaxUnpackedBytes) return;
  composed_names_.clear();
  template_arguments_.clear();
  close();
  unpacked_bytes_ = 0;
}

void DebugInfo::find_units() {
  WalkBudget budget;
  std::size_t units = 0;
  Dwarf_CU* unit = nullptr;
  std::uint8_t type = 0;
  Dwarf_Die die;
  while (dwarf_get_units(dwarf_, unit, &unit, nullptr, &type, &die, nullptr) == 0) {
    if (type != DW_UT_compile && type != DW_UT_skeleton) continue;
    visit_ranges(die, budget, [&](Dwarf_Addr begin, Dwarf_Addr end) {
      unit_ranges_.add(begin, end, dwarf_dieoffset(&die));
    });
    unpacked_bytes_ += 256;
    if (++units % kMaxTouchedUnits == 0) file_.release_pages();
  }
  unit_ranges_.sort();
  bytes_ += unit_ranges_.bytes();
}

std::vector<Call> DebugInfo::calls_at(std::uint64_t address) {
  const auto offset = unit_ranges_.find(address);
  Dwarf_Die die;
  if (!offset || !open() || dwarf_offdie(dwarf_, *offset, &die) == nullptr) return {};
  // With -gsplit-dwarf the functions are in a file of their own.
  Dwarf_Die split;
  Dwarf_Die* const detailed = find_split(die, split) ? &split : &die;
  Unit& unit = units_[*offset];
  if (!std::exchange(unit.knows_lines, true)) read_lines(unit, die, *detailed);
  std::vector<Call> calls(1);
  find_line(unit, address, calls.front());
  Dwarf_Die function;
  const std::string_view symbol = symbols_.find(address);
  if (!find_function(unit, *detailed, address, function)) {
    calls.front().function = symbol;
  } else {
    std::vector<Dwarf_Die> inlined = inlined_at(function, address);
    for (auto call = inlined.rbegin(); call != inlined.rend(); ++call) {
      set_function(calls.back(), *call, {});
      find_caller(unit, *call, calls.emplace_back());
    }
    set_function(calls.back(), function, symbol);
  }
  give_back();
  return calls;
}

// libdw opens the file by the path that the unit says, whatever is there, maps it and has no other way.
bool DebugInfo::find_split(Dwarf_Die& skeleton, Dwarf_Die& split) {
  std::uint8_t type = 0;
  if (dwarf_cu_info(skeleton.cu, nullptr, &type, nullptr, nullptr, nullptr, nullptr, nullptr) != 0 ||
      type != DW_UT_skeleton)
    return false;
  const auto [may_open, is_new] = may_open_split_.try_emplace(skeleton.cu, false);
  if (is_new) may_open->second = is_usable_split(split_path(skeleton), limits_.split_file_bytes);
  if (!may_open->second ||
      dwarf_cu_info(skeleton.cu, nullptr, nullptr, nullptr, &split, nullptr, nullptr, nullptr) != 0 ||
      dwarf_tag(&split) == DW_TAG_invalid)
    return false;
  if (is_new) leave_out_unended_strings(dwarf_getelf(dwarf_cu_getdwarf(split.cu)));
  return true;
}

bool DebugInfo::find_function(Unit& unit, Dwarf_Die& die, std::uint64_t address, Dwarf_Die& function) {
  Dwarf* const dwarf = dwarf_cu_getdwarf(die.cu);
  std::optional<std::uint64_t> found = unit.functions.find(address);
  while (!found && !unit.knows_all_functions) {
    AddressRanges functions;
    WalkBudget budget;
    find_functions(die, unit.knows_functions, 0, budget, functions);
    functions.sort();
    bytes_ += functions.bytes();
    unit.functions = std::move(functions);
    unit.knows_all_functions = std::exchange(unit.knows_functions, true);
    found = unit.functions.find(address);
    unpacked_bytes_ += kBytesPerUnit;
  }
  return found && dwarf_offdie(dwarf, *found, &function) != nullptr;
}

void DebugInfo::find_line(const Unit& unit, std::uint64_t address, Call& call) const {
  if (address < unit.first_line) return;
  const auto above = std::upper_bound(unit.lines.begin(), unit.lines.end(), address - unit.first_line,
                                      [](std::uint64_t at, const Line& line) { return at < line.begin; });
  if (above == unit.lines.begin() || (above - 1)->line == 0) return;
  call.file = *(above - 1)->file;
  call.line = (above - 1)->line;
}

// Where the inlined function was called.
void DebugInfo::find_caller(const Unit& unit, Dwarf_Die& inlined, Call& call) const {
  const auto line = number(inlined, DW_AT_call_line);
  const auto file = number(inlined, DW_AT_call_file);
  if (!line || *line == 0 || *line > UINT32_MAX || !file || *file >= unit.files.size()) return;
  if (unit.files[*file] == nullptr) return;
  call.file = *unit.files[*file];
  call.line = static_cast<std::uint32_t>(*line);
}

// Not by libdw: it takes five times the memory, unpacks the whole table for one file's name, and puts the
// lines of functions that the linker has thrown away, which count from address 0, among those of others.
void DebugInfo::read_lines(Unit& unit, Dwarf_Die& die, Dwarf_Die& detailed) {
  const LineSections sections{.lines = file_.unpacked_section(".debug_line"),
                              .line_strings = file_.unpacked_section(".debug_line_str"),
                              .strings = file_.unpacked_section(".debug_str")};
  const auto offset = number(die, DW_AT_stmt_list);
  const auto bytes = offset ? line_table_bytes(sections.lines, *offset) : std::nullopt;
  if (!bytes || *bytes > limits_.line_table_bytes) return;
  const auto table =
      read_line_table(sections, *offset, [&](std::uint64_t address) { return file_.is_code(address); });
  if (!table) return;
  Dwarf_Attribute attribute;
  const char* folder = text_of(dwarf_attr(&die, DW_AT_comp_dir, &attribute));
  for (const std::string& path : table->files)
    unit.files.push_back(path.empty() ? nullptr : keep_path(path.c_str(), folder));
  for (const LineRow& row : table->rows) {
    if (unit.lines.empty()) unit.first_line = row.address;
    if (row.address - unit.first_line > UINT32_MAX) break;
    Line next{static_cast<std::uint32_t>(row.address - unit.first_line), 0, nullptr};
    const std::string* const file = row.file < unit.files.size() ? unit.files[row.file] : nullptr;
    if (!row.is_end && row.line <= INT32_MAX && row.line != 0 && file != nullptr) {
      next.line = row.line;
      next.file = file;
    }
    if (!unit.lines.empty() && unit.lines.back().begin == next.begin) unit.lines.pop_back();
    const bool is_same =
        !unit.lines.empty() && unit.lines.back().line == next.line && unit.lines.back().file == next.file;
    if (!is_same) unit.lines.push_back(next);
  }
  unit.lines.shrink_to_fit();
  if (&detailed != &die) read_split_files(unit, detailed, folder);
  bytes_ += unit.lines.size() * sizeof(Line) + unit.files.size() * sizeof(void*);
}

// The numbers that calls in a split file have of files are of its own table.
void DebugInfo::read_split_files(Unit& unit, Dwarf_Die& detailed, const char* folder) {
  Dwarf_Files* files = nullptr;
  std::size_t count = 0;
  unit.files.clear();
  if (dwarf_getsrcfiles(&detailed, &files, &count) != 0) return;
  for (std::size_t i = 0; i < count; ++i) {
    const char* path = dwarf_filesrc(files, i, nullptr, nullptr);
    unit.files.push_back(path == nullptr ? nullptr : keep_path(path, folder));
  }
}

const std::string* DebugInfo::keep_path(const char* path, const char* folder) {
  std::string absolute = path;
  if (*path != '/' && folder != nullptr && *folder != '\0') absolute = std::string(folder) + "/" + path;
  const auto [kept, added] = paths_.insert(std::move(absolute));
  if (added) bytes_ += kept->size() + 64;
  return &*kept;
}

void DebugInfo::set_function(Call& call, Dwarf_Die& function, std::string_view symbol) {
  call.function = name_of(function, symbol);
  call.arguments = arguments_of(function, call.function);
}

std::string DebugInfo::name_of(Dwarf_Die& function, std::string_view symbol) {
  if (const char* name = linkage_name(function)) return name;
  if (symbol.starts_with("_Z")) return std::string(symbol);
  Dwarf_Die declaration = declaration_of(function);
  const auto [known, added] = composed_names_.try_emplace(
      std::pair(dwarf_cu_getdwarf(declaration.cu), dwarf_dieoffset(&declaration)));
  if (added) {
    known->second = compose_name(declaration);
    unpacked_bytes_ += known->second.size() + 128;
  }
  return known->second.empty() ? std::string(symbol) : known->second;
}

std::string DebugInfo::arguments_of(Dwarf_Die& function, std::string_view name) {
  if (!names_instance(demangle_function(std::string(name)))) return {};
  Dwarf_Die declaration = declaration_of(function);
  const auto [known, added] = template_arguments_.try_emplace(
      std::pair(dwarf_cu_getdwarf(declaration.cu), dwarf_dieoffset(&declaration)));
  if (added) {
    known->second = template_arguments(function);
    unpacked_bytes_ += known->second.size() + 128;
  }
  return known->second;
}

}  // namespace codewake::internal
