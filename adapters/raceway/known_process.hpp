// A process that events belong to, as far as it is known here.
#pragma once

#include <optional>

#include "codewake/event.hpp"
#include "codewake/records.hpp"

namespace codewake::internal {

struct KnownProcess {
  Id id = 0;
  /// Empty: it was made known to another store object, in a program that has died perhaps.
  std::optional<ProcessInfo> info = std::nullopt;
};

}  // namespace codewake::internal
