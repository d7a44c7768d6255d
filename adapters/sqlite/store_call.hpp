// What surrounds each use of SQLite by a store, on whatever thread.
#pragma once

#include "descriptors.hpp"
#include "file_size_limit.hpp"

namespace codewake::internal {

/// Thread-bound.
class StoreCall {
  const CallsForStore calls_;
  const BlockFileSizeSignal block_;
};

}  // namespace codewake::internal
