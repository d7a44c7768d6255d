#include "stacktrace/loaded_modules.hpp"

#include <dlfcn.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <link.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <filesystem>
#include <fstream>
#include <functional>
#include <mutex>
#include <new>
#include <shared_mutex>
#include <span>
#include <string>
#include <string_view>
#include <system_error>

#include "base/no_cancellation.hpp"
#include "stacktrace/boost_functions.hpp"
#include "stacktrace/sanitizers.hpp"

namespace codewake::internal {
namespace {

constexpr std::string_view kGnu("GNU\0", 4);

std::size_t align_up(std::size_t size, std::size_t alignment) {
  return (size + alignment - 1) / alignment * alignment;
}

// The build-id among the notes of one segment, which is in memory. Sizes come from a file: none is trusted.
std::string build_id_in(std::span<const unsigned char> notes, std::size_t alignment) {
  while (notes.size() >= sizeof(ElfW(Nhdr))) {
    ElfW(Nhdr) note;
    std::memcpy(&note, notes.data(), sizeof note);
    const std::size_t content = align_up(sizeof note + note.n_namesz, alignment);
    const std::size_t next = align_up(content + note.n_descsz, alignment);
    if (content + note.n_descsz > notes.size()) break;
    const std::string_view name(reinterpret_cast<const char*>(notes.data()) + sizeof note, note.n_namesz);
    if (note.n_type == NT_GNU_BUILD_ID && name == kGnu) {
      return fmt::format("{:02x}", fmt::join(notes.subspan(content, note.n_descsz), ""));
    }
    notes = notes.subspan(std::min(next, notes.size()));
  }
  return {};
}

// What the kernel calls the file that is mapped at an address; empty where it is none.
std::string mapped_path(std::uintptr_t address) {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    char* rest = nullptr;
    const std::uintptr_t begin = std::strtoull(line.c_str(), &rest, 16);
    const std::uintptr_t end = *rest == '-' ? std::strtoull(rest + 1, nullptr, 16) : 0;
    const std::size_t path = line.find('/');
    if (address >= begin && address < end) return path == std::string::npos ? "" : line.substr(path);
  }
  return {};
}

// A file that was replaced or deleted keeps its name, so that its frames stay the same.
std::string without_mark(std::string path) {
  constexpr std::string_view kDeleted = " (deleted)";
  std::error_code failed;  // what cannot be looked at is not there
  if (path.ends_with(kDeleted) && !std::filesystem::exists(path, failed))
    path.resize(path.size() - kDeleted.size());
  return path;
}

std::string path_of(const dl_phdr_info& info, bool is_program, std::uintptr_t begin) {
  if (is_program) {
    std::error_code failed;  // without /proc the program has no path: it is shown as unknown
    return without_mark(std::filesystem::read_symlink("/proc/self/exe", failed).string());
  }
  std::string path = info.dlpi_name == nullptr ? "" : info.dlpi_name;
  // Relative to a folder that may be another by now, and is another in the process that recovers this one.
  if (path.find('/') == std::string::npos || path.starts_with('/')) return path;
  const std::string mapped = mapped_path(begin);
  return mapped.empty() ? path : without_mark(mapped);
}

Module describe_module(const dl_phdr_info& info, bool is_program) {
  Module module;
  module.base = info.dlpi_addr;
  module.begin = UINTPTR_MAX;
  for (int i = 0; i < info.dlpi_phnum; ++i) {
    const ElfW(Phdr)& segment = info.dlpi_phdr[i];
    const std::uintptr_t begin = info.dlpi_addr + segment.p_vaddr;
    if (segment.p_type == PT_LOAD) {
      module.begin = std::min(module.begin, begin);
      module.end = std::max<std::uintptr_t>(module.end, begin + segment.p_memsz);
    } else if (segment.p_type == PT_NOTE && module.build_id.empty()) {
      const std::span notes(reinterpret_cast<const unsigned char*>(begin), segment.p_memsz);
      module.build_id = build_id_in(notes, segment.p_align == 8 ? 8 : 4);
    }
  }
  module.path = path_of(info, is_program, module.begin);
  if (!is_program && info.dlpi_name != nullptr) module.link_name = info.dlpi_name;
  module.identity = module.identify();
  return module;
}

/// How often the dynamic linker has loaded and unloaded a module.
struct Changes {
  unsigned long long loads = 0;
  unsigned long long unloads = 0;
  bool operator==(const Changes&) const = default;
  /// Loads only grow, and between two of them unloads do; where there are several namespaces they may shrink
  /// at a load.
  bool is_after(const Changes& other) const noexcept {
    if (loads != other.loads) return loads > other.loads;
    return static_cast<long long>(unloads - other.unloads) > 0;
  }
};

struct Walk {
  Changes changes;  // before it, those that are known; then those that it has seen
  std::vector<Module> modules = {};
  bool first = true;
  std::exception_ptr failure = nullptr;
};

// An exception must not pass through the C library.
int add_module(dl_phdr_info* info, std::size_t, void* data) {
  auto& walk = *static_cast<Walk*>(data);
  try {
    if (walk.first) {
      const Changes now{info->dlpi_adds, info->dlpi_subs};
      if (now == walk.changes) return 1;
      walk.changes = now;
    }
    walk.modules.push_back(describe_module(*info, walk.first));
    walk.first = false;
    return 0;
  } catch (...) {
    walk.failure = std::current_exception();
    return 1;
  }
}

// Keeps a module loaded whose names are read. If the program closes it meanwhile, its destructors run here.
class KeptLoaded {
 public:
  explicit KeptLoaded(const std::string& link_name)
      : handle_(dlopen(link_name.c_str(), RTLD_LAZY | RTLD_NOLOAD)) {}
  KeptLoaded(const KeptLoaded&) = delete;
  KeptLoaded& operator=(const KeptLoaded&) = delete;
  ~KeptLoaded() {
    if (handle_ != nullptr) dlclose(handle_);
  }

