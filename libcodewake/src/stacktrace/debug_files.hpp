// Where the debug information of a stripped file lies.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "stacktrace/elf_file.hpp"

namespace codewake::internal {

/// The file `ROOT/.build-id/xx/yyyy.debug` that has this build-id itself; null where no root has it, and for
/// an empty build-id. Blocks on the disk. Reentrant.
std::unique_ptr<ElfFile> find_by_build_id(const std::string& build_id, const std::vector<std::string>& roots);

/// The file that a module's debug link names: beside the module, in `.debug` there, and below the roots.
/// It must have the module's build-id or, where either has none, the checksum that the link tells. Null where
/// there is none. Reads the whole file for a checksum. Reentrant.
std::unique_ptr<ElfFile> find_by_debug_link(const ElfFile& module, const std::string& module_path,
                                            const std::vector<std::string>& roots);

}  // namespace codewake::internal
