// Boost.Stacktrace and Code Wake: each takes the stacks of the other, and an exception that carries a stack
// is recorded with it.
//
//     typedef boost::error_info<struct tag_stacktrace, boost::stacktrace::stacktrace> traced;
//
//     throw boost::enable_error_info(std::logic_error("empty")) << traced(boost::stacktrace::stacktrace());
//
//     catch (const std::exception& e) { codewake::log_traced<traced>({{"event", "fault"}}, e); }
//
// For programs that use Boost 1.74 or later: this header includes Boost's, and links nothing. libcodewake
// needs neither to run. Define BOOST_STACKTRACE_… as the program does; docs/boost_stacktrace.md tells more.
#pragma once

#include <algorithm>
#include <boost/exception/get_error_info.hpp>
#include <boost/stacktrace.hpp>
#include <cstddef>
#include <exception>
#include <initializer_list>
#include <optional>
#include <span>

#include "codewake/attributes.hpp"
#include "codewake/process.hpp"
#include "codewake/records.hpp"
#include "codewake/stacktrace.hpp"
#include "codewake/time.hpp"

namespace codewake {

/// The same stack: its return addresses, innermost first, of which those beyond Stacktrace::kMaxFrames, and
/// those of this library, are left out. No name is looked up. Async-signal-safe; takes about 20 ns.
/// Reentrant.
template <class Allocator>
Stacktrace from_boost(const boost::stacktrace::basic_stacktrace<Allocator>& stack) noexcept {
  void* addresses[Stacktrace::kMaxFrames];
  const std::size_t size = std::min<std::size_t>(stack.size(), Stacktrace::kMaxFrames);
  for (std::size_t i = 0; i < size; ++i) addresses[i] = const_cast<void*>(stack[i].address());
  return Stacktrace(std::span<void* const>(addresses, size));
}

/// The same stack for Boost. Empty where the trace was made from frames, which have no addresses in this
/// process. Allocates its memory at once: throws std::bad_alloc. Takes about 30 ns. Reentrant.
inline boost::stacktrace::stacktrace to_boost(const Stacktrace& stack) {
  // Ends with a null, as Boost dumps them: without it, Boost reads a dump of one frame as none.
  void* dump[Stacktrace::kMaxFrames + 1];
  *std::ranges::copy(stack.addresses(), dump).out = nullptr;
  return boost::stacktrace::stacktrace::from_dump(dump, (stack.addresses().size() + 1) * sizeof *dump);
}

namespace internal {

template <class Tag>
struct TracedInfo {
  using type = boost::error_info<Tag, boost::stacktrace::stacktrace>;
};
template <class Tag, class Stack>
struct TracedInfo<boost::error_info<Tag, Stack>> {
  using type = boost::error_info<Tag, Stack>;
};

// Whether the exception was thrown in that call of the function that captured the carried stack: all callers
// are the same, as far as both stacks reach.
inline bool are_of_one_call(const Stacktrace& carried, const Stacktrace& thrown) noexcept {
  const std::span<void* const> a = carried.addresses();
  const std::span<void* const> b = thrown.addresses();
  const std::size_t size = std::min(a.size(), b.size());
  return size > 1 && std::equal(a.begin() + 1, a.begin() + static_cast<std::ptrdiff_t>(size), b.begin() + 1);
}

}  // namespace internal

/// The stack that an exception carries as a boost::error_info; empty where it carries none, or one without
/// frames. `Tag` is the tag, or the whole boost::error_info<…>. `exception` is of any polymorphic class, a
/// boost::exception too. No name is looked up; takes well under 1 µs. Reentrant.
template <class Tag, class Exception>
std::optional<Stacktrace> carried_stack(const Exception& exception) noexcept {
  const auto* const carried = boost::get_error_info<typename internal::TracedInfo<Tag>::type>(exception);
  if (carried == nullptr || carried->empty()) return std::nullopt;
  return from_boost(*carried);
}

namespace internal {

template <class Tag, class Data>
std::optional<EventRecord> log_carried(const Data& data, const std::exception& exception,
                                       LogOptions options) {
  Process& process = Process::instance();
  const std::optional<Stacktrace> carried = carried_stack<Tag>(exception);
  if (!carried || options.stacktrace != nullptr) return process.log(data, exception, options);
  const std::optional<Stacktrace> thrown = Stacktrace::thrown_at(exception);
  options.stacktrace = &*carried;
  const bool has_stack = options.inc_st.value_or(true) && options.st_len != 0;
  if (!has_stack || !thrown || are_of_one_call(*carried, *thrown))
    return process.log(data, exception, options);
  if (!options.when_ts) options.when_ts = now();
  std::optional<EventRecord> record = process.log(data, exception, options);
  options.stacktrace = &*thrown;
  options.sync = false;
  process.log({{"event", "codewake.rethrow"}}, exception, options);
  return record;
}

}  // namespace internal

/// Records an exception as Process::instance().log(data, exception, options) does, with the stack that it
/// carries as a boost::error_info: it has the culprit, also after boost::rethrow_exception, which throws a
/// copy, so that the throw hook sees the rethrow alone. Without a carried stack, or with
/// `options.stacktrace`, it does no more than that call.
///
/// `Tag` is the tag, or the whole boost::error_info<…>. Where both stacks are known and the exception was not
/// thrown by the call that captured the carried one, the stack of the throw is kept too: in an event
/// `codewake.rethrow` of the same time, with the same `exception.…` attributes and without `data`. That one
/// is logged without `.sync`, and left out where the options leave out the stack.
///
/// Results, errors, blocking and what survives are those of Process::instance() and log(). Thread-safe.
template <class Tag>
std::optional<EventRecord> log_traced(std::initializer_list<AttributeArgument> data,
                                      const std::exception& exception, const LogOptions& options = {}) {
  return internal::log_carried<Tag>(data, exception, options);
}
template <class Tag>
std::optional<EventRecord> log_traced(const Attributes& data, const std::exception& exception,
                                      const LogOptions& options = {}) {
  return internal::log_carried<Tag>(data, exception, options);
}

}  // namespace codewake
