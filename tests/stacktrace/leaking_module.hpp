// A module that names a file of secrets as its source.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "codewake/frame.hpp"
#include "stacktrace/file_trust.hpp"
#include "stacktrace/loaded_modules.hpp"
#include "support/temporary_folder.hpp"

namespace codewake::testing {

inline constexpr const char* kSecret = "root:$6$no-other-user-may-read-this";

/// A shared object `build/leak.so`, built in a folder of its own by the compiler that is there. The code of
/// its function `leak` is in the first line of a file that only the effective user may read.
struct LeakingModule {
  explicit LeakingModule(const std::string& flags = "-gdwarf-5");

  internal::Module module() const;

  /// The frames of `leak`, by a symbolizer that knows nothing yet; of a store where `trust` says so.
  std::vector<Frame> frames(internal::Trust trust, std::vector<std::string> source_folders = {}) const;
  /// The function itself, not what was inlined in it.
  Frame frame(internal::Trust trust, std::vector<std::string> source_folders = {}) const;

  /// What is stored where nothing of the file is known.
  Frame unresolved() const;

  TemporaryFolder folder;
  std::filesystem::path secret;
  std::filesystem::path file;
  std::string build_id;
  std::uint64_t address = 0;
  bool works = false;  ///< whether there is a compiler that does it
};

}  // namespace codewake::testing
