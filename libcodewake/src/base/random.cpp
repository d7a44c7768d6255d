#include "base/random.hpp"

#include <sys/random.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>

#include "base/fork_generation.hpp"
#include "codewake/errors.hpp"

namespace codewake::internal {
namespace {

// 256 bytes come whole or not at all; only a signal before the kernel's pool is ready can interrupt.
void ask_kernel(std::span<std::uint8_t> bytes) {
  while (getrandom(bytes.data(), bytes.size(), 0) < 0) {
    if (errno != EINTR)
      throw Error(std::string("no random numbers from the kernel: ") + std::strerror(errno));
  }
}

struct Stock {
  std::array<std::uint8_t, 256> bytes;
  std::size_t left;
  std::uint32_t generation;
};

constinit thread_local Stock stock{};

}  // namespace

void fill_at_random(std::span<std::uint8_t> bytes) {
  Stock& mine = stock;
  const std::uint32_t now = fork_generation();
  if (mine.left < bytes.size() || mine.generation != now) {
    ask_kernel(mine.bytes);
    mine.left = mine.bytes.size();
    mine.generation = now;
  }
  mine.left -= bytes.size();
  std::memcpy(bytes.data(), mine.bytes.data() + mine.left, bytes.size());
}

void make_uuid(std::span<std::uint8_t, 16> bytes) {
  fill_at_random(bytes);
  bytes[6] = static_cast<std::uint8_t>((bytes[6] & 0x0F) | 0x40);
  bytes[8] = static_cast<std::uint8_t>((bytes[8] & 0x3F) | 0x80);
}

}  // namespace codewake::internal
