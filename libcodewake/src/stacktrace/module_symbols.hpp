// What the files of one module tell about the code in it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "stacktrace/debug_info.hpp"
#include "stacktrace/elf_file.hpp"
#include "stacktrace/file_trust.hpp"
#include "stacktrace/small_symbols.hpp"
#include "stacktrace/symbol_table.hpp"

namespace codewake::internal {

/// Where to look for debug information, whose files are read, and how much memory it may take.
struct SymbolOptions {
  /// The strictest, unless a caller knows better.
  Trust trust = Trust::stored;
  /// For Trust::stored alone: see SourceFolders.
  std::vector<std::string> source_folders = {};
  /// Each has the folder `.build-id`, and the folders of the modules below it.
  std::vector<std::string> debug_roots = {"/usr/lib/debug"};
  /// What is compressed must be unpacked as a whole: a file with more has names of functions only.
  std::size_t max_bytes = ElfFile::kMaxCopiedDebugBytes;
  /// See DebugInfo.
  std::size_t max_line_table_bytes = 512u << 10;
};

/// The file of an executable or shared object and the one with its debug information, whether it is loaded in
/// this process or not. Used only if the build-id is the expected one: a file that has taken the place of
/// another tells nothing about it. Asks no server. Reentrant.
class ModuleSymbols {
 public:
  /// Blocks on the disk. Does not fail: where there is no file, nothing is known.
  ModuleSymbols(const std::string& path, const std::string& build_id, const SymbolOptions& options);

  /// The calls at an address of the file, innermost first; at least one, of an unknown function if need be.
  std::vector<Call> calls_at(std::uint64_t address);

  /// Whether the files are ours, so that a source path that they name is as trusted as the effective user.
  bool may_name_sources() const noexcept;

  /// Whether the module's file was found and is the expected one.
  bool has_file() const noexcept { return module_ != nullptr; }

  /// Whether a later try can find more: the module's file is there, but could not be read.
  bool is_unreadable() const noexcept { return module_ == nullptr && is_unreadable_; }

  /// About how much memory it takes.
  std::size_t bytes() const noexcept;

  /// See ElfFile.
  bool hold();
  void let_go() noexcept;
  void release_pages() const noexcept;

 private:
  std::array<ElfFile*, 3> files() const noexcept;

  bool is_unreadable_ = false;
  std::unique_ptr<ElfFile> module_;
  std::unique_ptr<ElfFile> debug_file_;   // where the module has no debug information of its own
  std::unique_ptr<ElfFile> alternative_;  // what several debug files share
  std::optional<SymbolTable> symbols_;
  std::unique_ptr<SmallSymbols> small_symbols_;  // where those are the exported ones alone
  std::optional<DebugInfo> debug_info_;
  std::size_t unpacked_bytes_ = 0;
};

}  // namespace codewake::internal
