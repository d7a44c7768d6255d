// DWARF: from an address in a file to the calls there.
#pragma once

#include <elfutils/libdw.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "stacktrace/address_ranges.hpp"
#include "stacktrace/elf_file.hpp"
#include "stacktrace/symbol_table.hpp"

namespace codewake::internal {

/// A function and where in it something was called.
struct Call {
  std::string file;        ///< as the compiler recorded it; empty where the line is not known
  std::uint32_t line = 0;  ///< counts from 1; 0 where it is not known
  std::string function;    ///< encoded (`_Z…`), or as people write it; empty where it is not known
};

/// The debug information of one file. What was looked up stays in memory until the object goes. Nothing in
/// the file is trusted. Reentrant.
class DebugInfo {
 public:
  /// `file` and `symbols` must live longer. A line table that takes more than `max_line_table_bytes` in the
  /// file is not read: unpacked it takes up to a hundred times that.
  DebugInfo(const ElfFile& file, const SymbolTable& symbols, std::size_t max_line_table_bytes);
  DebugInfo(const DebugInfo&) = delete;
  DebugInfo& operator=(const DebugInfo&) = delete;
  ~DebugInfo();

  /// The function that an address lies in, behind those that were inlined there, innermost first. Empty where
  /// nothing is known.
  std::vector<Call> calls_at(std::uint64_t address);

  /// About how much memory it has taken.
  std::size_t bytes() const noexcept { return bytes_; }

 private:
  struct Unit {
    bool knows_functions = false;
    bool knows_all_functions = false;
    bool knows_lines = false;
    AddressRanges functions;  // the value is the offset of the function's entry
  };

  void find_units();
  bool find_function(Dwarf_Off unit_offset, Dwarf_Die& unit, std::uint64_t address, Dwarf_Die& function);
  void find_line(Dwarf_Off unit_offset, Dwarf_Die& unit, std::uint64_t address, Call& call);
  bool may_read_lines(Dwarf_Die& unit) const;
  std::string name_of(Dwarf_Die& function, std::string_view symbol);

  const ElfFile& file_;
  const SymbolTable& symbols_;
  std::size_t max_line_table_bytes_;
  Dwarf* dwarf_;
  AddressRanges unit_ranges_;  // the value is the offset of the unit's entry
  std::unordered_map<Dwarf_Off, Unit> units_;
  // By the entry that declares the function: in another file maybe.
  std::map<std::pair<Dwarf*, Dwarf_Off>, std::string> composed_names_;
  std::size_t bytes_ = 0;
  std::size_t touched_bytes_ = 0;  // in the file, since its pages were given back
};

}  // namespace codewake::internal
