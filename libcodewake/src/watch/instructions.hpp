// What `codewake run` tells the library that it preloads, in the variable CODE_WAKE_WATCH: fields in the
// order of kWatchTexts, separated by commas; of other bytes than letters, digits and `-._/` a field has %XX.
// Both sides are of one version: the variable begins with it.
#pragma once

#include <cstddef>

namespace codewake::internal {

/// All texts end in a zero; empty: there is none.
struct WatchInstructions {
  const char* version = "";
  const char* signals = "";    ///< "y": fatal signals are recorded
  const char* uncaught = "";   ///< "y": std::terminate is
  const char* library = "";    ///< the path of libcodewake, to be loaded for exceptions that are caught, too
  const char* disk_root = "";  ///< the folders in which runs of crashes may lie
  const char* memory_root = "";
  const char* name_begin = "";  ///< as in CrashNest, as what follows
  const char* name_end = "";
  const char* fingerprint = "";
  const char* store = "";  ///< of run.json: a JSON text
  const char* app_name = "";
  const char* app_version = "";
  const char* environment = "";
  const char* user_id = "";
  const char* user = "";
  const char* host = "";
};

inline constexpr char kWatchVariable[] = "CODE_WAKE_WATCH";
inline constexpr char kWatchVersion[] = "1";
inline constexpr const char* WatchInstructions::*kWatchTexts[] = {
    &WatchInstructions::version,     &WatchInstructions::signals,   &WatchInstructions::uncaught,
    &WatchInstructions::library,     &WatchInstructions::disk_root, &WatchInstructions::memory_root,
    &WatchInstructions::name_begin,  &WatchInstructions::name_end,  &WatchInstructions::fingerprint,
    &WatchInstructions::store,       &WatchInstructions::app_name,  &WatchInstructions::app_version,
    &WatchInstructions::environment, &WatchInstructions::user_id,   &WatchInstructions::user,
    &WatchInstructions::host};

/// The instructions in the value of the variable. The texts lie in `buffer`, which is borrowed. False: the
/// value is not whole, of another version, or longer than the buffer. Needs nothing but memory.
bool read_watch_instructions(const char* value, char* buffer, std::size_t buffer_bytes,
                             WatchInstructions& instructions) noexcept;

}  // namespace codewake::internal
