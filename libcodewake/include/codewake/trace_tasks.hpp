// Work that goes on elsewhere: on another thread, in a pool, in a std::async.
#pragma once

#include <functional>
#include <future>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>
#include <utility>

#include "codewake/source_location.hpp"
#include "codewake/tracing.hpp"

namespace codewake {

namespace internal {

/// Where an execution has begun others. Thread-safe.
class CODEWAKE_API SpawnPoint {
 public:
  /// Of the current execution, which records an AsyncSpawn; null outside of a context.
  static std::shared_ptr<SpawnPoint> make(std::string_view task, const SourceLocation& location);
  virtual ~SpawnPoint() = default;

  /// An execution that knows what was known here.
  virtual Context begin() = 0;
  /// It has ended: what it knew by then comes before whoever joins.
  virtual void end(const Context& context) = 0;
  /// What came out of it.
  virtual void note_exception(const Context& context, const std::exception* exception) = 0;
  /// The current execution has waited for those that have ended so far, and records an AsyncAwait.
  virtual void join(const SourceLocation& location) = 0;
};

template <class Callable, class... Arguments>
decltype(auto) run_spawned(SpawnPoint& point, Callable& callable, Arguments&&... arguments) {
  const Context context = point.begin();
  const Scope scope(context);
  struct End {
    ~End() { point.end(context); }
    SpawnPoint& point;
    const Context& context;
  } end{point, context};
  try {
    return std::invoke(callable, std::forward<Arguments>(arguments)...);
  } catch (const std::exception& exception) {
    point.note_exception(context, &exception);
    throw;
  } catch (...) {
    point.note_exception(context, nullptr);
    throw;
  }
}

}  // namespace internal

/// A callable that was bound. Copies share what they were bound to. Each call is an execution of its own.
template <class Callable>
class Bound {
 public:
  Bound(Callable callable, std::shared_ptr<internal::SpawnPoint> point)
      : callable_(std::move(callable)), point_(std::move(point)) {}

  template <class... Arguments>
  requires std::invocable<Callable&, Arguments...>
  decltype(auto) operator()(Arguments&&... arguments) {
    if (point_ == nullptr) return std::invoke(callable_, std::forward<Arguments>(arguments)...);
    return internal::run_spawned(*point_, callable_, std::forward<Arguments>(arguments)...);
  }

  /// To be called once the work has been waited for, in whatever way: what the calls did that have ended
  /// comes before what the current execution does from here on.
  void joined(const SourceLocation& location = SourceLocation::current()) {
    if (point_ != nullptr) point_->join(location);
  }

 private:
  Callable callable_;
  std::shared_ptr<internal::SpawnPoint> point_;
};

/// Binds `callable` to the current context: wherever it is called, it is an execution that this one has
/// begun. Outside of a context it is the callable and nothing more. For std::thread, std::jthread, std::async
/// and pools of any kind.
template <class Callable>
Bound<std::decay_t<Callable>> bind(Callable&& callable, std::string_view task = "task",
                                   const SourceLocation& location = SourceLocation::current()) {
  return {std::forward<Callable>(callable), internal::SpawnPoint::make(task, location)};
}

/// What runs on a thread of its own. Thread-bound, as std::future.
template <class Result>
class Task {
 public:
  Task(std::future<Result> result, std::thread thread, std::shared_ptr<internal::SpawnPoint> point)
      : result_(std::move(result)), thread_(std::move(thread)), point_(std::move(point)) {}
  Task(Task&&) noexcept = default;
  Task& operator=(Task&& other) noexcept {
    if (this == &other) return *this;
    wait_for_thread();
    result_ = std::move(other.result_);
    thread_ = std::move(other.thread_);
    point_ = std::move(other.point_);
    return *this;
  }
  /// Waits.
  ~Task() { wait_for_thread(); }

  /// Waits, and gives or throws what came out of it, once. What it did comes before what the current
  /// execution does from here on.
  Result get(const SourceLocation& location = SourceLocation::current()) {
    join(location);
    return result_.get();
  }

  /// The same without the result. A second call does nothing.
  void join(const SourceLocation& location = SourceLocation::current()) {
    if (!thread_.joinable()) return;
    thread_.join();
    if (point_ != nullptr) point_->join(location);
  }

 private:
  void wait_for_thread() {
    if (thread_.joinable()) thread_.join();
  }

  std::future<Result> result_;
  std::thread thread_;
  std::shared_ptr<internal::SpawnPoint> point_;
};

/// Runs `callable` on a new thread, as an execution that the current one has begun. Throws std::system_error
/// where there can be no thread.
template <class Callable>
requires std::invocable < std::decay_t<Callable>
& > auto spawn(Callable&& callable, std::string_view task = "task",
               const SourceLocation& location = SourceLocation::current()) {
  using Result = std::invoke_result_t<std::decay_t<Callable>&>;
  auto point = internal::SpawnPoint::make(task, location);
  std::packaged_task<Result()> work(Bound<std::decay_t<Callable>>(std::forward<Callable>(callable), point));
  std::future<Result> result = work.get_future();
  std::thread thread(std::move(work));
  return Task<Result>(std::move(result), std::move(thread), std::move(point));
}

}  // namespace codewake
