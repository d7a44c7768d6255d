#include "stacktrace/loaded_modules.hpp"

#include <dlfcn.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <link.h>

#include <algorithm>
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

struct Refresh {
  std::vector<Module> modules;
  unsigned long long loads;
  unsigned long long unloads;
  bool first = true;
  bool unchanged = false;
  std::exception_ptr failure;
};

// An exception must not pass through the C library.
int add_module(dl_phdr_info* info, std::size_t, void* data) {
  auto& refresh = *static_cast<Refresh*>(data);
  try {
    if (refresh.first) {
      refresh.unchanged = info->dlpi_adds == refresh.loads && info->dlpi_subs == refresh.unloads;
      if (refresh.unchanged) return 1;
      refresh.loads = info->dlpi_adds;
      refresh.unloads = info->dlpi_subs;
    }
    refresh.modules.push_back(describe_module(*info, refresh.first));
    refresh.first = false;
    return 0;
  } catch (...) {
    refresh.failure = std::current_exception();
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

void lock_loaded_modules() {
  walk_mutex.lock();
}

void unlock_loaded_modules(bool is_child) {
  if (is_child) {
    note_unlocked(&walk_mutex);
    new (&walk_mutex) std::shared_mutex;  // it knows its owner by a number that the child does not have
  } else {
    walk_mutex.unlock();
  }
}

void LoadedModules::refresh() {
  Refresh refresh{.modules = {}, .loads = loads_, .unloads = unloads_, .failure = nullptr};
  {
    const std::shared_lock lock(walk_mutex);
    dl_iterate_phdr(&add_module, &refresh);
  }
  if (refresh.failure != nullptr) std::rethrow_exception(refresh.failure);
  if (refresh.unchanged) return;
  std::sort(refresh.modules.begin(), refresh.modules.end(),
            [](const Module& a, const Module& b) { return a.begin < b.begin; });
  modules_ = std::move(refresh.modules);
  loads_ = refresh.loads;
  unloads_ = refresh.unloads;
}

LoadedAddress LoadedModules::at(std::uintptr_t address) const {
  const Module* const module = find(address);
  if (module == nullptr) return {};
  return {address, module->link_name, unloads_};
}

std::string exported_function(const LoadedAddress& at) {
  const KeptLoaded kept(at.link_name);
  // Where nothing was unloaded since `at`, what is kept is that module, and no later one of the same name.
  if (!kept || count_unloads() != at.unloads) return {};
  return exported_function_at(reinterpret_cast<const void*>(at.address));
}

const Module* LoadedModules::find(std::uintptr_t address) const noexcept {
  const auto above =
      std::upper_bound(modules_.begin(), modules_.end(), address,
                       [](std::uintptr_t a, const Module& module) { return a < module.begin; });
  if (above == modules_.begin()) return nullptr;
  const Module& module = *(above - 1);
  return module.contains(address) ? &module : nullptr;
}

}  // namespace codewake::internal
