// Stacks: captured, remembered at a throw, and resolved.
#include <dlfcn.h>
#include <execinfo.h>
#include <link.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
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

/// Takes the time of calls of `work` one by one, and says which is their median, in nanoseconds.
class MedianTime {
 public:
  explicit MedianTime(std::size_t calls) : ticks_(calls, 1.0) {}

  template <class Work>
  void take(std::size_t call, Work& work) {
    const std::uint64_t begin = ticks_at_begin();
    work();
    ticks_[call] = static_cast<double>(ticks_at_end() - begin);
  }

  double ns(const TickScale& scale) {
    return quantile_of_steps(ticks_, 0.5, scale.step_ticks) * scale.ns_per_tick - scale.overhead_ns;
  }

 private:
  std::vector<double> ticks_;
};

constexpr std::size_t kWarmUp = 100;

// ── throwing ──

constexpr const char* kMessage = "no such article";

[[gnu::noinline]] void throw_one() {
  throw std::runtime_error(kMessage);
}

void throw_and_catch() {
  constexpr std::size_t kFramesBetween = 2;
  try {
    below(kFramesBetween, throw_one);
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

bool walks_stacks() noexcept {
#ifdef __x86_64__
  return ::dlsym(RTLD_DEFAULT, "_dl_find_object") != nullptr;
#else
  return false;
#endif
}

std::string path_of_runtime() {
  void* const runtime = ::dlopen("libstdc++.so.6", RTLD_NOW | RTLD_NOLOAD);
  link_map* module = nullptr;
  if (runtime == nullptr || ::dlinfo(runtime, RTLD_DI_LINKMAP, &module) != 0) return {};
  return module->l_name;
}

Json capture_stack(const Json& request) {
  const std::size_t calls = request.at("calls");
  const TickScale scale = measure_tick_scale();
  MedianTime our_time(calls), peer_time(calls);
  auto ours = [] {
    const Stacktrace trace = Stacktrace::current(kFrames);
    if (trace.addresses().size() != kFrames) throw Error("not all frames were captured");
  };
  auto peer = [] {
    void* addresses[kFrames];
    if (::backtrace(addresses, kFrames) != kFrames) throw Error("backtrace() did not capture all frames");
  };
  // In turns, so that both meet the same machine.
  auto measure = [&] {
    for (std::size_t i = 0; i < kWarmUp; ++i) {
      ours();
      peer();
    }
    for (std::size_t i = 0; i < calls; ++i) {
      our_time.take(i, ours);
      peer_time.take(i, peer);
    }
  };
  below(kFrames, measure);
  return {{"ours", our_time.ns(scale)}, {"peer", peer_time.ns(scale)}};
}

Json throw_exceptions(const Json& request) {
  const std::size_t calls = request.at("calls");
  const bool is_hooked = request.at("hooked");
  if (throw_hook_in_force() != is_hooked) {
    throw Error(is_hooked ? "the throw hook is not in force" : "the throw hook is in force");
  }
  if (is_hooked) record_throws(request.at("recorded"));
  const TickScale scale = measure_tick_scale();
  MedianTime time(calls);
  auto measure = [&] {
    for (std::size_t i = 0; i < kWarmUp; ++i) throw_and_catch();
    for (std::size_t i = 0; i < calls; ++i) time.take(i, throw_and_catch);
  };
  below(kFrames, measure);
  return {{"median", time.ns(scale)}};
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
