#include "codewake/plugin.hpp"

#include <dlfcn.h>
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "codewake/errors.hpp"
#include "support/temporary_folder.hpp"

using codewake::find_plugins;
using codewake::load_store;
using codewake::PluginError;
using codewake::PluginFound;
using codewake::Store;
namespace fs = std::filesystem;

namespace {

fs::path folder_of(const char* variable) {
  const char* folder = std::getenv(variable);
  REQUIRE(folder != nullptr);
  return folder;
}

fs::path good_plugins() {
  return folder_of("CODEWAKE_TEST_PLUGINS");
}
fs::path bad_plugins() {
  return folder_of("CODEWAKE_BAD_PLUGINS");
}

std::string reason_of(const std::string& module, const std::string& class_name) {
  try {
    load_store(module, class_name, {"parameter"}, {bad_plugins()});
  } catch (const PluginError& e) {
    CHECK(e.path().find(module) != std::string::npos);
    CHECK(std::string(e.what()) == e.path() + ": " + e.reason());
    return e.reason();
  }
  return "no error";
}

}  // namespace

TEST_CASE("A module is found by its name in the search path, with lib before it or without") {
  const codewake::testing::TemporaryFolder folder;
  const fs::path original = good_plugins() / "libcode_wake_memory_store.so";
  fs::copy_file(original, folder / "plain_name.so");
  CHECK(load_store("code_wake_memory_store", "MemoryStore", {}, {good_plugins()}) != nullptr);
  CHECK(load_store("plain_name", "MemoryStore", {}, {"/nowhere", folder.path()}) != nullptr);
}

TEST_CASE("A path with a slash is taken as it is") {
  const fs::path file = good_plugins() / "libcode_wake_memory_store.so";
  CHECK(load_store(file.string(), "MemoryStore", {}) != nullptr);
  CHECK_THROWS_AS(load_store("./libcode_wake_memory_store.so", "MemoryStore", {}, {good_plugins()}),
                  PluginError);
}

TEST_CASE("The first folder of the search path wins") {
  const codewake::testing::TemporaryFolder folder;
  fs::copy_file(bad_plugins() / "libno_plugin.so", folder / "libcode_wake_memory_store.so");
  CHECK_THROWS_AS(load_store("code_wake_memory_store", "MemoryStore", {}, {folder.path(), good_plugins()}),
                  PluginError);
  CHECK(load_store("code_wake_memory_store", "MemoryStore", {}, {good_plugins(), folder.path()}) != nullptr);
}

TEST_CASE("The store holds its shared object open for its own lifetime") {
  const std::string file = good_plugins() / "libcode_wake_memory_store.so";
  const auto is_open = [&] {
    void* handle = dlopen(file.c_str(), RTLD_NOW | RTLD_NOLOAD);
    if (handle != nullptr) dlclose(handle);
    return handle != nullptr;
  };
  std::shared_ptr<Store> store = load_store(file, "MemoryStore", {});
  CHECK(is_open());
  const auto info = codewake::ProcessInfo{.app_name = "app"};
  CHECK(store->insert_process(info)->app.name == "app");
  std::weak_ptr<Store> watch = store;
  store.reset();
  CHECK(watch.expired());
}

TEST_CASE("What is no plugin, or not for this library, is refused with its reason") {
  CHECK(reason_of("missing", "X")
            .starts_with("no such plugin, tried " + bad_plugins().string() + "/libmissing.so, "));
  CHECK(reason_of("no_plugin", "X") ==
        "not a Code Wake plugin: it has no symbol codewake_plugin (see CODEWAKE_PLUGIN in "
        "codewake/plugin.hpp)");
  CHECK(reason_of("other_magic", "X") ==
        "not a Code Wake plugin: its codewake_plugin symbol is something else");
  CHECK(reason_of("other_abi", "X") == "built for library ABI 4711, this library has 1: rebuild the plugin");
  CHECK(reason_of("other_cxx_abi", "X") ==
        "built with libzzz, this library with libstdc++: rebuild the plugin with the same C++ library");
}

TEST_CASE("A file that the loader cannot load is refused in the loader's own words") {
  const codewake::testing::TemporaryFolder folder;
  folder.write("libtext.so", "this is text");
  CHECK_THROWS_WITH_AS(load_store("text", "X", {}, {folder.path()}), doctest::Contains("cannot be loaded: "),
                       PluginError);
  fs::create_directory(folder / "libfolder.so");
  CHECK_THROWS_WITH_AS(load_store("folder", "X", {}, {folder.path()}),
                       doctest::Contains("cannot be loaded: "), PluginError);
}

TEST_CASE("An unknown class is refused with the classes that there are") {
  CHECK(reason_of("failing", "Unknown") ==
        "has no class Unknown; it has: Failing, Misconfigured, Strange, Nothing");
}

TEST_CASE("A constructor that fails is told with its cause, which is nested") {
  CHECK(reason_of("failing", "Failing") == "Failing could not be made: cannot use parameter");
  CHECK(reason_of("failing", "Misconfigured") ==
        "Misconfigured could not be made: bad://dsn: not a DSN of this store");
  CHECK(reason_of("failing", "Strange") ==
        "Strange could not be made: its constructor threw something that is no exception");
  CHECK(reason_of("failing", "Nothing") == "Nothing could not be made: there is no object");
  try {
    load_store("failing", "Failing", {"x"}, {bad_plugins()});
    FAIL("no error");
  } catch (const PluginError& e) {
    try {
      std::rethrow_if_nested(e);
      FAIL("no cause");
    } catch (const std::exception& cause) {
      CHECK(std::string(cause.what()) == "cannot use x");
    }
  }
}

TEST_CASE("find_plugins lists what can be loaded, and why the rest cannot") {
  const std::vector<PluginFound> found = find_plugins({good_plugins(), bad_plugins(), "/nowhere"});
  const auto named = [&](const std::string& module) {
    const auto at = std::ranges::find(found, module, &PluginFound::module);
    REQUIRE(at != found.end());
    return *at;
  };
  const PluginFound good = named("code_wake_memory_store");
  CHECK(good.problem == "");
  REQUIRE(good.classes.size() == 1);
  CHECK(good.classes[0].name == "MemoryStore");
  CHECK(named("failing").classes.size() == 4);
  CHECK(named("other_abi").problem == "built for library ABI 4711, this library has 1: rebuild the plugin");
  CHECK(named("no_plugin").classes.empty());
}
