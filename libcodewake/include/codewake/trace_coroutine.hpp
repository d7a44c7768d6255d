// Coroutines that keep their context when they are resumed on another thread.
//
//     struct promise_type : codewake::CarriesContext {
//       auto initial_suspend() { return carried(std::suspend_always()); }
//       auto final_suspend() noexcept { return carried(std::suspend_always()); }
//       …                                                       // the rest as ever
//     };
#pragma once

#include <concepts>
#include <coroutine>
#include <type_traits>
#include <utility>

#include "codewake/tracing.hpp"

namespace codewake {

class CarriesContext;

namespace internal {

template <class Awaitable>
decltype(auto) awaiter_of(Awaitable&& awaitable) {
  if constexpr (requires { std::forward<Awaitable>(awaitable).operator co_await(); }) {
    return std::forward<Awaitable>(awaitable).operator co_await();
  } else if constexpr (requires { operator co_await(std::forward<Awaitable>(awaitable)); }) {
    return operator co_await(std::forward<Awaitable>(awaitable));
  } else {
    return std::forward<Awaitable>(awaitable);
  }
}

template <class Awaitable>
class CarriedAwaiter;

}  // namespace internal

/// A base of promise types. What is current where the coroutine is called is current in it, from there on:
/// also where it is resumed elsewhere, and with the Scopes that it makes itself. Who resumes it has its own
/// context again once it is suspended, and so has who destroys it while it is: what it destroys then belongs
/// to the coroutine. The coroutine is a part of the execution that called it, which must
/// not go on beside it: what does belongs into a `bind` or a Scope of its own. The first and the last
/// suspension must be `carried(…)`, and so is what a promise with an await_transform of its own returns from
/// it. An `unhandled_exception` that throws calls `leave_by_exception` first. Thread-safe as far as the
/// coroutine is: it runs on one thread at a time.
class CarriesContext {
 public:
  CarriesContext() noexcept : own_(Context::current()), resumers_(own_) {}
  CarriesContext(const CarriesContext&) = delete;
  CarriesContext& operator=(const CarriesContext&) = delete;
  ~CarriesContext() {
    if (is_running_) leave();
  }

  template <class Awaitable>
  internal::CarriedAwaiter<Awaitable> await_transform(Awaitable&& awaitable) {
    return carried(std::forward<Awaitable>(awaitable));
  }

  /// Awaits the same, and has the context go and come with the coroutine.
  template <class Awaitable>
  internal::CarriedAwaiter<Awaitable> carried(Awaitable&& awaitable) {
    return {*this, std::forward<Awaitable>(awaitable)};
  }

 protected:
  /// The coroutine ends by an exception: who resumed it has its own context again.
  void leave_by_exception() noexcept {
    if (is_running_) leave();
  }

 private:
  template <class Awaitable>
  friend class internal::CarriedAwaiter;

  void leave() noexcept {
    own_ = internal::swap_current(std::move(resumers_));
    is_running_ = false;
  }
  void come_back() noexcept {
    resumers_ = internal::swap_current(std::move(own_));
    is_running_ = true;
  }

  Context own_;              // while it is suspended
  Context resumers_;         // while it runs: what was current before
  bool is_running_ = false;  // since it was suspended: until then it runs in what was current anyway
};

namespace internal {

template <class Awaitable>
class CarriedAwaiter {
 public:
  CarriedAwaiter(CarriesContext& promise, Awaitable&& awaitable)
      : promise_(promise),
        awaitable_(std::forward<Awaitable>(awaitable)),
        awaiter_(awaiter_of(static_cast<Awaitable&&>(awaitable_))) {}
  CarriedAwaiter(const CarriedAwaiter&) = delete;
  CarriedAwaiter& operator=(const CarriedAwaiter&) = delete;
  // Of what a suspended coroutine has, this goes first when it is destroyed; its Scopes follow.
  ~CarriedAwaiter() { stay(); }

  bool await_ready() noexcept(noexcept(awaiter_.await_ready())) { return awaiter_.await_ready(); }

  // Once the other's await_suspend has begun, the coroutine may run elsewhere, and even be gone.
  template <class Promise>
  auto await_suspend(std::coroutine_handle<Promise> coroutine) noexcept(
      noexcept(awaiter_.await_suspend(coroutine))) {
    promise_.leave();
    has_left_ = true;
    using Result = decltype(awaiter_.await_suspend(coroutine));
    if constexpr (noexcept(awaiter_.await_suspend(coroutine))) {
      return suspended<Result>(coroutine);
    } else {
      try {
        return suspended<Result>(coroutine);
      } catch (...) {
        stay();
        throw;
      }
    }
  }

  decltype(auto) await_resume() noexcept(noexcept(awaiter_.await_resume())) {
    stay();
    return awaiter_.await_resume();
  }

 private:
  using Awaiter = decltype(awaiter_of(std::declval<Awaitable&&>()));

  template <class Result, class Promise>
  Result suspended(std::coroutine_handle<Promise> coroutine) {
    if constexpr (std::same_as<Result, bool>) {
      const bool is_suspended = awaiter_.await_suspend(coroutine);
      if (!is_suspended) stay();
      return is_suspended;
    } else {
      return awaiter_.await_suspend(coroutine);
    }
  }

  void stay() noexcept {
    if (std::exchange(has_left_, false)) promise_.come_back();
  }

  CarriesContext& promise_;
  Awaitable awaitable_;  // a reference, or the object itself
  Awaiter awaiter_;
  bool has_left_ = false;
};

}  // namespace internal

}  // namespace codewake
