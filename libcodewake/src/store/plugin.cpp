#include "codewake/plugin.hpp"

#include <dlfcn.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <link.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <system_error>
#include <utility>

#include "codewake/errors.hpp"
#include "codewake/trusted_path.hpp"

namespace codewake {
namespace {

namespace fs = std::filesystem;

// An open shared object. Keeps it open as long as the last copy lives.
using Library = std::shared_ptr<void>;

struct Plugin {
  Library library;
  const PluginDescriptor* descriptor;
};

std::string last_dl_error() {
  const char* error = dlerror();
  return error == nullptr ? "unknown reason" : error;
}

// Keeps a library open for the rest of the program.
void keep_open(const Library& library) {
  static std::mutex mutex;
  static auto& kept = *new std::vector<Library>;  // never destroyed: exceptions may outlive static objects
  const std::lock_guard lock(mutex);
  kept.push_back(library);
}

// The magic and the ABI are looked at before anything else of the object is touched.
const PluginDescriptor& checked(const PluginDescriptor& descriptor, const std::string& path) {
  constexpr char kMagic[] = {'c', 'o', 'd', 'e', 'w', 'a', 'k', 'e'};
  if (std::memcmp(descriptor.magic, kMagic, sizeof kMagic) != 0) {
    throw PluginError(path, "not a Code Wake plugin: its codewake_plugin symbol is something else");
  }
  if (descriptor.abi_number != kAbiNumber) {
    throw PluginError(path, fmt::format("built for library ABI {}, this library has {}: rebuild the plugin",
                                        descriptor.abi_number, kAbiNumber));
  }
  if (descriptor.descriptor_size_bytes != sizeof(PluginDescriptor)) {
    throw PluginError(path, "its descriptor has another size than this library's: rebuild the plugin");
  }
  if (std::strcmp(descriptor.cxx_abi, kCxxAbi) != 0) {
    throw PluginError(
        path, fmt::format("built with {}, this library with {}: rebuild the plugin with the same C++ library",
                          descriptor.cxx_abi, kCxxAbi));
  }
  return descriptor;
}

// The file of libcodewake as it was when it was loaded. A name of the main program, which has libcodewake in
// it, would be argv[0], which anyone can choose.
class LoadedLibrary {
 public:
  LoadedLibrary() noexcept { is_known_ = look(status_); }

  /// Empty unless the same file lies there still.
  std::optional<uid_t> owner() const noexcept {
    struct stat now {};
    const bool is_same = is_known_ && look(now) && now.st_dev == status_.st_dev &&
                         now.st_ino == status_.st_ino && now.st_uid == status_.st_uid;
    return is_same ? std::optional<uid_t>(status_.st_uid) : std::nullopt;
  }

 private:
  static bool look(struct stat& status) noexcept {
    Dl_info info{};
    void* map = nullptr;
    if (dladdr1(reinterpret_cast<const void*>(&installed_plugin_folder), &info, &map, RTLD_DL_LINKMAP) == 0)
      return false;
    const char* const name = static_cast<const link_map*>(map)->l_name;
    return name != nullptr && *name == '/' && stat(name, &status) == 0;
  }

