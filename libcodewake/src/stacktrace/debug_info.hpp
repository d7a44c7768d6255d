// DWARF: from an address in a file to the calls there.
#pragma once

#include <elfutils/libdw.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
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
  std::string arguments;   ///< of the templates that the function is an instance of, as template_arguments()
};

/// What is not read if it is larger.
struct DebugInfoLimits {
  /// A line table in the file: unpacked it takes up to a hundred times that.
  std::size_t line_table_bytes;
  /// What a split debug file has that is compressed.
  std::size_t split_file_bytes;
};

/// The debug information of one file. Of each unit that was looked into, the places of functions and lines
/// stay in memory until the object goes; what libdw has unpacked on the way is given back when it is much.
/// Nothing in the file is trusted. Reentrant.
class DebugInfo {
 public:
  /// `file`, `alternative` and `symbols` must live longer. `alternative` is the file that the debug file's
  /// alternative link names; null where there is none.
  DebugInfo(const ElfFile& file, const ElfFile* alternative, const SymbolTable& symbols,
            DebugInfoLimits limits);
  DebugInfo(const DebugInfo&) = delete;
  DebugInfo& operator=(const DebugInfo&) = delete;
  ~DebugInfo();

  /// The function that an address lies in, behind those that were inlined there, innermost first. Empty where
  /// nothing is known.
  std::vector<Call> calls_at(std::uint64_t address);

  /// About how much memory it has taken.
  std::size_t bytes() const noexcept { return bytes_ + unpacked_bytes_; }

 private:
  /// Which line the code is of from an address on, up to the next one's.
  struct Line {
    std::uint32_t begin;  // from the unit's first on
    std::uint32_t line;   // 0 where it is not known
    const std::string* file;
  };
  struct Unit {
    bool knows_functions = false;
    bool knows_all_functions = false;
    bool knows_lines = false;
    AddressRanges functions;  // the value is the offset of the function's entry
    std::uint64_t first_line = 0;
    std::vector<Line> lines;
    std::vector<const std::string*> files;  // by the number that entries have of them
  };

  bool open();
  void close() noexcept;
  void find_units();
  void give_back();
  bool find_split(Dwarf_Die& skeleton, Dwarf_Die& split);
  bool find_function(Unit& unit, Dwarf_Die& die, std::uint64_t address, Dwarf_Die& function);
  void find_line(const Unit& unit, std::uint64_t address, Call& call) const;
  void find_caller(const Unit& unit, Dwarf_Die& inlined, Call& call) const;
  void read_lines(Unit& unit, Dwarf_Die& die, Dwarf_Die& detailed);
  void read_split_files(Unit& unit, Dwarf_Die& detailed, const char* folder);
  const std::string* keep_path(const char* path, const char* folder);
  void set_function(Call& call, Dwarf_Die& function, std::string_view symbol);
  std::string name_of(Dwarf_Die& function, std::string_view symbol);
  std::string arguments_of(Dwarf_Die& function, std::string_view name);

  const ElfFile& file_;
  const ElfFile* alternative_;
  const SymbolTable& symbols_;
  DebugInfoLimits limits_;
  Dwarf* dwarf_ = nullptr;  // closed now and then, to give back what it has unpacked
  Dwarf* alternative_dwarf_ = nullptr;
  std::unordered_map<const void*, bool> may_open_split_;  // of units, while `dwarf_` is open
  AddressRanges unit_ranges_;                             // the value is the offset of the unit's entry
  std::unordered_map<Dwarf_Off, Unit> units_;
  std::unordered_set<std::string> paths_;
  // By the entry that declares the function: in another file maybe.
  std::map<std::pair<Dwarf*, Dwarf_Off>, std::string> composed_names_, template_arguments_;
  std::size_t bytes_ = 0;
  std::size_t unpacked_bytes_ = 0;  // by libdw, since it was opened
};

}  // namespace codewake::internal
