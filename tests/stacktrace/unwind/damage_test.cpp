// Nothing that is damaged makes a walk read what it must not.
#include <dlfcn.h>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "stacktrace/unwind/code_module.hpp"
#include "stacktrace/unwind/stack_walk.hpp"
#include "unwind/shapes.hpp"
#include "unwind/walks.hpp"

namespace codewake::testing {
namespace {

using namespace internal;
using Random = std::mt19937_64;

constexpr std::size_t kMostFrames = 200;
constexpr std::size_t kPage = 4096;

/// Pages between two that cannot be read.
class GuardedPages {
 public:
  explicit GuardedPages(std::size_t pages)
      : bytes_((pages + 2) * kPage),
        memory_(static_cast<char*>(mmap(nullptr, bytes_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))) {
    REQUIRE(mprotect(memory_ + kPage, pages * kPage, PROT_READ | PROT_WRITE) == 0);
  }
  GuardedPages(const GuardedPages&) = delete;
  GuardedPages& operator=(const GuardedPages&) = delete;
  ~GuardedPages() { munmap(memory_, bytes_); }

  std::span<std::uint64_t> words() const {
    return {reinterpret_cast<std::uint64_t*>(memory_ + kPage), (bytes_ - 2 * kPage) / sizeof(std::uint64_t)};
  }

 private:
  std::size_t bytes_;
  char* memory_;
};

/// Words as a damaged stack may hold them: return addresses, addresses of the stack, of any code, and noise.
class Words {
 public:
  explicit Words(std::span<std::uint64_t> stack) : stack_(stack) {
    prepare_stack_walks();
    TwoWalks walks;
    walks.walk(true);
    calls_.assign(walks.ours, walks.ours + walks.our_size);
    for (const std::uintptr_t call : calls_) {
      CodeModule module;
      if (find_module(call, module)) modules_.push_back(module);
    }
    REQUIRE(!modules_.empty());
  }

  std::uint64_t next() {
    const CodeModule& module = modules_[random_() % modules_.size()];
    switch (random_() % 8) {
      case 0:
        return random_();
      case 1:
        return calls_[random_() % calls_.size()];
      case 2:
      case 3:
        return module.begin + random_() % (module.end - module.begin);
      case 4:
      case 5:
      case 6:
        return address_of_stack();
      default:
        return random_() % 64;
    }
  }

  std::uint64_t address_of_stack() {
    const auto begin = reinterpret_cast<std::uintptr_t>(stack_.data());
    const std::uint64_t words = stack_.size() + 4;  // some lie beyond it
    return begin + random_() % words * 8 + (random_() % 16 == 0 ? random_() % 8 : 0);
  }

 private:
  Random random_{20};
  std::span<std::uint64_t> stack_;
  std::vector<std::uintptr_t> calls_;
  std::vector<CodeModule> modules_;
};

std::size_t count_frames(StackWalk& walk) {
  std::size_t frames = 1;
  while (frames < kMostFrames && walk.step() == StackWalk::Step::caller) ++frames;
  return frames;
}

std::string shape_object() {
  return std::string(std::getenv("CODEWAKE_TEST_SHAPES")) + "/shapes-gcc-O2.so";
}

Addresses seen;
void look_quickly() {
  TwoWalks walks;
  walk_stack(registers_here(), [&](std::uintptr_t address) {
    walks.ours[walks.our_size++] = address;
    return kMostFrames - walks.our_size;
  });
  seen.assign(walks.ours, walks.ours + walks.our_size);
  StackWalk exact(registers_here(), StackWalk::Need::all_registers);
  count_frames(exact);
}

}  // namespace

TEST_CASE("A walk through stacks and registers of noise ends") {
  const GuardedPages pages(8);
  Words words(pages.words());
  std::size_t most = 0;
  for (int round = 0; round < 20'000; ++round) {
    for (int i = 0; i < 200; ++i) pages.words()[words.next() % pages.words().size()] = words.next();
    Registers registers;
    for (std::size_t i = 0; i < Registers::kCount; ++i) registers.set(i, words.next());
    for (const bool is_behind_call : {false, true}) {
      StackWalk walk(registers, is_behind_call);
      most = std::max(most, count_frames(walk));
    }
    // As in a capture, which begins on a stack that is there.
    registers.set(Registers::kRsp, reinterpret_cast<std::uintptr_t>(&pages.words()[words.next() % 4000]));
    walk_stack(registers,
               [frames = std::size_t{0}](std::uintptr_t) mutable { return kMostFrames - ++frames; });
  }
  CHECK(most > 2);
}

TEST_CASE("A walk through damaged tables ends, and finds the frames again once they are whole") {
  void* const handle = dlopen(shape_object().c_str(), RTLD_NOW);
  REQUIRE_MESSAGE(handle != nullptr, dlerror());
  prepare_stack_walks();
  const auto shapes = reinterpret_cast<decltype(&codewake_shapes)>(dlsym(handle, "codewake_shapes"));
  CodeModule module;
  REQUIRE(find_module(reinterpret_cast<std::uintptr_t>(shapes), module));
  REQUIRE(module.has_tables());
  const std::uintptr_t first_page = module.tables_begin / kPage * kPage;
  REQUIRE(mprotect(reinterpret_cast<void*>(first_page), module.tables_end - first_page,
                   PROT_READ | PROT_WRITE) == 0);
  auto* const bytes = reinterpret_cast<unsigned char*>(module.index);
  const std::size_t size = module.tables_end - module.index;
  const std::vector<unsigned char> whole(bytes, bytes + size);

  Random random{21};
  for (const char* const name : {"recursion", "over-aligned", "busy registers"}) {
    const Shape* shape = shapes();
    while (std::strcmp(shape->name, name) != 0) ++shape;
    constexpr int kRounds = 1'000;
    Addresses expected;
    for (int round = 0; round < kRounds; ++round) {  // all calls are at one address
      const bool is_damaged = round > 1 && round < kRounds - 2;
      for (int i = 0; is_damaged && i < 1 + round % 50; ++i) {
        bytes[round % 3 == 0 ? random() % 64 : random() % size] = static_cast<unsigned char>(random());
      }
      shape->run(&look_quickly);
      std::memcpy(bytes, whole.data(), size);
      if (round == 0) expected = seen;
      if (!is_damaged) CHECK(seen == expected);
    }
    CHECK(expected.size() > 5);
  }
  dlclose(handle);
}

namespace {

TwoWalks in_replaced;
void look_twice() {
  for (int i = 0; i < 2; ++i) in_replaced.walk(true);
}

}  // namespace

TEST_CASE("What is remembered of a module does not apply to the one that is loaded in its place") {
  const std::string folder = std::getenv("CODEWAKE_TEST_SHAPES");
  prepare_stack_walks();
  void* last_place = nullptr;
  int same_places = 0;
  for (int round = 0; round < 6; ++round) {
    const std::string name = round % 2 == 0 ? "/replaced-small.so" : "/replaced-large.so";
    void* const handle = dlopen((folder + name).c_str(), RTLD_NOW);
    REQUIRE_MESSAGE(handle != nullptr, dlerror());
    void* const place = dlsym(handle, "codewake_replaced");
    same_places += place == last_place ? 1 : 0;
    last_place = place;
    reinterpret_cast<void (*)(Look)>(place)(&look_twice);
    INFO(in_replaced.text());
    CHECK(in_replaced.agree());
    dlclose(handle);
  }
  WARN(same_places > 0);
}

}  // namespace codewake::testing
