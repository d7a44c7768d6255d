// Modules whose file was replaced or deleted while they were loaded, as a package's upgrade does.
#include <dlfcn.h>
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "codewake/frame.hpp"
#include "codewake/stacktrace.hpp"
#include "support/temporary_folder.hpp"
#include "traces.hpp"

using codewake::Frame;
using codewake::Stacktrace;
using codewake::testing::Recording;
using codewake::testing::TemporaryFolder;
using codewake::testing::to_text;

namespace {

namespace fs = std::filesystem;

fs::path built(std::string_view name) {
  return fs::path(std::getenv("CODEWAKE_TEST_PROGRAMS")) / name;
}

// A copy of the plugin in a folder of its own, open for as long as this lives.
class Shop {
 public:
  Shop() {
    fs::copy_file(built("shop_plugin.so"), path());
    open();
  }
  Shop(const Shop&) = delete;
  Shop& operator=(const Shop&) = delete;
  ~Shop() { close(); }

  fs::path path() const { return folder_ / "shop.so"; }
  void open() {
    handle_ = dlopen(path().c_str(), RTLD_NOW | RTLD_LOCAL);
    REQUIRE_MESSAGE(handle_ != nullptr, dlerror());
  }
  void close() { dlclose(handle_); }
  void upgrade() const {
    fs::copy_file(built("shop_plugin_upgraded.so"), folder_ / "new");
    fs::rename(folder_ / "new", path());
  }

  // The stack of what it throws.
  Stacktrace fail() const {
    try {
      reinterpret_cast<void (*)(int)>(dlsym(handle_, "sell"))(9);
    } catch (const std::exception& exception) {
      return Stacktrace::thrown_at(exception).value();
    }
    FAIL("nothing was thrown");
    return {};
  }

  // Its frames of a stack, innermost first.
  std::vector<Frame> frames_of(const Stacktrace& stack) const {
    std::vector<Frame> frames = stack.frames();
    std::erase_if(frames, [&](const Frame& frame) { return frame.module != path(); });
    return frames;
  }

 private:
  TemporaryFolder folder_;
  void* handle_ = nullptr;
};

void check_names_alone(const std::vector<Frame>& frames) {
  REQUIRE(frames.size() == 3);
  CHECK(frames[0].function == "");  // it is hidden: nothing but the file has its name
  CHECK(frames[1].function == "shop::order(int)");
  CHECK(frames[2].function == "sell");
  for (const Frame& frame : frames) {
    CHECK(frame.lineno == 0);
    CHECK(frame.filename == frame.module);
    CHECK(frame.src.starts_with("+0x"));
    CHECK(frame.build_id.size() == 40);
  }
}

}  // namespace

TEST_CASE(
    "A module that was replaced while it is loaded has the names of its exported functions, and no lines") {
  const Recording recording;
  const Shop shop;
  shop.upgrade();
  const Stacktrace stack = shop.fail();
  CAPTURE(to_text(stack));
  check_names_alone(shop.frames_of(stack));
  Stacktrace innermost(stack.addresses());
  innermost.truncate(1);
  REQUIRE(innermost.frames().size() == 1);
  CHECK(innermost.frames().front().lineno == 0);
}

TEST_CASE("A module whose file is gone has the names of its exported functions") {
  const Recording recording;
  const Shop shop;
  SUBCASE("deleted") {
    fs::remove(shop.path());
  }
  SUBCASE("not a module any more") {
    fs::remove(shop.path());
    fs::create_directory(shop.path());
  }
  const Stacktrace stack = shop.fail();
  CAPTURE(to_text(stack));
  check_names_alone(shop.frames_of(stack));
}

TEST_CASE("A module that is opened again after its upgrade has the lines of the new file") {
  const Recording recording;
  Shop shop;
  const std::vector<Frame> before = shop.frames_of(shop.fail());
  REQUIRE(before.size() == 3);
  CHECK(before[0].src == "if (shelf > 8) throw std::out_of_range(\"shelf 9\");");
  shop.upgrade();
  shop.close();
  shop.open();
  const std::vector<Frame> after = shop.frames_of(shop.fail());
  REQUIRE(after.size() == 3);
  CHECK(after[0].lineno == before[0].lineno);
  CHECK(after[1].offset != before[1].offset);
  CHECK(after[0].build_id != before[0].build_id);
}

TEST_CASE("Stored frames get no names from what is loaded") {
  const Recording recording;
  const Shop shop;
  shop.upgrade();
  std::vector<Frame> stored = shop.frames_of(shop.fail());
  for (Frame& frame : stored) frame.function.clear();
  const std::vector<Frame> before = stored;
  CHECK_FALSE(codewake::symbolize(stored));
  CHECK(stored == before);
}

TEST_CASE("While other modules come and go, a replaced one has right names or none") {
  const Recording recording;
  std::atomic<bool> ended{false};
  std::thread opener([&] {
    while (!ended) {
      void* const handle = dlopen(built("frames_plugin.so").c_str(), RTLD_NOW | RTLD_LOCAL);
      if (handle != nullptr) dlclose(handle);
    }
  });
  int wrong = 0;
  for (int round = 0; round < 50; ++round) {
    const Shop shop;  // each in a folder of its own, so that nothing is known of it
    shop.upgrade();
    const std::vector<Frame> frames = shop.frames_of(shop.fail());
    if (frames.size() != 3) ++wrong;
    for (const Frame& frame : frames) {
      const bool is_right =
          frame.function.empty() || frame.function == "shop::order(int)" || frame.function == "sell";
      if (!is_right || frame.lineno != 0) ++wrong;
    }
  }
  ended = true;
  opener.join();
  CHECK(wrong == 0);
}
