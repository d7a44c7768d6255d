// Which line the code of a unit is of: DWARF 2 to 5, "Line Number Information" (DWARF 5, section 6.2).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace codewake::internal {

/// The sections, unpacked; empty where the file has none.
struct LineSections {
  std::string_view lines;         ///< .debug_line
  std::string_view line_strings;  ///< .debug_line_str
  std::string_view strings;       ///< .debug_str
};

/// From its address on code is of this line, up to the next row's.
struct LineRow {
  std::uint64_t address = 0;
  std::uint32_t line = 0;  ///< 0: of none
  std::uint32_t file = 0;
  bool is_end = false;  ///< of a sequence: what follows is not known
};

struct LineTable {
  /// By the number that rows have of them, and entries of calls. Empty: there is none. One that begins with
  /// no `/` counts from the unit's folder.
  std::vector<std::string> files;
  /// In the order of their addresses; of several at one address the last holds.
  std::vector<LineRow> rows;
};

/// How many bytes the table at the offset takes; empty where there is none.
std::optional<std::uint64_t> line_table_bytes(std::string_view lines, std::uint64_t offset);

/// The table at an offset. A sequence is left out whose first address is none of code: it is of a function
/// that the linker has thrown away. Empty for what is no table; one that is damaged has the rows up to there.
/// Takes up to a hundred bytes for each of the table, and 8 MiB for names. Nothing is trusted. Reentrant.
std::optional<LineTable> read_line_table(const LineSections& sections, std::uint64_t offset,
                                         const std::function<bool(std::uint64_t)>& is_code);

}  // namespace codewake::internal