  struct stat status_ {};
  bool is_known_ = false;
};

const LoadedLibrary loaded_library;

// Whether only root, the effective user and the owner of libcodewake can write a file or folder itself.
bool is_as_good_as_library(const fs::path& path) {
  struct stat status {};
  const std::optional<uid_t> owner = loaded_library.owner();
  if (!owner || lstat(path.c_str(), &status) != 0) return false;
  const bool is_good_kind = S_ISREG(status.st_mode) || S_ISDIR(status.st_mode);
  const bool is_good_owner = status.st_uid == 0 || status.st_uid == *owner ||
                             (status.st_uid == geteuid() && getauxval(AT_SECURE) == 0);
  return is_good_kind && is_good_owner && (status.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

// The process executes libcodewake from the folder above already, so the way to that is not judged:
// /usr/local/lib can be written by a group on many systems.
bool is_installed(const fs::path& path) {
  const fs::path folder = installed_plugin_folder();
  if (folder.empty() || (path != folder && path.parent_path() != folder)) return false;
  return is_as_good_as_library(folder) && (path == folder || is_as_good_as_library(path));
}

/// Whether code from there may run in this process.
struct Judged {
  bool exists = false;
  std::string problem = {};  ///< why not; empty where it may, if it exists
};

// The current folder is the choice of the user who starts a program, and not of the one whose privileges it
// has.
Judged judge(const fs::path& path) {
  if (path.is_relative() && getauxval(AT_SECURE) != 0)
    return {.problem =
                fmt::format("{} is relative, and the program runs with raised privileges", path.string())};
  if (is_installed(path)) return {.exists = true};
  FollowedPath followed = follow_path(path, Others::none);
  return {followed.exists, std::move(followed.why_not_trusted)};
}

Plugin open_plugin(const fs::path& path) {
  const Judged judged = judge(path);
  if (!judged.problem.empty()) {
    throw PluginError(path, fmt::format("is not loaded: {}; only root and this user may be able to write a "
                                        "plugin and the folders on its way",
                                        judged.problem));
  }
  // A moment later another user's file may lie there.
  if (!judged.exists) throw PluginError(path, "cannot be loaded: there is no such file");
  // Absolute, so that a name without a slash does not go through the linker's search.
  Library library(dlopen(fs::absolute(path).c_str(), RTLD_NOW | RTLD_LOCAL), [](void* handle) {
    if (handle != nullptr) dlclose(handle);
  });
  if (library == nullptr) throw PluginError(path, "cannot be loaded: " + last_dl_error());
  const void* symbol = dlsym(library.get(), "codewake_plugin");
  if (symbol == nullptr) {
    throw PluginError(path,
                      "not a Code Wake plugin: it has no symbol codewake_plugin (see CODEWAKE_PLUGIN in "
                      "codewake/plugin.hpp)");
  }
  const auto& descriptor = *static_cast<const PluginDescriptor*>(symbol);
  return {std::move(library), &checked(descriptor, path)};
}

std::vector<fs::path> with_installed_folder(std::vector<fs::path> folders) {
  folders.push_back(installed_plugin_folder());
  return folders;
}

fs::path find_module(std::string_view module, const std::vector<fs::path>& search_path) {
  if (module.find('/') != std::string_view::npos) return module;
  std::vector<std::string> tried;
  for (const fs::path& folder : with_installed_folder(search_path)) {
    const auto [is_there, problem] = judge(folder);
    for (const char* prefix : {"lib", ""}) {
      const fs::path candidate = folder / fmt::format("{}{}.so", prefix, module);
      std::error_code error;
      if (is_there && problem.empty() && fs::exists(candidate, error)) return candidate;
      tried.push_back(problem.empty() ? candidate.string()
                                      : fmt::format("{} (passed over: {})", candidate.string(), problem));
    }
  }
  throw PluginError(
      std::string(module),
      fmt::format(
          "no such plugin, tried {}: install it, or name its folder in CODE_WAKE_PLUGIN_PATH or plugins.path",
          fmt::join(tried, ", ")));
}

std::span<const PluginClass> classes_of(const Plugin& plugin) {
  return {plugin.descriptor->classes, plugin.descriptor->class_count};
}

const PluginClass& find_class(const Plugin& plugin, const fs::path& path, std::string_view class_name) {
  std::vector<std::string_view> names;
  for (const PluginClass& candidate : classes_of(plugin)) {
    if (candidate.name == class_name) return candidate;
    names.push_back(candidate.name);
  }
  throw PluginError(path, fmt::format("has no class {}; it has: {}", class_name, fmt::join(names, ", ")));
}

std::vector<fs::path> plugin_files(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code error;
  for (fs::directory_iterator file(folder, error), end; !error && file != end; file.increment(error)) {
    if (file->path().extension() == ".so") files.push_back(file->path());
  }
  std::ranges::sort(files);
  return files;
}

PluginFound look_at(std::string module, const fs::path& file) {
  PluginFound entry;
  entry.module = std::move(module);
  entry.path = file;
  try {
    const Plugin plugin = open_plugin(file);
    for (const PluginClass& c : classes_of(plugin)) entry.classes.push_back({c.name, c.parameters});
  } catch (const PluginError& e) {
    entry.problem = e.reason();
  }
  return entry;
}

}  // namespace

std::shared_ptr<Store> load_store(std::string_view module, std::string_view class_name,
                                  const std::vector<std::string>& parameters,
                                  const std::vector<fs::path>& search_path) {
  const fs::path path = find_module(module, search_path);
  Plugin plugin = open_plugin(path);
  const PluginClass& store_class = find_class(plugin, path, class_name);
  std::shared_ptr<Store> store;
  try {
    store = store_class.make(parameters);
  } catch (const std::exception& e) {
    keep_open(plugin.library);  // the nested exception may be of a type that lives in there
    std::throw_with_nested(PluginError(path, fmt::format("{} could not be made: {}", class_name, e.what())));
  } catch (...) {
    throw PluginError(
        path, fmt::format("{} could not be made: its constructor threw something that is no exception",
                          class_name));
  }
  if (store == nullptr)
    throw PluginError(path, fmt::format("{} could not be made: there is no object", class_name));
  Store* const raw = store.get();
  // The store goes before the code that it is made of.
  return {raw, [store = std::move(store), library = std::move(plugin.library)](Store*) mutable {
            store.reset();
            library.reset();
          }};
}

std::vector<PluginFound> find_plugins(const std::vector<fs::path>& search_path) {
  std::vector<PluginFound> found;
  std::set<std::string> names;  // of modules that later folders cannot give
  for (const fs::path& folder : with_installed_folder(search_path)) {
    const Judged judged = judge(folder);
    const bool is_passed_over = !judged.exists || !judged.problem.empty();
    for (const fs::path& file : plugin_files(folder)) {
      std::string module = file.stem();
      if (module.starts_with("lib")) module.erase(0, 3);
      if (names.contains(module)) continue;
      if (!is_passed_over) names.insert(module);
      found.push_back(look_at(std::move(module), file));
    }
  }
  return found;
}

fs::path installed_plugin_folder() {
  Dl_info info{};
  if (dladdr(reinterpret_cast<const void*>(&installed_plugin_folder), &info) == 0) return {};
  std::error_code error;
  const fs::path library = fs::canonical(info.dli_fname, error);
  return (error ? fs::path(info.dli_fname) : library).parent_path() / "codewake";
}

}  // namespace codewake
