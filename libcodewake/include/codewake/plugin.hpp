// Adapters as plugins: the one line that registers them, and the loader.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "codewake/export.hpp"
#include "codewake/store.hpp"

namespace codewake {

/// The number of the library's binary interface. A plugin built for another number is refused.
inline constexpr std::uint32_t kAbiNumber = 1;

/// The C++ library and its string ABI, as this translation unit was compiled: what two sides must share to
/// pass objects.
#if defined(_LIBCPP_VERSION)
inline constexpr char kCxxAbi[] = "libc++";
#elif defined(_GLIBCXX_USE_CXX11_ABI) && _GLIBCXX_USE_CXX11_ABI == 0
inline constexpr char kCxxAbi[] = "libstdc++ with the strings from before C++11";
#else
inline constexpr char kCxxAbi[] = "libstdc++";
#endif

/// One class of a plugin: its name, one line about its parameters, and how to make one.
struct PluginClass {
  const char* name;
  const char* parameters;
  std::shared_ptr<Store> (*make)(const std::vector<std::string>& parameters);
};

/// What a plugin exports as the C symbol `codewake_plugin`. The loader reads the first four members, which
/// never change, before it touches the rest.
struct PluginDescriptor {
  char magic[8];
  std::uint32_t abi_number;
  std::uint32_t descriptor_size_bytes;
  const char* cxx_abi;
  const PluginClass* classes;
  std::size_t class_count;
};

/// Describes store class `S`, which is constructible from the parameters, for CODEWAKE_PLUGIN.
template <class S>
constexpr PluginClass plugin_class(const char* name, const char* parameters) {
  return {name, parameters,
          [](const std::vector<std::string>& p) -> std::shared_ptr<Store> { return std::make_shared<S>(p); }};
}

/// Registers a shared object's classes. Once, at namespace scope:
///
///     CODEWAKE_PLUGIN(codewake::plugin_class<MyStore>("MyStore", "host:port"),
///                     codewake::plugin_class<MyQueueStore>("MyQueueStore", "host:port"))
#define CODEWAKE_PLUGIN(...)                                                                                 \
  namespace {                                                                                                \
  constexpr ::codewake::PluginClass codewake_plugin_classes[] = {__VA_ARGS__};                               \
  }                                                                                                          \
  extern "C" CODEWAKE_API const ::codewake::PluginDescriptor codewake_plugin;                                \
  extern "C" const ::codewake::PluginDescriptor codewake_plugin = {{'c', 'o', 'd', 'e', 'w', 'a', 'k', 'e'}, \
                                                                   ::codewake::kAbiNumber,                   \
                                                                   sizeof(::codewake::PluginDescriptor),     \
                                                                   ::codewake::kCxxAbi,                      \
                                                                   codewake_plugin_classes,                  \
                                                                   std::size(codewake_plugin_classes)};

/// A plugin that can be loaded, or why it cannot.
struct PluginFound {
  struct Class {
    std::string name;
    std::string parameters;
  };

  std::string module;  ///< as it is written before the comma of `store.adapter`
  std::filesystem::path path;
  std::vector<Class> classes;  ///< empty where it cannot be loaded
  std::string problem;         ///< empty where it can
};

/// Makes a store of class `class_name` from the shared object of `module`: a file name without `lib` and
/// `.so`, looked for in `search_path` and then in the installed plugin folder, or a path with a slash, taken
/// as it is. A folder in which another user could put code (why_not_trusted in trusted_path.hpp) is passed
/// over; a plugin that another user could have written is refused before any of its code runs. Of the
/// installed plugin folder, that folder and the plugin alone are judged, and not the way to them: the process
/// executes libcodewake from there already. They must belong to root, the effective user or the owner of
/// libcodewake, and be writable by the owner alone. With raised privileges (AT_SECURE), every relative
/// path is refused. The store holds the shared object open as long as it lives. Throws PluginError, with what
/// its constructor threw, if it did, as nested exception. Thread-safe; blocks on the disk.
CODEWAKE_API std::shared_ptr<Store> load_store(std::string_view module, std::string_view class_name,
                                               const std::vector<std::string>& parameters,
                                               const std::vector<std::filesystem::path>& search_path = {});

/// Every plugin in `search_path` and the installed plugin folder; of one module the first,
/// and before it those in folders that are passed over. What is not trusted is not opened; `problem` gives
/// the reason. Thread-safe; blocks on the disk.
CODEWAKE_API std::vector<PluginFound> find_plugins(
    const std::vector<std::filesystem::path>& search_path = {});

/// Where adapters are installed: `codewake` in the folder of libcodewake itself, wherever that was loaded
/// from.
CODEWAKE_API std::filesystem::path installed_plugin_folder();

}  // namespace codewake
