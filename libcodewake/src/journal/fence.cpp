#include "journal/fence.hpp"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <thread>

namespace codewake::internal {
namespace {

long membarrier(int command) noexcept {
  return syscall(SYS_membarrier, command, 0, 0);
}

bool can_fence_others() noexcept {
  static const bool can = membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) == 0;
  return can;
}

}  // namespace

void prepare_fences() noexcept {
  static_cast<void>(can_fence_others());
}

void fence_others() noexcept {
  if (can_fence_others() && membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED) == 0) return;
  // Without it, time: no store stays in a processor's buffer for so long.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
}

}  // namespace codewake::internal
