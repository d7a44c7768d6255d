// The file `crash` of a run: the page that a signal handler fills in, and where it makes one by itself.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/folder.hpp"
#include "codewake/event.hpp"
#include "codewake/records.hpp"
#include "journal/run_folder.hpp"
#include "stacktrace/crash_page.hpp"

namespace codewake::internal {

/// Whose crash it would be.
struct CrashSubject {
  std::uint32_t number = 0;  ///< in the run's journal; 0: it has not introduced itself there
  Id id = 0;                 ///< in the store; 0: not known
  ProcessInfo info = {};
};

/// What a nest says of runs that are made like `about`, of whichever process.
struct CrashNestParts {
  std::string name_begin, name_end, fingerprint, about;  ///< as in CrashNest
};
CrashNestParts crash_nest_parts(const RunAbout& about);

/// Makes the file in a run's folder; its memory stays mapped for good. Throws std::system_error.
CrashPage* make_crash_page(const Folder& folder, const CrashSubject& subject);

/// Arranges for pages where there is none: each in a run of its own under the first of `roots` that has room,
/// which stores what the run `about` would; a root is made where it is missing. Thread-safe.
void prepare_crash_runs(const std::vector<std::filesystem::path>& roots, const RunAbout& about,
                        const CrashSubject& subject);

/// What was written there; null where there is no such file, it is not whole, or nothing has crashed. Numbers
/// in the result are within their bounds, texts have an end.
std::unique_ptr<CrashPage> read_crash_page(const Folder& folder);

/// The same of a page that comes from elsewhere.
std::unique_ptr<CrashPage> checked(std::unique_ptr<CrashPage> page);

}  // namespace codewake::internal
