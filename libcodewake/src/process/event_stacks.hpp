// Which stack an event gets.
#pragma once

#include <atomic>
#include <cstddef>
#include <exception>
#include <optional>

#include "codewake/config.hpp"
#include "codewake/process.hpp"
#include "codewake/stacktrace.hpp"

namespace codewake::internal {

/// Chooses it by what the caller of log() wants, and else by the configuration. Empty: the event gets none.
/// Thread-safe.
class EventStacks {
 public:
  /// `config` is borrowed for as long as this lives.
  explicit EventStacks(const Config::Stacktraces& config) noexcept : config_(config) {}

  /// The given one, or that of this call.
  std::optional<Stacktrace> of_call(const LogOptions& options) const;

  /// The given one, or that of the throw, or, if a stack is asked for, that of this call. Without the throw
  /// hook, says once on stderr why there is none.
  std::optional<Stacktrace> of_exception(const std::exception& exception, const LogOptions& options);
  std::optional<Stacktrace> of_exception(const std::exception_ptr& exception, const LogOptions& options);

  /// Says once on stderr why throws have no stack, where the program is linked in a way that they have none.
  void say_if_none();

 private:
  std::size_t frames_wanted(const LogOptions& options, bool configured) const noexcept;
  template <class Exception>
  std::optional<Stacktrace> choose(const Exception& exception, const LogOptions& options);
  void say_why_none();

  const Config::Stacktraces& config_;
  std::atomic<bool> said_no_hook_{false};
};

}  // namespace codewake::internal
