// `--store`: how a store is named without its password being seen.
#pragma once

#include <string>

namespace codewake::cli {

/// Overwrites the values of `--store` that hold a secret with `*` in `argv`, which other users see in the
/// list of processes, and says once that they could be seen until now. What stands after `--` belongs to
/// another program and stays. To be called once the arguments have been copied.
void hide_store_arguments(int argc, char** argv);

/// The DSN that `--store` means: `env:NAME` is the content of a variable, `file:PATH` the first line of a
/// file that other users cannot read; everything else is the DSN itself. Throws UsageError for a variable
/// that is not set, and ConfigError for a file that will not do.
std::string resolve_store(const std::string& text);

}  // namespace codewake::cli
