#include "stacktrace/loaded_modules.hpp"

#include <dlfcn.h>
#include <doctest/doctest.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>

using codewake::internal::LoadedModules;
using codewake::internal::Module;

namespace {

int variable_of_program = 1;

std::uintptr_t address_of(const void* object) {
  return reinterpret_cast<std::uintptr_t>(object);
}

std::string exported_function_at(const LoadedModules& modules, std::uintptr_t address) {
  return codewake::internal::exported_function(modules.at(address, codewake::internal::module_epoch()));
}

std::string plugin_path() {
  return std::string(std::getenv("CODEWAKE_TEST_PROGRAMS")) + "/frames_plugin.so";
}

}  // namespace

TEST_CASE("The program is a module with its own path and a build-id") {
  LoadedModules modules;
  modules.refresh();
  const Module* program = modules.find(address_of(&variable_of_program));
  REQUIRE(program != nullptr);
  CHECK(std::filesystem::equivalent(program->path, "/proc/self/exe"));
  CHECK(program->build_id.size() == 40);
}

TEST_CASE("An address between the modules belongs to none") {
  LoadedModules modules;
  CHECK(modules.find(address_of(&variable_of_program)) == nullptr);  // nothing was looked at yet
  modules.refresh();
  REQUIRE_FALSE(modules.all().empty());
  CHECK(modules.find(0) == nullptr);
  CHECK(modules.find(UINTPTR_MAX) == nullptr);
  for (const Module& module : modules.all()) {
    CHECK(modules.find(module.begin) == &module);
    CHECK(modules.find(module.end - 1) == &module);
    CHECK(modules.find(module.end) != &module);
  }
}

TEST_CASE("A shared object comes and goes, and has one identity wherever it is") {
  LoadedModules modules;
  modules.refresh();
  const std::size_t before = modules.all().size();
  std::size_t identity = 0;
  for (int round = 0; round < 2; ++round) {
    void* handle = dlopen(plugin_path().c_str(), RTLD_NOW | RTLD_LOCAL);
    REQUIRE_MESSAGE(handle != nullptr, dlerror());
    const std::uintptr_t address = address_of(dlsym(handle, "call_back"));
    CHECK(modules.find(address) == nullptr);
    modules.refresh();
    CHECK(modules.all().size() == before + 1);
    const Module* plugin = modules.find(address);
    REQUIRE(plugin != nullptr);
    CHECK(std::filesystem::equivalent(plugin->path, plugin_path()));
    if (round == 1) CHECK(plugin->identity == identity);
    identity = plugin->identity;
    dlclose(handle);
    modules.refresh();
    CHECK(modules.all().size() == before);
    CHECK(modules.find(address) == nullptr);
  }
}

TEST_CASE(
    "The exported functions of a shared object have names without its file, for as long as it is loaded") {
  LoadedModules modules;
  void* handle = dlopen(plugin_path().c_str(), RTLD_NOW | RTLD_LOCAL);
  REQUIRE_MESSAGE(handle != nullptr, dlerror());
  const std::uintptr_t address = address_of(dlsym(handle, "call_back"));
  CHECK(exported_function_at(modules, address) == "");  // nothing was looked at yet
  modules.refresh();
  const Module* plugin = modules.find(address);
  REQUIRE(plugin != nullptr);
  CHECK(exported_function_at(modules, address) == "call_back");
  CHECK(exported_function_at(modules, plugin->begin) == "");
  CHECK(exported_function_at(modules, 0) == "");
  dlclose(handle);
  CHECK(exported_function_at(modules, address) == "");
}

TEST_CASE("While threads open, close and look, an address is never taken for one of another module") {
  const std::string upgraded =
      std::string(std::getenv("CODEWAKE_TEST_PROGRAMS")) + "/shop_plugin_upgraded.so";
  const std::string shop = std::string(std::getenv("CODEWAKE_TEST_PROGRAMS")) + "/shop_plugin.so";
  std::atomic<int> wrong{0}, found{0};
  const auto open_and_close = [&](const std::string& path, const char* function) {
    LoadedModules modules;
    for (int round = 0; round < 200; ++round) {
      void* const handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
      if (handle == nullptr) return;
      const std::uintptr_t address = address_of(dlsym(handle, function));
      const std::uint32_t epoch = codewake::internal::module_epoch();
      // As the function that replaces dlclose does; under a sanitizer it does not.
      codewake::internal::begin_module_epoch();
      dlclose(handle);
      codewake::internal::end_module_epoch();
      modules.refresh();
      const Module* const module = modules.find(address, epoch);
      if (module == nullptr) continue;
      ++found;
      if (module->path != path) ++wrong;
    }
  };
  std::thread first(open_and_close, plugin_path(), "call_back");
  std::thread second(open_and_close, shop, "sell");
  std::thread third(open_and_close, upgraded, "sell");
  for (std::thread* const thread : {&first, &second, &third}) thread->join();
  CHECK(wrong == 0);
  CHECK(found > 300);
}
