#include "batch_digests.hpp"

#include <optional>

#include "block_signals.hpp"
#include "codewake/errors.hpp"

namespace codewake::internal {
namespace {

/// The digests of so many events take ten times as long as a thread takes to start.
constexpr std::size_t kWorthAThread = 512;

std::vector<Digest> compute(const Batch& batch) {
  std::vector<Digest> digests(batch.events.size());
  for (std::size_t i = 0; i < digests.size(); ++i) {
    if (batch.events[i].has_data) digests[i] = digest_of(batch.events[i].data);
  }
  return digests;
}

}  // namespace

BatchDigests::BatchDigests(const Batch& batch) {
  const bool large = batch.events.size() >= kWorthAThread;
  std::optional<BlockSignals> block;
  if (large) block.emplace();
  // With both policies it is a thread where one can be had.
  digests_ = std::async(large ? std::launch::async | std::launch::deferred : std::launch::deferred,
                        [&batch] { return compute(batch); });
}

std::vector<Digest> BatchDigests::get() {
  try {
    return digests_.get();
  } catch (const Error& e) {
    throw StoreError(StoreError::Kind::unavailable, e.what());
  }
}

}  // namespace codewake::internal
