#include "base/thread_text.hpp"

#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cstdint>

#include "base/fork_generation.hpp"

namespace codewake::internal {
namespace {

struct ThreadText {
  std::array<char, 24> text;
  std::uint8_t size;  // 0: not made yet
  std::uint32_t generation;
};

constinit thread_local ThreadText known{};

}  // namespace

std::string_view thread_text() noexcept {
  ThreadText& mine = known;
  if (mine.size == 0 || mine.generation != fork_generation()) {
    mine.generation = fork_generation();
    char* const begin = mine.text.data();
    char* const end = begin + mine.text.size();
    char* at = std::to_chars(begin, end, getpid()).ptr;
    *at++ = '-';
    at = std::to_chars(at, end, static_cast<std::int32_t>(syscall(SYS_gettid))).ptr;
    mine.size = static_cast<std::uint8_t>(at - begin);
  }
  return {mine.text.data(), mine.size};
}

}  // namespace codewake::internal
