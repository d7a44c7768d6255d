#include "stacktrace/symbolizer.hpp"

#include <dlfcn.h>
#include <fmt/format.h>
#include <pthread.h>

#include <atomic>
#include <cstring>
#include <memory>
#include <new>
#include <string_view>
#include <utility>

#include "stacktrace/demangle.hpp"

// libbacktrace, as Boost.Stacktrace's library contains and exports it; its header is private to the compiler.
extern "C" {
using backtrace_error_callback = void (*)(void* data, const char* message, int error);
using backtrace_full_callback = int (*)(void* data, std::uintptr_t pc, const char* file, int line,
                                        const char* function);
using backtrace_syminfo_callback = void (*)(void* data, std::uintptr_t pc, const char* name,
                                            std::uintptr_t value, std::uintptr_t size);
backtrace_state* backtrace_create_state(const char* filename, int threaded, backtrace_error_callback on_error,
                                        void* data);
int backtrace_pcinfo(backtrace_state* state, std::uintptr_t pc, backtrace_full_callback on_line,
                     backtrace_error_callback on_error, void* data);
int backtrace_syminfo(backtrace_state* state, std::uintptr_t pc, backtrace_syminfo_callback on_symbol,
                      backtrace_error_callback on_error, void* data);
}

namespace codewake::internal {
namespace {

// One call as libbacktrace tells it; the function's name is still encoded.
struct Call {
  std::string file;
  std::uint32_t line = 0;
  std::string function;
};

// What the callbacks fill in. They are called from C: nothing may be thrown through it.
struct Answer {
  std::vector<Call> calls;
  std::string symbol;
  bool out_of_memory = false;
};

int on_line(void* data, std::uintptr_t, const char* file, int line, const char* function) {
  auto& answer = *static_cast<Answer*>(data);
  try {
    Call& call = answer.calls.emplace_back();
    if (function != nullptr) call.function = function;
    if (file == nullptr || line <= 0) return 0;
    call.file = file;
    call.line = static_cast<std::uint32_t>(line);
    return 0;
  } catch (const std::bad_alloc&) {
    answer.out_of_memory = true;
    return 1;
  }
}

void on_symbol(void* data, std::uintptr_t, const char* name, std::uintptr_t, std::uintptr_t) {
  auto& answer = *static_cast<Answer*>(data);
  try {
    if (name != nullptr) answer.symbol = name;
  } catch (const std::bad_alloc&) {
    answer.out_of_memory = true;
  }
}

// No debug information, no symbols, a file that is gone: the frame shows what is known without.
void on_error(void*, const char*, int) {}

bool is_encoded(std::string_view function) {
  return function.starts_with("_Z");
}

// Of functions that no other source file sees, debug information has the bare name, without namespace and
// parameters; the table of symbols has it all, but knows nothing of inlined functions.
Answer ask(backtrace_state* state, std::uintptr_t address) {
  Answer answer;
  if (state != nullptr) {
    backtrace_pcinfo(state, address, &on_line, &on_error, &answer);
    if (answer.calls.empty() || !is_encoded(answer.calls.back().function)) {
      backtrace_syminfo(state, address, &on_symbol, &on_error, &answer);
    }
  } else {
    Dl_info info{};
    if (dladdr(reinterpret_cast<void*>(address), &info) != 0 && info.dli_sname != nullptr)
      answer.symbol = info.dli_sname;
  }
  if (answer.out_of_memory) throw std::bad_alloc();
  if (answer.calls.empty()) answer.calls.emplace_back();
  std::string& function = answer.calls.back().function;
  if (function.empty() || is_encoded(answer.symbol)) function = std::move(answer.symbol);
  return answer;
}

// Functions that our headers define are compiled into the program and still are ours. Both conditions are
// needed: the program may have a namespace or a folder of this name.
bool in_public_header(const Call& call) {
  const std::string_view function(call.function);
  if (!function.starts_with("_ZN8codewake") && !function.starts_with("_ZNK8codewake")) return false;
  const std::string_view file(call.file);
  const std::size_t name = file.rfind('/');
  return name != std::string_view::npos && file.ends_with(".hpp") &&
         file.substr(0, name).ends_with("/codewake");
}

std::string hexadecimal(std::uint64_t number) {
  return fmt::format("+0x{:x}", number);
}

Frame unknown_frame(std::uintptr_t address) {
  Frame frame;
  frame.filename = "[unknown]";
  frame.src = hexadecimal(address);
  frame.offset = address;
  return frame;
}

std::size_t size_of(const Frame& frame) {
  return sizeof frame + frame.filename.capacity() + frame.src.capacity() + frame.function.capacity() +
         frame.module.capacity() + frame.build_id.capacity();
}

// Never destroyed: threads may look at stack traces until the program has ended.
std::atomic<Symbolizer*> shared_symbolizer{nullptr};

// In the child no other thread goes on: what one was changing at the fork is abandoned as it is.
void leave_busy_symbolizer() {
  Symbolizer* symbolizer = shared_symbolizer.load(std::memory_order_relaxed);
  if (symbolizer != nullptr && !symbolizer->is_idle())
    shared_symbolizer.store(nullptr, std::memory_order_relaxed);
}

Symbolizer& symbolizer() {
  if (Symbolizer* known = shared_symbolizer.load(std::memory_order_acquire)) return *known;
  // It fails only without memory, and is missed only in a child forked while another thread is in here.
  [[maybe_unused]] static const int once = pthread_atfork(nullptr, nullptr, &leave_busy_symbolizer);
  auto made = std::make_unique<Symbolizer>();
  Symbolizer* expected = nullptr;
  if (!shared_symbolizer.compare_exchange_strong(expected, made.get())) return *expected;
  return *made.release();
}

}  // namespace

std::vector<Frame> symbolize(std::span<void* const> addresses) {
  return symbolizer().resolve(addresses);
}

std::vector<Frame> Symbolizer::resolve(std::span<void* const> addresses) {
  const std::lock_guard lock(mutex_);
  modules_.refresh();
  std::vector<Frame> frames;
  frames.reserve(addresses.size());
  for (void* const return_address : addresses) {
    // The call ends before the address that it returns to, which may belong to the next line or function.
    const std::uintptr_t address = reinterpret_cast<std::uintptr_t>(return_address) - 1;
    const Module* module = modules_.find(address);
    if (module == nullptr) {
      frames.push_back(unknown_frame(address));
      continue;
    }
    for (const CachedFrame& cached : frames_at(*module, address)) {
      if (!(frames.empty() && cached.in_public_header)) frames.push_back(cached.frame);
    }
  }
  return frames;
}

bool Symbolizer::is_idle() noexcept {
  const std::unique_lock lock(mutex_, std::try_to_lock);
  return lock.owns_lock();
}

std::size_t Symbolizer::cached_bytes() {
  const std::lock_guard lock(mutex_);
  return young_bytes_ + old_bytes_;
}

const Symbolizer::Frames& Symbolizer::frames_at(const Module& module, std::uintptr_t address) {
  const Key key{module.identity, address - module.base};
  if (const auto known = young_.find(key); known != young_.end()) return known->second;
  if (auto known = old_.extract(key)) return keep(key, std::move(known.mapped()));
  return keep(key, resolve_in(module, address));
}

Symbolizer::Frames Symbolizer::resolve_in(const Module& module, std::uintptr_t address) {
  const Answer answer = ask(debug_information_of(module), address);
  Frames frames;
  for (const Call& call : answer.calls) {
    CachedFrame& cached = frames.emplace_back();
    cached.in_public_header = in_public_header(call);
    Frame& frame = cached.frame;
    frame.function = demangle(call.function.c_str());
    frame.module = module.path;
    frame.build_id = module.build_id;
    frame.offset = address - module.base;
    frame.lineno = call.line;
    frame.filename = call.line == 0 ? module.path : locate_source(call.file, module.path);
    frame.src = call.line == 0 ? hexadecimal(frame.offset) : sources_.line(frame.filename, call.line);
  }
  return frames;
}

const Symbolizer::Frames& Symbolizer::keep(const Key& key, Frames frames) {
  std::size_t bytes = sizeof key + sizeof frames;
  for (const CachedFrame& cached : frames) bytes += size_of(cached.frame);
  if (young_bytes_ + bytes > kMaxCacheBytes / 2) {
    old_ = std::exchange(young_, {});
    old_bytes_ = std::exchange(young_bytes_, 0);
  }
  young_bytes_ += bytes;
  return young_.insert_or_assign(key, std::move(frames)).first->second;
}

// libbacktrace takes in all modules that are loaded when it first looks, and nothing later.
backtrace_state* Symbolizer::debug_information_of(const Module& module) {
  const Key wanted{module.identity, module.base};
  if (known_modules_.contains(wanted)) return state_;
  if (readings_ == kMaxReadings) return nullptr;
  ++readings_;
  known_modules_.clear();
  state_ = backtrace_create_state(nullptr, 0, &on_error, nullptr);
  for (const Module& loaded : modules_.all()) known_modules_.insert({loaded.identity, loaded.base});
  return state_;
}

}  // namespace codewake::internal
