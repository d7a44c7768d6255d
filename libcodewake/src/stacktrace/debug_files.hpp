// Where the debug information of a stripped file lies.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "stacktrace/elf_file.hpp"

namespace codewake::internal {

/// Where debug files are looked for, and whose are read.
struct DebugFilePlaces {
  std::vector<std::string> roots;
  FileOwners owners = {};
};

/// The file `ROOT/.build-id/xx/yyyy.debug` that has this build-id itself; null where no root has it, and for
/// an empty build-id. Blocks on the disk. Reentrant.
std::unique_ptr<ElfFile> find_by_build_id(const std::string& build_id, const DebugFilePlaces& places);

/// The file that a module's debug link names: beside the module, in `.debug` there, and below the roots.
/// It must have the module's build-id or, where either has none, the checksum that the link tells. Null where
/// there is none. Reads the whole file for a checksum. Reentrant.
std::unique_ptr<ElfFile> find_by_debug_link(const ElfFile& module, const std::string& module_path,
                                            const DebugFilePlaces& places);

/// The file that debug files share, as a debug file's alternative link names it: by its build-id below the
/// roots, or by its path, which begins at the debug file's folder. It must have the build-id. Null where
/// there is none. Reentrant.
std::unique_ptr<ElfFile> find_alternative(const ElfFile& debug_file, const DebugFilePlaces& places);

}  // namespace codewake::internal