  explicit operator bool() const noexcept { return handle_ != nullptr; }

 private:
  void* handle_;
};

// The dynamic linker does not free its lock of walks in the child of a fork(): no thread of ours may hold it
// then. The lock that dlopen and dladdr take is made anew there. Shared by those who look, for the dynamic
// linker's lock is recursive, and one of them may hold it already.
std::shared_mutex walk_mutex;

// As many as a program has plugins, and more.
constexpr std::size_t kMostGone = 512;

constinit std::atomic<std::uint32_t> current_epoch{0};  // 0: it is not said when a module may go

bool overlap(const Module& a, const Module& b) noexcept {
  return a.begin < b.end && b.begin < a.end;
}

bool is_same_load(const Module& a, const Module& b) noexcept {
  return a.base == b.base && a.begin == b.begin && a.end == b.end && a.identity == b.identity;
}

/// What is known of the modules, for all threads.
class ModuleHistory {
 public:
  Changes changes() {
    const std::lock_guard lock(mutex_);
    return changes_;
  }

  std::shared_ptr<const ModuleList> list(Changes& changes) {
    const std::lock_guard lock(mutex_);
    changes = changes_;
    return list_;
  }

  /// What a walk found that began in this epoch.
  void add(Walk walk, std::uint32_t now) {
    const std::lock_guard lock(mutex_);
    if (walk.changes.is_after(changes_)) {
      list_ = list_by(std::move(walk.modules), now != 0);
      changes_ = walk.changes;
    }
    // Also where another thread's was later: that one began in this epoch, or in a later one.
    epoch_ = std::max(epoch_, now);
  }

  void lock() { mutex_.lock(); }
  void unlock(bool is_child) {
    if (!is_child) return mutex_.unlock();
    note_unlocked(&mutex_);
    new (&mutex_) std::mutex;
  }

 private:
  // Who takes a stack in a module is in an epoch of before it began to go: that of the last walk that saw it
  // is later. One that came into its place was not there then: its stacks are of that epoch, or later ones.
  std::shared_ptr<const ModuleList> list_by(std::vector<Module> modules, bool keeps_gone) const {
    auto list = std::make_shared<ModuleList>(ModuleList{.loaded = std::move(modules), .gone = list_->gone});
    std::sort(list->loaded.begin(), list->loaded.end(),
              [](const Module& a, const Module& b) { return a.begin < b.begin; });
    std::vector<bool> is_known(list->loaded.size());
    for (const Module& known : list_->loaded) {
      const auto same = std::find_if(list->loaded.begin(), list->loaded.end(),
                                     [&](const Module& module) { return is_same_load(module, known); });
      if (same != list->loaded.end()) {
        same->since = known.since;
        is_known[static_cast<std::size_t>(same - list->loaded.begin())] = true;
      } else if (keeps_gone) {
        list->gone.insert(list->gone.begin(), known);
        list->gone.front().until = epoch_ + 1;
      }
    }
    for (std::size_t i = 0; i < list->loaded.size(); ++i) {
      if (!is_known[i]) begin(list->loaded[i], list->gone);
    }
    if (list->gone.size() > kMostGone) list->gone.resize(kMostGone);
    return list;
  }

