// What a RacewayStore knows, who may use it when, and what becomes of it in a fork.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "codewake/raceway_store.hpp"
#include "event_writer.hpp"
#include "known_process.hpp"
#include "parameters.hpp"
#include "sender.hpp"

namespace codewake {

class RacewayStore::Impl {
 public:
  explicit Impl(internal::RacewayParameters parameters);

  BatchResult write(const Batch& batch);
  std::optional<ProcessRecord> process(Id id);
  std::optional<EventRecord> event(Id id);
  bool shutdown(std::chrono::nanoseconds timeout);
  void at_fork(ForkPhase phase) noexcept;
  const internal::RacewayParameters& parameters() const noexcept { return parameters_; }

 private:
  /// So many are remembered, the newest ones.
  static constexpr std::size_t kMostProcesses = 1024;
  static constexpr std::size_t kMostEvents = 1024;

  /// What fork() leaves to the parent: the child starts with a new one.
  struct Shared {
    explicit Shared(const internal::RacewayParameters& parameters) : sender(parameters) {}

    std::mutex write_mutex;
    // Guarded by write_mutex, but for Sender::abandon.
    internal::Sender sender;
    internal::EventWriter writer;
    internal::EncodedEvents encoded;
    bool closed = false;
    bool locked_for_fork = false;

    std::mutex known_mutex;  // taken last
    // Guarded by known_mutex.
    std::deque<internal::KnownProcess> processes;
    std::deque<EventRecord> events;

    Shared* left_to_parent = nullptr;
  };

  // With write_mutex held.
  std::vector<internal::KnownProcess> introduce(std::span<const BatchProcess> processes);
  void encode(const Batch& batch, std::span<const internal::KnownProcess> processes,
              std::span<const internal::EventWriter::Ids> ids);
  void remember(const Batch& batch, const BatchResult& result);

  const internal::RacewayParameters parameters_;
  std::unique_ptr<Shared> shared_;
};

}  // namespace codewake
