// Variables and locks that record themselves.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <utility>

#include "codewake/source_location.hpp"
#include "codewake/tracing.hpp"

namespace codewake {

namespace internal {

class LockClock;

/// As what a lock is recorded.
struct LockName {
  std::string_view name;
  std::string_view type;  ///< shared where it ends in `Read`
};

/// Of the current execution, of whatever tracer; nothing outside of a context. They throw nothing but
/// std::bad_alloc.
CODEWAKE_API void lock_acquired(LockClock& clock, LockName lock, const SourceLocation& location);
CODEWAKE_API void lock_released(LockClock& clock, LockName lock, const SourceLocation& location);
CODEWAKE_API std::shared_ptr<LockClock> make_lock_clock();
CODEWAKE_API void accessed(std::string_view variable, const TraceValue& old_value,
                           const TraceValue& new_value, Access access, const SourceLocation& location);

}  // namespace internal

/// A mutex whose acquisitions and releases are recorded in the current trace, if there is one, and order what
/// is recorded: in place of M in std::lock_guard, unique_lock, scoped_lock, shared_lock,
/// condition_variable_any. M is any Lockable: std::mutex, recursive_mutex, timed_mutex, shared_mutex, … As
/// thread-safe as M. Outside of traces it costs what M costs.
template <class M = std::mutex>
class TracedMutex {
 public:
  /// Mutexes that have one name are one lock to whoever reads the trace: give each its own.
  explicit TracedMutex(std::string name) : name_(std::move(name)), clock_(internal::make_lock_clock()) {}
  TracedMutex(const TracedMutex&) = delete;
  TracedMutex& operator=(const TracedMutex&) = delete;

  void lock() {
    mutex_.lock();
    acquired(kExclusive);
  }
  bool try_lock() { return noted(mutex_.try_lock(), kExclusive); }
  void unlock() {
    internal::lock_released(*clock_, {name_, kExclusive}, kNowhere);
    mutex_.unlock();
  }
  template <class Duration>
  bool try_lock_for(const Duration& duration) requires requires(M& m) {
    m.try_lock_for(duration);
  }
  { return noted(mutex_.try_lock_for(duration), kExclusive); }
  template <class Moment>
  bool try_lock_until(const Moment& moment) requires requires(M& m) {
    m.try_lock_until(moment);
  }
  { return noted(mutex_.try_lock_until(moment), kExclusive); }

  void lock_shared() requires requires(M& m) { m.lock_shared(); }
  {
    mutex_.lock_shared();
    acquired(kShared);
  }
  bool try_lock_shared() requires requires(M& m) { m.try_lock_shared(); }
  { return noted(mutex_.try_lock_shared(), kShared); }
  void unlock_shared() requires requires(M& m) { m.unlock_shared(); }
  {
    internal::lock_released(*clock_, {name_, kShared}, kNowhere);
    mutex_.unlock_shared();
  }

  const std::string& name() const noexcept { return name_; }

 private:
  static constexpr bool kIsShared = requires(M & m) { m.lock_shared(); };
  static constexpr std::string_view kExclusive = kIsShared ? "RwLock::Write" : "Mutex";
  static constexpr std::string_view kShared = "RwLock::Read";
  // Who calls is std::lock_guard and the like, and their place says nothing.
  static constexpr SourceLocation kNowhere = {};

  // Where it cannot be recorded for want of memory, the lock is not held either.
  void acquired(std::string_view type) {
    try {
      internal::lock_acquired(*clock_, {name_, type}, kNowhere);
    } catch (...) {
      if constexpr (kIsShared) {
        type == kShared ? mutex_.unlock_shared() : mutex_.unlock();
      } else {
        mutex_.unlock();
      }
      throw;
    }
  }
  bool noted(bool is_locked, std::string_view type) {
    if (is_locked) acquired(type);
    return is_locked;
  }

  M mutex_;
  const std::string name_;
  const std::shared_ptr<internal::LockClock> clock_;
};

/// A variable whose reads and writes are recorded in the current trace, if there is one. It protects nothing:
/// as thread-safe as T, which TraceValue must take to show its values.
template <class T>
class Traced {
 public:
  explicit Traced(std::string name, T value = T()) : name_(std::move(name)), value_(std::move(value)) {}
  Traced(const Traced&) = delete;
  Traced& operator=(const Traced&) = delete;

  T get(const SourceLocation& location = SourceLocation::current()) const {
    internal::accessed(name_, nullptr, TraceValue(value_), Access::read, location);
    return value_;
  }
  void set(T value, const SourceLocation& location = SourceLocation::current()) {
    internal::accessed(name_, TraceValue(std::as_const(value_)), TraceValue(std::as_const(value)),
                       Access::write, location);
    value_ = std::move(value);
  }
  /// A read, then a write of what `change` makes of it; the result is the new value.
  template <class Change>
  T update(Change&& change, const SourceLocation& location = SourceLocation::current()) {
    T changed = std::invoke(std::forward<Change>(change), get(location));
    set(changed, location);
    return changed;
  }

  const std::string& name() const noexcept { return name_; }

 private:
  const std::string name_;
  T value_;
};

/// The same of an atomic variable: its accesses do not race.
template <class T>
class Traced<std::atomic<T>> {
 public:
  explicit Traced(std::string name, T value = T()) : name_(std::move(name)), value_(value) {}
  Traced(const Traced&) = delete;
  Traced& operator=(const Traced&) = delete;

  T load(const SourceLocation& location = SourceLocation::current()) const {
    const T value = value_.load();
    internal::accessed(name_, nullptr, TraceValue(value), Access::atomic_read, location);
    return value;
  }
  void store(T value, const SourceLocation& location = SourceLocation::current()) {
    value_.store(value);
    internal::accessed(name_, nullptr, TraceValue(value), Access::atomic_write, location);
  }
  T exchange(T value, const SourceLocation& location = SourceLocation::current()) {
    const T before = value_.exchange(value);
    internal::accessed(name_, TraceValue(before), TraceValue(value), Access::atomic_rmw, location);
    return before;
  }
  bool compare_exchange(T& expected, T desired, const SourceLocation& location = SourceLocation::current()) {
    const bool is_done = value_.compare_exchange_strong(expected, desired);
    internal::accessed(name_, TraceValue(std::as_const(expected)), TraceValue(is_done ? desired : expected),
                       is_done ? Access::atomic_rmw : Access::atomic_read, location);
    return is_done;
  }
  T fetch_add(T value,
              const SourceLocation& location = SourceLocation::current()) requires std::is_integral_v<T> {
    const T before = value_.fetch_add(value);
    internal::accessed(name_, TraceValue(before), TraceValue(static_cast<T>(before + value)),
                       Access::atomic_rmw, location);
    return before;
  }
  T fetch_sub(T value,
              const SourceLocation& location = SourceLocation::current()) requires std::is_integral_v<T> {
    const T before = value_.fetch_sub(value);
    internal::accessed(name_, TraceValue(before), TraceValue(static_cast<T>(before - value)),
                       Access::atomic_rmw, location);
    return before;
  }

  const std::string& name() const noexcept { return name_; }

 private:
  const std::string name_;
  std::atomic<T> value_;
};

}  // namespace codewake
