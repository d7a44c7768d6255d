// Stacks that are looked at when a module in them has gone, and another one may lie in its place.
#include <dlfcn.h>
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "codewake/frame.hpp"
#include "codewake/stacktrace.hpp"
#include "support/sanitizers.hpp"
#include "support/skip.hpp"
#include "traces.hpp"

using codewake::Frame;
using codewake::Stacktrace;
using codewake::testing::Recording;
using codewake::testing::to_text;

namespace {

constexpr const char* kNoHook = "sanitizers replace functions of their own: dlclose is left to them";

std::string built(const char* name) {
  return std::string(std::getenv("CODEWAKE_TEST_PROGRAMS")) + "/" + name;
}

const char* const kShop = "shop_plugin.so";
const char* const kUpgraded = "shop_plugin_upgraded.so";

/// A plugin that is open for as long as this lives.
class Plugin {
 public:
  explicit Plugin(const char* name) : handle_(dlopen(built(name).c_str(), RTLD_NOW | RTLD_LOCAL)) {
    REQUIRE_MESSAGE(handle_ != nullptr, dlerror());
  }
  Plugin(const Plugin&) = delete;
  Plugin& operator=(const Plugin&) = delete;
  ~Plugin() { dlclose(handle_); }

  void* function() const { return dlsym(handle_, "sell"); }

 private:
  void* handle_;
};

Stacktrace fail_in(const Plugin& plugin) {
  try {
    reinterpret_cast<void (*)(int)>(plugin.function())(9);
  } catch (const std::exception& exception) {
    return Stacktrace::thrown_at(exception).value();
  }
  FAIL("nothing was thrown");
  return {};
}

void check_frames_in(const char* plugin, const Stacktrace& stack) {
  CAPTURE(to_text(stack));
  REQUIRE(stack.frames().size() > 3);
  CHECK(stack.frames()[0].src == "if (shelf > 8) throw std::out_of_range(\"shelf 9\");");
  const char* const functions[] = {"find_shelf(int)", "shop::order(int)", "sell"};
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(stack.frames()[i].function == functions[i]);
    CHECK(stack.frames()[i].module == built(plugin));
  }
}

}  // namespace

TEST_CASE(
    "A stack has the functions of a module that was unloaded, and not those of one that came after it") {
  if (codewake::testing::kSanitized) CODEWAKE_SKIP(kNoHook);
  const Recording recording;
  std::vector<Stacktrace> of_shop, of_upgraded;
  std::set<void*> places;
  for (int round = 0; round < 4; ++round) {
    {
      const Plugin shop(kShop);
      of_shop.push_back(fail_in(shop));
      if (round == 1) check_frames_in(kShop, of_shop.back());  // and so the module is known
      places.insert(shop.function());
    }
    const Plugin upgraded(kUpgraded);
    of_upgraded.push_back(fail_in(upgraded));
    places.insert(upgraded.function());
  }
  MESSAGE("functions of the two lay at ", places.size(), " addresses");
  SUBCASE("with nothing there") {
    for (const Stacktrace& stack : of_shop) check_frames_in(kShop, stack);
    for (const Stacktrace& stack : of_upgraded) check_frames_in(kUpgraded, stack);
  }
  SUBCASE("with another one there") {
    const Plugin upgraded(kUpgraded);
    for (const Stacktrace& stack : of_shop) check_frames_in(kShop, stack);
    const Plugin shop(kShop);
    for (const Stacktrace& stack : of_upgraded) check_frames_in(kUpgraded, stack);
  }
}

TEST_CASE("An address is taken for one of the module that is loaded when it is given") {
  if (codewake::testing::kSanitized) CODEWAKE_SKIP(kNoHook);
  const Recording recording;
  std::vector<void*> addresses;
  {
    const Plugin shop(kShop);
    const Stacktrace stack = fail_in(shop);
    addresses.assign(stack.addresses().begin(), stack.addresses().end());
    check_frames_in(kShop, Stacktrace(addresses));
  }
  const Frame gone = Stacktrace(addresses).frames().front();
  CHECK(gone.filename == "[unknown]");
  CHECK(gone.function == "");
}

TEST_CASE("Modules may come and go many times, and stacks in them stay right") {
  if (codewake::testing::kSanitized) CODEWAKE_SKIP(kNoHook);
  const Recording recording;
  Stacktrace first;
  {
    const Plugin shop(kShop);
    first = fail_in(shop);
  }
  for (int round = 0; round < 2000; ++round) {
    const Plugin shop(kShop);
  }
  check_frames_in(kShop, first);
}
