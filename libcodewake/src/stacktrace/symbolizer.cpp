#include "stacktrace/symbolizer.hpp"

#include <fmt/format.h>
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <memory>
#include <string_view>
#include <utility>

#include "codewake/utf8.hpp"
#include "stacktrace/demangle.hpp"

namespace codewake::internal {
namespace {

// Of a stack that a program captured by Boost: the constructor, which is inlined in the caller.
bool is_of_boost_stacktrace(std::string_view function) {
  return function.starts_with("_ZN5boost10stacktrace") || function.starts_with("_ZNK5boost10stacktrace");
}

// Functions that our headers define are compiled into the program and still are ours. Both conditions are
// needed: the program may have a namespace or a folder of this name.
bool is_capturing(const Call& call) {
  const std::string_view function(call.function);
  if (is_of_boost_stacktrace(function)) return true;
  if (!function.starts_with("_ZN8codewake") && !function.starts_with("_ZNK8codewake")) return false;
  const std::string_view file(call.file);
  const std::size_t name = file.rfind('/');
  return name != std::string_view::npos && file.ends_with(".hpp") &&
         file.substr(0, name).ends_with("/codewake");
}

// A stack is known by its files, lines and sources: instances of a template differ in nothing else.
void add_arguments(const Call& call, Frame& frame) {
  if (call.arguments.empty()) return;
  if (!frame.src.empty()) frame.src += ' ';
  frame.src += "[" + call.arguments + "]";
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

bool is_resolved(const Frame& frame) {
  return frame.lineno != 0 && !frame.function.empty();
}

bool is_of_known_module(const Frame& frame) {
  return !frame.module.empty() && !frame.build_id.empty();
}

bool is_at_same_place(const Frame& a, const Frame& b) {
  return a.offset == b.offset && a.module == b.module && a.build_id == b.build_id;
}

// The frames of one address: where functions were inlined there are several, and where a function calls
// itself the same ones come again. `same_place` are all in a row that are at one place.
std::span<const Frame> first_address(std::span<const Frame> same_place) {
  const auto repeats = [&](std::size_t size) {
    for (std::size_t i = size; i < same_place.size(); ++i) {
      if (same_place[i] != same_place[i - size]) return false;
    }
    return same_place.size() % size == 0;
  };
  std::size_t size = 1;
  while (!repeats(size)) ++size;
  return same_place.first(size);
}

bool tells_more(const Frame& now, const Frame& then) {
  const bool loses =
      (now.lineno == 0 && then.lineno != 0) || (now.function.empty() && !then.function.empty());
  const bool gains =
      (now.lineno != 0 && then.lineno == 0) || (!now.function.empty() && then.function.empty());
  return gains && !loses;
}

// By Trust. Never destroyed: threads may look at stack traces until the program has ended.
constexpr std::size_t kTrusts = 3;
std::array<std::atomic<Symbolizer*>, kTrusts> shared_symbolizers{};

// In the child no other thread goes on: what one was changing at the fork is abandoned as it is.
void leave_busy_symbolizers() {
  for (std::atomic<Symbolizer*>& shared : shared_symbolizers) {
    Symbolizer* symbolizer = shared.load(std::memory_order_relaxed);
    if (symbolizer != nullptr && !symbolizer->is_idle()) shared.store(nullptr, std::memory_order_relaxed);
  }
}

Symbolizer& symbolizer(Trust trust) {
  std::atomic<Symbolizer*>& shared = shared_symbolizers[static_cast<std::size_t>(trust)];
  if (Symbolizer* known = shared.load(std::memory_order_acquire)) return *known;
  // It fails only without memory, and is missed only in a child forked while another thread is in here.
  [[maybe_unused]] static const int once = pthread_atfork(nullptr, nullptr, &leave_busy_symbolizers);
  auto made = std::make_unique<Symbolizer>(SymbolOptions{.trust = trust});
  Symbolizer* expected = nullptr;
  if (!shared.compare_exchange_strong(expected, made.get())) return *expected;
  return *made.release();
}

// The user that starts a program with raised privileges may have written the runs that it finds.
SymbolOptions for_this_program(SymbolOptions options) {
  if (options.trust == Trust::own_run && is_privileged()) options.trust = Trust::stored;
  return options;
}

SourceFiles::Open opener(const SymbolOptions& options, const SourceFolders& folders) {
  if (options.trust != Trust::stored) return &open_own_source;
  return
      [&folders](const std::string& path, std::uint64_t max_bytes) { return folders.open(path, max_bytes); };
}

}  // namespace

std::vector<Frame> symbolize(std::span<void* const> addresses, std::uint32_t epoch, std::size_t max_frames) {
  return symbolizer(Trust::own_process).resolve(addresses, epoch, max_frames);
}

std::vector<Frame> symbolize(std::span<void* const> addresses, const std::vector<Module>& modules,
                             std::uint32_t epoch) {
  return symbolizer(Trust::own_run).resolve(addresses, modules, epoch);
}

std::vector<Frame> symbolize_stored(std::span<const Frame> frames,
                                    const std::vector<std::string>& source_folders) {
  if (source_folders.empty()) return symbolizer(Trust::stored).resolve_stored(frames);
  // Of the folders that were given last.
  static std::mutex mutex;
  static std::vector<std::string> folders;
  static std::shared_ptr<Symbolizer> shared;
  std::shared_ptr<Symbolizer> chosen;
  {
    const std::lock_guard lock(mutex);
    if (shared == nullptr || folders != source_folders) {
      shared = std::make_shared<Symbolizer>(SymbolOptions{.source_folders = source_folders});
      folders = source_folders;
    }
    chosen = shared;
  }
  return chosen->resolve_stored(frames);
}

void make_storable(Frame& frame) {
  for (std::string* text : {&frame.filename, &frame.src, &frame.function, &frame.module, &frame.build_id}) {
    if (!is_storable(*text)) *text = to_storable(*text);
  }
}

Symbolizer::Symbolizer(SymbolOptions options)
    : options_(for_this_program(std::move(options))),
      source_folders_(options_.source_folders),
      sources_(opener(options_, source_folders_)) {}

std::vector<Frame> Symbolizer::resolve(std::span<void* const> addresses, std::uint32_t epoch,
                                       std::size_t max_frames) {
  std::vector<Unnamed> unnamed;
  std::vector<LoadedAddress> places;
  std::vector<Frame> frames;
  {
    const std::lock_guard lock(mutex_);
    forget_other_user();
    const LetGo let_go(*this);
    modules_.refresh();
    const auto find = [&](std::uintptr_t address) { return modules_.find(address, epoch); };
    frames = resolve_by(addresses, max_frames, find, unnamed);
    for (const Unnamed& one : unnamed) places.push_back(modules_.at(one.address, epoch));
  }
  // Without the lock: a constructor that dlopen() runs may look at stacks, too.
  for (std::size_t i = 0; i < unnamed.size(); ++i) {
    Frame& frame = frames[unnamed[i].index];
    frame.function = demangle_function(exported_function(places[i]));
    make_storable(frame);
  }
  return frames;
}

std::vector<Frame> Symbolizer::resolve(std::span<void* const> addresses, const std::vector<Module>& modules,
                                       std::uint32_t epoch) {
  const std::lock_guard lock(mutex_);
  forget_other_user();
  const LetGo let_go(*this);
  const auto find = [&](std::uintptr_t address) -> const Module* {
    const auto module = std::find_if(modules.begin(), modules.end(), [&](const Module& m) {
      return m.was_loaded(epoch) && m.contains(address);
    });
    return module == modules.end() ? nullptr : &*module;
  };
  std::vector<Unnamed> unnamed;  // stay so: other code may be loaded here at these addresses
  return resolve_by(addresses, SIZE_MAX, find, unnamed);
}

template <class Find>
std::vector<Frame> Symbolizer::resolve_by(std::span<void* const> addresses, std::size_t max_frames,
                                          Find find_module, std::vector<Unnamed>& unnamed) {
  std::vector<Frame> frames;
  frames.reserve(std::min(2 * addresses.size(), max_frames));  // about as many were inlined
  for (void* const return_address : addresses) {
    if (frames.size() >= max_frames) break;
    // The call ends before the address that it returns to, which may belong to the next line or function.
    const std::uintptr_t address = reinterpret_cast<std::uintptr_t>(return_address) - 1;
    const Module* module = find_module(address);
    if (module == nullptr) {
      frames.push_back(unknown_frame(address));
      continue;
    }
    const Frames& found = frames_at(*module, address - module->base);
    append(found, frames);
    if (!found.empty() && found.back().lacks_file) unnamed.push_back({frames.size() - 1, address});
  }
  if (frames.size() > max_frames) frames.resize(max_frames);
  while (!unnamed.empty() && unnamed.back().index >= frames.size()) unnamed.pop_back();
  return frames;
}

void Symbolizer::append(const Frames& found, std::vector<Frame>& frames) {
  for (const CachedFrame& cached : found) {
    if (!(frames.empty() && cached.is_capturing)) frames.push_back(cached.frame);
  }
}

std::vector<Frame> Symbolizer::resolve_stored(std::span<const Frame> stored) {
  const std::lock_guard lock(mutex_);
  forget_other_user();
  const LetGo let_go(*this);
  std::vector<Frame> frames;
  for (std::span<const Frame> rest = stored; !rest.empty();) {
    std::size_t size = 1;
    while (size < rest.size() && is_at_same_place(rest[size], rest.front())) ++size;
    const std::span<const Frame> known = first_address(rest.first(size));
    rest = rest.subspan(known.size());
    if (!is_of_known_module(known.front()) || std::all_of(known.begin(), known.end(), is_resolved)) {
      frames.insert(frames.end(), known.begin(), known.end());
      continue;
    }
    Module module;
    module.path = known.front().module;
    module.build_id = known.front().build_id;
    module.identity = module.identify();
    // The last is the function that the address lies in: what was inlined there is known with it.
    const Frames& found = frames_at(module, known.front().offset);
    if (!found.empty() && tells_more(found.back().frame, known.back())) {
      append(found, frames);
    } else {
      frames.insert(frames.end(), known.begin(), known.end());
    }
  }
  if (frames.empty()) frames.assign(stored.begin(), stored.end());
  return frames;
}

// What one user could read is not for another: a child that has become the owner of a run, say.
void Symbolizer::forget_other_user() {
  const uid_t user = geteuid();
  if (user == user_) return;
  user_ = user;
  open_.clear();
  young_.clear();
  old_.clear();
  young_bytes_ = old_bytes_ = 0;
  sources_.clear();
}

bool Symbolizer::is_idle() noexcept {
  const std::unique_lock lock(mutex_, std::try_to_lock);
  return lock.owns_lock();
}

std::size_t Symbolizer::cached_bytes() {
  const std::lock_guard lock(mutex_);
  return young_bytes_ + old_bytes_;
}

const Symbolizer::Frames& Symbolizer::frames_at(const Module& module, std::uint64_t offset) {
  const Key key{module.identity, offset};
  if (const auto known = young_.find(key); known != young_.end()) return known->second;
  if (auto known = old_.extract(key)) return keep(key, std::move(known.mapped()));
  ModuleSymbols& symbols = symbols_of(module);
  const bool is_unreadable = symbols.is_unreadable();
  Frames frames = resolve_in(symbols, module, offset);
  if (is_unreadable) open_.pop_front();
  release_pages();
  close_modules(1);
  if (!is_unreadable) return keep(key, std::move(frames));
  unkept_ = std::move(frames);
  return unkept_;
}

Symbolizer::Frames Symbolizer::resolve_in(ModuleSymbols& symbols, const Module& module,
                                          std::uint64_t offset) {
  const std::vector<Call> calls = symbols.calls_at(offset);
  const bool may_read_sources = options_.trust == Trust::stored || symbols.may_name_sources();
  Frames frames;
  for (const Call& call : calls) {
    CachedFrame& cached = frames.emplace_back();
    cached.is_capturing = is_capturing(call);
    Frame& frame = cached.frame;
    frame.function = demangle_function(call.function);
    frame.module = module.path;
    frame.build_id = module.build_id;
    frame.offset = offset;
    frame.lineno = call.line;
    if (call.line == 0) {
      frame.filename = module.path;
      frame.src = hexadecimal(offset);
    } else {
      find_source(call, may_read_sources, frame);
      add_arguments(call, frame);
    }
    make_storable(frame);
    cached.lacks_file = !symbols.has_file() && frame.function.empty();
  }
  return frames;
}

void Symbolizer::find_source(const Call& call, bool may_read, Frame& frame) {
  frame.filename = recorded_source(call.file);
  if (!may_read) return;
  if (options_.trust != Trust::stored) {
    frame.filename = locate_source(call.file, frame.module);
  } else if (std::string found = source_folders_.locate(call.file); !found.empty()) {
    frame.filename = std::move(found);
  } else {
    return;
  }
  frame.src = sources_.line(frame.filename, call.line);
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

ModuleSymbols& Symbolizer::symbols_of(const Module& module) {
  const auto known = std::find_if(open_.begin(), open_.end(),
                                  [&](const OpenModule& open) { return open.identity == module.identity; });
  if (known != open_.end() && known->symbols.hold()) {
    open_.splice(open_.begin(), open_, known);
    return open_.front().symbols;
  }
  if (known != open_.end()) open_.erase(known);
  close_modules(0);
  return open_.emplace_front(module, options_).symbols;
}

void Symbolizer::release_pages() noexcept {
  if (++resolved_ % kReleaseInterval != 0) return;
  for (const OpenModule& open : open_) open.symbols.release_pages();
}

void Symbolizer::close_modules(std::size_t kept) noexcept {
  std::size_t bytes = 0;
  for (const OpenModule& open : open_) bytes += open.symbols.bytes();
  while (open_.size() > kept && (bytes > options_.max_bytes || open_.size() > kMaxOpenModules)) {
    bytes -= open_.back().symbols.bytes();
    open_.pop_back();
  }
}

}  // namespace codewake::internal
