// The tracer of the process.
#pragma once

#include <functional>
#include <memory>
#include <mutex>

#include "codewake/config.hpp"
#include "codewake/event.hpp"
#include "codewake/store.hpp"
#include "codewake/tracing.hpp"

namespace codewake::internal {

/// Made when it is first asked for. Thread-safe.
class ProcessTracer {
 public:
  /// `config` must outlive it. `before_event` is called before each event that goes into `store`.
  ProcessTracer(const Config& config, std::shared_ptr<Store> store, std::function<void()> before_event)
      : config_(config), store_(std::move(store)), before_event_(std::move(before_event)) {}

  /// `info`: of this process. Throws PluginError and ConfigError.
  Tracer& get(const ProcessInfo& info);

  /// As of the store that the tracer has for itself; true where it has none.
  bool flush(std::chrono::steady_clock::time_point deadline) const;
  bool shutdown(std::chrono::steady_clock::time_point deadline) const;

  void lock_for_fork() { mutex_.lock(); }
  void unlock_after_fork() { mutex_.unlock(); }

 private:
  std::shared_ptr<Store> own_store() const;

  const Config& config_;
  const std::shared_ptr<Store> store_;
  const std::function<void()> before_event_;
  mutable std::mutex mutex_;
  std::unique_ptr<Tracer> tracer_;
};

}  // namespace codewake::internal
