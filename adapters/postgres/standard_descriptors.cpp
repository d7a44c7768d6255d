#include "standard_descriptors.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <mutex>
#include <thread>

namespace codewake::internal {
namespace {

constexpr int kFirstOfProgram = 3;

std::mutex mutex;
int users = 0;

// The child of a fork() may have inherited a mutex that no thread unlocks: it goes on without.
std::unique_lock<std::mutex> lock_for_a_while() noexcept {
  constexpr int kRounds = 100;
  std::unique_lock lock(mutex, std::defer_lock);
  for (int round = 0; round < kRounds && !lock.try_lock(); ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return lock;
}

bool is_closed(int number) noexcept {
  return fcntl(number, F_GETFD) < 0;
}

// The lowest number that is free is the next one to be given out.
void take_closed() noexcept {
  while (is_closed(0) || is_closed(1) || is_closed(2)) {
    const int taken = open("/", O_PATH | O_CLOEXEC);
    if (taken >= 0 && taken < kFirstOfProgram) continue;
    if (taken >= 0) close(taken);  // another thread was faster
    return;
  }
}

bool is_ours(int number) noexcept {
  struct stat root {
  }, there{};
  const int flags = fcntl(number, F_GETFL);
  return flags >= 0 && (flags & O_PATH) != 0 && stat("/", &root) == 0 && fstat(number, &there) == 0 &&
         root.st_dev == there.st_dev && root.st_ino == there.st_ino;
}

}  // namespace

StandardDescriptors::StandardDescriptors() noexcept {
  const auto lock = lock_for_a_while();
  ++users;
  take_closed();
}

StandardDescriptors::~StandardDescriptors() {
  const auto lock = lock_for_a_while();
  if (--users > 0) return;
  for (int number = 0; number < kFirstOfProgram; ++number) {
    if (is_ours(number)) close(number);
  }
}

}  // namespace codewake::internal
