// The names of functions in an ELF file's symbols.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

struct Elf;
struct Elf_Scn;

namespace codewake::internal {

/// Reads one table when it is made, and looks into the file for names. Nothing in the file is trusted.
/// Reentrant.
class SymbolTable {
 public:
  /// `elf` must live longer. The full table where there is one, else the one for the dynamic linker.
  explicit SymbolTable(Elf* elf);

  /// The function that an address lies in, as it is encoded; empty where none is known. Valid as long as the
  /// file is open. Of several names it is the same at each time: an exported one, the one that C++ or a
  /// program would use.
  std::string_view find(std::uint64_t address) const;

  /// Whether it is the full table.
  bool is_full() const noexcept { return is_full_; }
  std::size_t bytes() const noexcept { return functions_.capacity() * sizeof(Function); }

 private:
  struct Function {
    std::uint64_t begin;
    std::uint64_t end;
    std::uint32_t name;
    std::uint32_t binding;
  };

  bool read(Elf_Scn* section);
  std::string_view name_of(const Function& function) const;
  bool is_better(const Function& function, const Function& other) const;

  Elf* elf_;
  std::size_t names_ = 0;  // the section that has them
  bool is_full_ = false;
  std::vector<Function> functions_;
};

}  // namespace codewake::internal
