// Who this program is: executable, user, host.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "codewake/event.hpp"

namespace codewake::internal {

/// The executable's path, from /proc/self/exe; empty where that cannot be read.
std::optional<std::string> executable_path();

/// The name that the passwd entry of the real user has; the number where there is no entry.
std::string user_name();

/// The host's fully qualified name, as `codewake run` has found it, or else as the resolver has it. A
/// resolver that does not answer within `timeout` is not waited for: the plain host name then.
std::string host_name(std::chrono::milliseconds timeout);

/// This process, now, as far as the system knows it: everything but app and environment.
ProcessInfo identify_process();

}  // namespace codewake::internal
