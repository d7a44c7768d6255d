#include "process/event_stacks.hpp"

#include <algorithm>

#include "codewake/throw_hook.hpp"
#include "codewake/visible.hpp"
#include "stacktrace/link_order.hpp"

namespace codewake::internal {
namespace {

std::optional<Stacktrace> first_frames(std::optional<Stacktrace> stack, std::size_t max_frames) {
  if (stack) stack->truncate(max_frames);
  return stack;
}

}  // namespace

// `configured`: whether the event gets a stack where the caller does not decide.
std::size_t EventStacks::frames_wanted(const LogOptions& options, bool configured) const noexcept {
  if (!options.inc_st.value_or(configured || options.stacktrace != nullptr)) return 0;
  return std::min(options.st_len.value_or(config_.max_frames), config_.max_frames);
}

std::optional<Stacktrace> EventStacks::of_call(const LogOptions& options) const {
  const std::size_t frames = frames_wanted(options, config_.for_non_exceptions);
  if (frames == 0) return std::nullopt;
  if (options.stacktrace != nullptr) return first_frames(*options.stacktrace, frames);
  return Stacktrace::current(frames);
}

template <class Exception>
std::optional<Stacktrace> EventStacks::choose(const Exception& exception, const LogOptions& options) {
  const std::size_t frames = frames_wanted(options, config_.from_exceptions);
  if (frames == 0) return std::nullopt;
  if (options.stacktrace != nullptr) return first_frames(*options.stacktrace, frames);
  std::optional<Stacktrace> thrown = first_frames(Stacktrace::thrown_at(exception), frames);
  if (!thrown) say_why_none();
  if (!thrown && options.inc_st == true) return Stacktrace::current(frames);
  return thrown;
}

std::optional<Stacktrace> EventStacks::of_exception(const std::exception& exception,
                                                    const LogOptions& options) {
  return choose(exception, options);
}

std::optional<Stacktrace> EventStacks::of_exception(const std::exception_ptr& exception,
                                                    const LogOptions& options) {
  return choose(exception, options);
}

void EventStacks::say_if_none() {
  if (is_linked_into_program()) say_why_none();
}

void EventStacks::say_why_none() {
  if (throw_hook_in_force() || said_no_hook_.exchange(true, std::memory_order_relaxed)) return;
  say_on_stderr({"exceptions are recorded without the stack of their throw: ", throw_hook_problem().c_str()});
}

}  // namespace codewake::internal
