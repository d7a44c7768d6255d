#include "base/fork_generation.hpp"

#include <pthread.h>

#include <atomic>

namespace codewake::internal {
namespace {

constinit std::atomic<std::uint32_t> generation{0};

// Fails only where there is no memory at the program's start.
[[maybe_unused]] const int at_fork_registered =
    pthread_atfork(nullptr, nullptr, [] { generation.fetch_add(1, std::memory_order_relaxed); });

}  // namespace

std::uint32_t fork_generation() noexcept {
  return generation.load(std::memory_order_relaxed);
}

}  // namespace codewake::internal