  // Where it lay before, with nothing else in between, it has never gone: so a plugin that comes and goes is
  // one entry.
  void begin(Module& module, std::vector<Module>& gone) const {
    module.since = epoch_;
    const auto latest =
        std::find_if(gone.begin(), gone.end(), [&](const Module& other) { return overlap(module, other); });
    if (latest == gone.end() || !is_same_load(module, *latest)) return;
    module.since = latest->since;
    gone.erase(latest);
  }

  std::mutex mutex_;
  Changes changes_;
  std::uint32_t epoch_ = 0;  // of the latest walk
  std::shared_ptr<const ModuleList> list_ = std::make_shared<const ModuleList>();
};

// Never destroyed: threads may look at stacks until the program has ended.
ModuleHistory& history() {
  static ModuleHistory& made = *new ModuleHistory;
  return made;
}

/// Of a thread that is in fork(): it has all locks, and the program's handlers may run in it.
constinit thread_local bool is_forking __attribute__((tls_model("initial-exec"))) = false;

void look_at_modules() {
  if (is_forking) return;
  const NoCancellation guard;  // what opens a file would unwind what is noexcept
  const std::uint32_t now = module_epoch();
  Walk walk{.changes = history().changes()};
  {
    const std::shared_lock lock(walk_mutex);
    dl_iterate_phdr(&add_module, &walk);
  }
  if (walk.failure != nullptr) std::rethrow_exception(walk.failure);
  history().add(std::move(walk), now);
}

unsigned long long count_unloads() {
  unsigned long long unloads = 0;
  const auto read = [](dl_phdr_info* info, std::size_t, void* data) {
    *static_cast<unsigned long long*>(data) = info->dlpi_subs;
    return 1;
  };
  const std::shared_lock lock(walk_mutex);
  dl_iterate_phdr(read, &unloads);
  return unloads;
}

}  // namespace

std::size_t Module::identify() const {
  return std::hash<std::string>()(fmt::format("{}\n{}\n{}", path, build_id, end - begin));
}

std::uint32_t module_epoch() noexcept {
  return current_epoch.load();
}

void begin_module_epoch() noexcept {
  // The last one goes on for ever: modules are told apart no more.
  std::uint32_t now = current_epoch.load();
  while (now < kLatestEpoch && !current_epoch.compare_exchange_weak(now, now + 1)) continue;
  try {
    look_at_modules();
  } catch (const std::exception&) {  // there is no memory
  }
}

void end_module_epoch() noexcept {
  if (!is_forking && count_unloads() != history().changes().unloads) begin_module_epoch();
}

void lock_loaded_modules() {
  walk_mutex.lock();
  history().lock();
  is_forking = true;
}

void unlock_loaded_modules(bool is_child) {
  is_forking = false;
  history().unlock(is_child);
  if (is_child) {
    note_unlocked(&walk_mutex);
    new (&walk_mutex) std::shared_mutex;  // it knows its owner by a number that the child does not have
  } else {
    walk_mutex.unlock();
  }
}

bool LoadedModules::refresh() {
  if (is_forking) return false;
  look_at_modules();
  Changes changes;
  std::shared_ptr<const ModuleList> now = history().list(changes);
  if (now == list_) return false;
  list_ = std::move(now);
  unloads_ = changes.unloads;
  return true;
}

LoadedAddress LoadedModules::at(std::uintptr_t address, std::uint32_t epoch) const {
  const Module* const module = find(address);
  if (module == nullptr || !module->was_loaded(epoch)) return {};
  return {address, module->link_name, unloads_};
}

std::string exported_function(const LoadedAddress& at) {
  if (at.address == 0) return {};
  const KeptLoaded kept(at.link_name);
  // Where nothing was unloaded since `at`, what is kept is that module, and no later one of the same name.
  if (!kept || count_unloads() != at.unloads) return {};
  return exported_function_at(reinterpret_cast<const void*>(at.address));
}

const Module* LoadedModules::find(std::uintptr_t address) const noexcept {
  const auto above =
      std::upper_bound(all().begin(), all().end(), address,
                       [](std::uintptr_t a, const Module& module) { return a < module.begin; });
  if (above == all().begin()) return nullptr;
  const Module& module = *(above - 1);
  return module.contains(address) ? &module : nullptr;
}

const Module* LoadedModules::find(std::uintptr_t address, std::uint32_t epoch) const noexcept {
  const Module* const loaded = find(address);
  if (loaded != nullptr && loaded->was_loaded(epoch)) return loaded;
  const auto then = std::find_if(gone().begin(), gone().end(), [&](const Module& module) {
    return module.was_loaded(epoch) && module.contains(address);
  });
  return then == gone().end() ? nullptr : &*then;
}

}  // namespace codewake::internal
