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

/// What an operation on an atomic variable did.
struct AtomicChange {
  Access access;
  TraceValue before, after;
};
/// Calls `operate(context)`, and records what it did. What came before a write comes before whoever reads
/// what was written: in a trace, nobody else operates on what has this clock meanwhile.
CODEWAKE_API void operated(LockClock& clock, std::string_view variable, const SourceLocation& location,
                           AtomicChange (*operate)(void* context), void* context);

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

/// The same of an atomic variable: its accesses do not race, and what came before a write comes before
/// whoever reads what it wrote. Outside of traces it costs what std::atomic costs; inside, its operations
/// wait for each other.
template <class T>
class Traced<std::atomic<T>> {
 public:
  explicit Traced(std::string name, T value = T())
      : name_(std::move(name)), value_(value), clock_(internal::make_lock_clock()) {}
  Traced(const Traced&) = delete;
  Traced& operator=(const Traced&) = delete;

  T load(const SourceLocation& location = SourceLocation::current()) const {
    T value;
    const auto change = [&] {
      value = value_.load();
      return internal::AtomicChange{Access::atomic_read, nullptr, TraceValue(std::as_const(value))};
    };
    operate(change, location);
    return value;
  }
  void store(T value, const SourceLocation& location = SourceLocation::current()) {
    const auto change = [&] {
      value_.store(value);
      return internal::AtomicChange{Access::atomic_write, nullptr, TraceValue(std::as_const(value))};
    };
    operate(change, location);
  }
  T exchange(T value, const SourceLocation& location = SourceLocation::current()) {
    return modify([&] { return value_.exchange(value); }, [&](const T&) { return value; }, location);
  }
  bool compare_exchange(T& expected, T desired, const SourceLocation& location = SourceLocation::current()) {
    bool is_done = false;
    const auto change = [&] {
      is_done = value_.compare_exchange_strong(expected, desired);
      return internal::AtomicChange{is_done ? Access::atomic_rmw : Access::atomic_read,
                                    TraceValue(std::as_const(expected)),
                                    TraceValue(is_done ? std::as_const(desired) : std::as_const(expected))};
    };
    operate(change, location);
    return is_done;
  }
  T fetch_add(T value,
              const SourceLocation& location = SourceLocation::current()) requires std::is_integral_v<T> {
    return modify([&] { return value_.fetch_add(value); },
                  [&](const T& before) { return static_cast<T>(before + value); }, location);
  }
  T fetch_sub(T value,
              const SourceLocation& location = SourceLocation::current()) requires std::is_integral_v<T> {
    return modify([&] { return value_.fetch_sub(value); },
                  [&](const T& before) { return static_cast<T>(before - value); }, location);
  }

  const std::string& name() const noexcept { return name_; }

 private:
  template <class Change>
  void operate(const Change& change, const SourceLocation& location) const {
    internal::operated(
        *clock_, name_, location, [](void* context) { return (*static_cast<const Change*>(context))(); },
        const_cast<Change*>(&change));
  }

  /// A step that reads and writes; the result is the value before, and `after` says what it is then.
  template <class Step, class After>
  T modify(const Step& step, const After& after, const SourceLocation& location) {
    T before, now;
    const auto change = [&] {
      before = step();
      now = after(before);
      return internal::AtomicChange{Access::atomic_rmw, TraceValue(std::as_const(before)),
                                    TraceValue(std::as_const(now))};
    };
    operate(change, location);
    return before;
  }

  const std::string name_;
  std::atomic<T> value_;
  const std::shared_ptr<internal::LockClock> clock_;
};

}  // namespace codewake
