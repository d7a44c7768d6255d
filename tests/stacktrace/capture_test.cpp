#include "stacktrace/capture.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <string_view>
#include <thread>
#include <vector>

#include "codewake/stacktrace.hpp"
#include "stacktrace/boost_functions.hpp"

namespace codewake::testing {
namespace {

using Unwind = std::size_t (*)(std::span<void*>);

// Each level is a frame; no other call of it has the same return address.
[[gnu::noinline]] std::vector<void*> capture_below(int levels, std::size_t size, Unwind unwind) {
  std::vector<void*> found;
  if (levels == 0) {
    found.resize(size);
    found.resize(unwind(found));
  } else {
    found = capture_below(levels - 1, size, unwind);
  }
  asm volatile("" : : "r"(&found) : "memory");
  return found;
}

std::size_t quickly(std::span<void*> addresses) {
  return internal::capture(addresses);
}
std::size_t portably(std::span<void*> addresses) {
  return internal::capture_by_runtime(addresses);
}

// The frames from the first that both have: what comes before belongs to the unwinder.
std::span<void* const> from_first_shared(std::span<void* const> addresses, std::span<void* const> others) {
  const auto first = std::ranges::find_first_of(addresses, others);
  return addresses.subspan(static_cast<std::size_t>(first - addresses.begin()));
}

}  // namespace

TEST_CASE("The portable unwinder finds the callers that the quick one finds") {
  std::vector<std::vector<void*>> captured;  // in a loop, so that both are called from one address
  for (const Unwind unwind : {&quickly, &portably})
    captured.push_back(capture_below(20, Stacktrace::kMaxFrames, unwind));
  const std::span<void* const> expected = from_first_shared(captured[0], captured[1]);
  const std::span<void* const> found = from_first_shared(captured[1], captured[0]);
  const std::size_t shared = std::min(expected.size(), found.size());
  CHECK(shared > 20);
  CHECK(std::ranges::equal(expected.first(shared), found.first(shared)));
}

TEST_CASE("A capture by either unwinder is as deep as it was asked to be, and has no null") {
  constexpr int kDeeper = 2 * static_cast<int>(Stacktrace::kMaxFrames);
  for (const Unwind unwind : {&quickly, &portably}) {
    for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{3}, Stacktrace::kMaxFrames}) {
      const std::vector<void*> found = capture_below(kDeeper, size, unwind);
      CHECK(found.size() == size);
      CHECK(std::ranges::count(found, nullptr) == 0);
    }
  }
}

namespace {

// Files as a program may have them under the numbers that others have used before.
class OwnFiles {
 public:
  OwnFiles() {
    for (int& file : files_) {
      file = open("/tmp", O_TMPFILE | O_RDWR, 0600);
      is_whole_ = is_whole_ && file >= 0 && write(file, kText.data(), kText.size()) == kSize;
    }
  }

  bool are_untouched() const {
    for (const int file : files_) {
      char text[2 * kText.size()];
      if (lseek(file, 0, SEEK_CUR) != kSize || pread(file, text, sizeof text, 0) != kSize) return false;
      if (std::string_view(text, kText.size()) != kText) return false;
    }
    return is_whole_;
  }

 private:
  static constexpr std::string_view kText = "0123456789";
  static constexpr ssize_t kSize = kText.size();
  std::array<int, 40> files_;
  bool is_whole_ = true;
};

// The thread is new: nothing is known of its stack.
void capture_in_a_thread(int levels) {
  std::thread([&] { capture_below(levels, Stacktrace::kMaxFrames, &quickly); }).join();
}

int capture_without_descriptors() {
  capture_in_a_thread(1);
  for (int fd = 3; fd < 1024; ++fd) close(fd);
  const OwnFiles files;
  for (int levels = 0; levels < 40; ++levels) capture_in_a_thread(levels);
  return files.are_untouched() ? 0 : 1;
}

}  // namespace

TEST_CASE("After a program has closed all descriptors, a capture touches none of its files") {
  const pid_t child = fork();
  if (child == 0) _exit(capture_without_descriptors());
  int status = -1;
  waitpid(child, &status, 0);
  CHECK(status == 0);
}

TEST_CASE("The portable unwinder writes a null behind the last address, and nothing behind the end") {
  std::array<void*, 6> memory;
  void* const untouched = &memory;
  for (const int size : {0, 1, 2, 5}) {
    CAPTURE(size);
    memory.fill(untouched);
    const int count = internal::unwind_by_boost(memory.data(), size);
    CHECK(count == std::max(size - 1, 0));
    if (size > 0) CHECK(memory[static_cast<std::size_t>(count)] == nullptr);
    CHECK(std::all_of(memory.begin() + size, memory.end(), [&](void* entry) { return entry == untouched; }));
  }
}

}  // namespace codewake::testing
