// The digests of a batch's events, computed beside the writer.
#pragma once

#include <future>
#include <vector>

#include "codewake/digest.hpp"
#include "codewake/event.hpp"

namespace codewake::internal {

/// Begins when it is made, on a thread of its own where the batch is worth one; that thread ends with it at
/// the latest. Thread-bound. `batch` must outlive it.
class BatchDigests {
 public:
  explicit BatchDigests(const Batch& batch);

  /// Waits. One for each event, also for those without data. Once only. Throws StoreError where libcrypto
  /// fails.
  std::vector<Digest> get();

 private:
  std::future<std::vector<Digest>> digests_;
};

}  // namespace codewake::internal
