// Stacks: captured, remembered at a throw, and resolved.
#include <cxxabi.h>
#include <dlfcn.h>
#include <execinfo.h>
#include <link.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <new>
#include <span>
#include <stdexcept>
#include <string_view>
#include <typeinfo>
#include <vector>

#include "bench/batches.hpp"
#include "bench/machine.hpp"
#include "bench/passes.hpp"
#include "bench/statistics.hpp"
#include "bench/ticks.hpp"
#include "codewake/errors.hpp"
#include "codewake/stacktrace.hpp"
#include "codewake/throw_hook.hpp"

namespace codewake::cli::bench {
namespace {

constexpr std::size_t kFrames = 20;
constexpr std::size_t kTraceFrames = 64;

/// Calls `work` so many frames below the caller.
template <class Work>
[[gnu::noinline]] void below(std::size_t frames, Work& work) {
  if (frames == 0) {
    work();
  } else {
    below(frames - 1, work);
  }
  asm volatile("");  // no tail call
}

/// Medians of both, in nanoseconds. They alternate, so that both meet the same machine.
template <class Ours, class Peer>
Json time_in_turns(std::size_t calls, Ours ours, Peer peer) {
  constexpr std::size_t kWarmUp = 100;
  const TickScale scale = measure_tick_scale();
  std::vector<double> our_times(calls, 1.0), peer_times(calls, 1.0);
  const auto time = [](auto& work) {
    const std::uint64_t begin = ticks_at_begin();
    work();
    return static_cast<double>(ticks_at_end() - begin);
  };
  for (std::size_t i = 0; i < kWarmUp; ++i) {
    ours();
    peer();
  }
  for (std::size_t i = 0; i < calls; ++i) {
    our_times[i] = time(ours);
    peer_times[i] = time(peer);
  }
  const auto ns = [&](std::vector<double>& times) {
    return quantile_of_steps(times, 0.5, scale.step_ticks) * scale.ns_per_tick - scale.overhead_ns;
  };
  return {{"ours", ns(our_times)}, {"peer", ns(peer_times)}};
}

// ── throwing ──

using Throw = void (*)(void* object, std::type_info* type, void (*destroy)(void*));

/// What `throw` calls in a program without this library.
Throw throw_of_runtime() {
  void* const runtime = ::dlopen("libstdc++.so.6", RTLD_NOW | RTLD_NOLOAD);
  void* const function = runtime == nullptr ? nullptr : ::dlsym(runtime, "__cxa_throw");
  if (function == nullptr) {
    throw Error("the C++ runtime is not libstdc++.so.6: there is nothing to compare with");
  }
  return reinterpret_cast<Throw>(function);
}

constexpr const char* kMessage = "no such article";

void destroy(void* exception) {
  static_cast<std::runtime_error*>(exception)->~runtime_error();
}

/// As the compiler does it for a `throw`.
void throw_by(Throw function) {
  void* const object = abi::__cxa_allocate_exception(sizeof(std::runtime_error));
  new (object) std::runtime_error(kMessage);
  function(object, const_cast<std::type_info*>(&typeid(std::runtime_error)), &destroy);
}

template <class Work>
void throw_and_catch(Work& work) {
  constexpr std::size_t kFramesBetween = 2;
  try {
    below(kFramesBetween, work);
  } catch (const std::runtime_error&) {
  }
}

// ── resolving ──

struct Code {
  std::uintptr_t begin = 0;
  std::uintptr_t end = 0;
};

/// Of this program and of the library.
std::vector<Code> own_code() {
  std::vector<Code> all;
  const auto add = [](dl_phdr_info* info, std::size_t, void* data) {
    const std::string_view name = info->dlpi_name == nullptr ? "" : info->dlpi_name;
    if (!name.empty() && name.find("libcodewake") == std::string_view::npos) return 0;
    for (int i = 0; i < info->dlpi_phnum; ++i) {
      const ElfW(Phdr)& segment = info->dlpi_phdr[i];
      if (segment.p_type != PT_LOAD || (segment.p_flags & PF_X) == 0) continue;
      const std::uintptr_t begin = info->dlpi_addr + segment.p_vaddr;
      static_cast<std::vector<Code>*>(data)->push_back({begin, begin + segment.p_memsz});
    }
    return 0;
  };
  ::dl_iterate_phdr(add, &all);
  return all;
}

/// So many different addresses, evenly over all of the code.
std::vector<void*> spread_addresses(std::size_t count) {
  const std::vector<Code> code = own_code();
  std::vector<void*> addresses;
  for (const Code& part : code) {
    const std::size_t share = count / code.size() + 1;
    const std::uintptr_t step = std::max<std::uintptr_t>((part.end - part.begin) / share, 1);
    for (std::size_t i = 0; i < share && addresses.size() < count; ++i) {
      addresses.push_back(reinterpret_cast<void*>(part.begin + i * step + 1));
    }
  }
  return addresses;
}

/// Resolves them as traces, calling `look(frames)` for each.
template <class Look>
void resolve(std::span<void* const> addresses, Look look) {
  for (std::size_t i = 0; i < addresses.size(); i += kTraceFrames) {
    const Stacktrace trace(addresses.subspan(i, std::min(kTraceFrames, addresses.size() - i)));
    look(trace.frames());
  }
}

}  // namespace

bool has_libunwind() noexcept {
  static const bool found = ::dlopen("libunwind.so.8", RTLD_NOW | RTLD_LOCAL) != nullptr;
  return found;
}

Json capture_stack(const Json& request) {
  Json times;
  auto measure = [&] {
    const auto ours = [] {
      const Stacktrace trace = Stacktrace::current(kFrames);
      if (trace.addresses().size() != kFrames) throw Error("not all frames were captured");
    };
    const auto peer = [] {
      void* addresses[kFrames];
      if (::backtrace(addresses, kFrames) != kFrames) throw Error("backtrace() did not capture all frames");
    };
    times = time_in_turns(request.at("calls"), ours, peer);
  };
  below(kFrames, measure);
  return times;
}

Json throw_exceptions(const Json& request) {
  const Throw runtime = throw_of_runtime();
  record_throws(request.at("recorded"));
  Json times;
  auto measure = [&] {
    // The same code on both sides, so that the hook is all that differs.
    const std::function<void()> throw_ours = [] { throw_by(&abi::__cxa_throw); };
    const std::function<void()> throw_peer = [runtime] { throw_by(runtime); };
    times = time_in_turns(
        request.at("calls"), [&] { throw_and_catch(throw_ours); }, [&] { throw_and_catch(throw_peer); });
  };
  below(kFrames, measure);
  return times;
}

Json symbolize_frames(const Json& request) {
  constexpr int kTimesKnown = 20;
  const std::vector<void*> addresses = spread_addresses(request.at("frames"));
  std::size_t frames = 0, lines = 0;
  const auto look = [&](const std::vector<Frame>& found) {
    frames += found.size();
    lines += static_cast<std::size_t>(
        std::count_if(found.begin(), found.end(), [](const Frame& frame) { return frame.lineno != 0; }));
  };
  const double cold = seconds_of([&] { resolve(addresses, look); });
  const auto per_time = static_cast<double>(frames);
  const double with_line = static_cast<double>(lines) / per_time;
  std::vector<double> known;
  for (int i = 0; i < kTimesKnown; ++i) {
    known.push_back(seconds_of([&] { resolve(addresses, look); }) / per_time);
  }
  return {{"cold_ms", cold * 1e3}, {"known_ns", median_of(known) * 1e9}, {"with_line", with_line}};
}

Json symbolize_memory(const Json& request) {
  const std::vector<void*> addresses = spread_addresses(request.at("frames"));
  const double idle_mib = resident_mib();
  double most_mib = idle_mib;
  resolve(addresses, [&](const std::vector<Frame>&) { most_mib = std::max(most_mib, resident_mib()); });
  return {{"memory_mib", most_mib - idle_mib}};
}

}  // namespace codewake::cli::bench
