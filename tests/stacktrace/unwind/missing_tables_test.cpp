// Functions without call frame information.
#include <doctest/doctest.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "stacktrace/unwind/stack_walk.hpp"
#include "unwind/shapes.hpp"
#include "unwind/walks.hpp"

// They call what their argument points at: one has a frame pointer, the other uses the register otherwise.
asm(R"(
  .pushsection .text
  .type with_frame_pointer, @function
with_frame_pointer:
  pushq %rbp
  movq %rsp, %rbp
  call *%rdi
  popq %rbp
  ret
with_frame_pointer_end:
  .type with_noise, @function
with_noise:
  pushq %rbp
  movq %rsi, %rbp
  call *%rdi
  popq %rbp
  ret
  .popsection
)");
extern "C" void with_frame_pointer(codewake::testing::Look look);
extern "C" const char with_frame_pointer_end[];
extern "C" void with_noise(codewake::testing::Look look, const void* noise);

namespace codewake::testing {
namespace {

TwoWalks walks;
Addresses below;
Addresses outside;

[[gnu::noinline]] void look() {
  walks.walk(true);
  below.assign(walks.ours, walks.ours + walks.our_size);
}

[[gnu::noinline]] void call(void (*function)(Look)) {
  walks.walk(true);
  outside.assign(walks.ours, walks.ours + walks.our_size);
  function(&look);
  asm volatile("");
}

// The frames of the callers of `call`.
bool has_outer_frames() {
  return outside.size() > 3 && below.size() > outside.size() &&
         std::equal(outside.rbegin(), outside.rend() - 2, below.rbegin());
}

}  // namespace

TEST_CASE("A function without tables is passed by its frame pointer") {
  internal::prepare_stack_walks();
  call(&with_frame_pointer);
  INFO(walks.text());
  CHECK(has_outer_frames());
}

TEST_CASE("Code that was made at run time is passed by its frame pointer") {
  internal::prepare_stack_walks();
  void* const page = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REQUIRE(page != MAP_FAILED);
  const auto* const code = reinterpret_cast<const char*>(&with_frame_pointer);
  std::memcpy(page, code, static_cast<std::size_t>(with_frame_pointer_end - code));
  REQUIRE(mprotect(page, 4096, PROT_READ | PROT_EXEC) == 0);
  call(reinterpret_cast<void (*)(Look)>(page));
  INFO(walks.text());
  CHECK(has_outer_frames());
  munmap(page, 4096);
}

TEST_CASE("A walk ends where a function without tables uses the frame pointer otherwise") {
  internal::prepare_stack_walks();
  std::uintptr_t words[16] = {};
  words[9] = reinterpret_cast<std::uintptr_t>(&words[8]);  // no call comes before it
  void* const hole = mmap(nullptr, 3 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  const auto stack = reinterpret_cast<std::uintptr_t>(&words[8]);
  for (const std::uintptr_t noise : {std::uintptr_t{0}, std::uintptr_t{8}, stack, stack + 1, stack - 100'000,
                                     reinterpret_cast<std::uintptr_t>(hole) + 4096, ~std::uintptr_t{7},
                                     std::uintptr_t{1} << 47, std::uintptr_t{1} << 63}) {
    CAPTURE(noise);
    with_noise(&look, reinterpret_cast<const void*>(noise));
    CHECK(below.size() == 3);
  }
  munmap(hole, 3 * 4096);
}

}  // namespace codewake::testing
