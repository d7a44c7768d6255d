// Texts of debug information that libdw takes as they are, wherever they end: a hostile or damaged file may
// leave out their ends.
#pragma once

struct Elf;

namespace codewake::internal {

/// Of the sections that libdw takes the strings of debug information from, what no string ends behind: libdw
/// before 0.189 reads a string up to its end, wherever that is. To be called once dwarf_begin_elf() has
/// unpacked them.
void leave_out_unended_strings(Elf* elf) noexcept;
/// Whether a text that lies among the entries of debug information ends there, which libdw does not look at.
bool ends_in_debug_info(Elf* elf, const unsigned char* text) noexcept;

}  // namespace codewake::internal
