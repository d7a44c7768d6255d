// A store that does not queue, as a queue sees its backend.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "codewake/queue_store.hpp"
#include "codewake/store.hpp"

namespace codewake::internal {

class StoreAsBackend final : public QueueBackend {
 public:
  explicit StoreAsBackend(Store& store) noexcept : store_(store) {}
  BatchResult write(const Batch& batch) override { return store_.write(batch); }
  bool stores_trace_events() const noexcept override { return store_.stores_trace_events(); }
  std::optional<EventRecord> get_event_by_id(Id id) override { return store_.get_event_by_id(id); }
  std::optional<ProcessRecord> get_process_by_id(Id id) override { return store_.get_process_by_id(id); }
  std::vector<StoredPosition> get_positions(std::string_view prefix) override {
    return store_.get_positions(prefix);
  }
  void forget_positions(std::string_view prefix) override { store_.forget_positions(prefix); }
  bool shutdown(std::chrono::nanoseconds timeout) override { return store_.shutdown(timeout); }
  void at_fork(ForkPhase) noexcept override {}
  void set_process_id(Id) noexcept override {}

 private:
  Store& store_;
};

}  // namespace codewake::internal
