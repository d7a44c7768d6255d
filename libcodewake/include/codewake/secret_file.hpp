// Secrets that a file holds, for what must not stand in a command line or in the environment.
#pragma once

#include <filesystem>
#include <string>

#include "codewake/export.hpp"

namespace codewake {

/// The first line of a file, without its line break; at most 64 KiB are read. The file must belong to root or
/// the effective user, and neither its group nor all others may read or write it; a pipe, such as a shell's
/// `<(…)`, counts as well. Throws ConfigError for a file that is not there, cannot be read, may be read by
/// others, is no file, or whose first line is empty. Blocks on the disk, or on the pipe. Thread-safe.
CODEWAKE_API std::string read_secret_file(const std::filesystem::path& path);

}  // namespace codewake
