#include "slices.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstddef>

namespace codewake::cli {
namespace {

std::atomic<bool> interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free);

void note_signal(int) {
  interrupted = true;
}

}  // namespace

void end_between_slices() {
  struct sigaction action = {};
  action.sa_handler = note_signal;
  action.sa_flags = static_cast<int>(SA_RESETHAND | SA_RESTART);
  for (const int signal : {SIGINT, SIGTERM}) sigaction(signal, &action, nullptr);
}

bool is_interrupted() noexcept {
  return interrupted;
}

std::string bar(std::uint64_t done, std::uint64_t all, std::string_view what) {
  constexpr std::size_t kWidth = 30;
  const double part = all == 0 ? 1 : std::min(1.0, static_cast<double>(done) / static_cast<double>(all));
  const auto filled = static_cast<std::size_t>(part * kWidth);
  return fmt::format("[{:<{}}] {:3.0f}%  {} of {} {}", std::string(filled, '#'), kWidth, part * 100, done,
                     all, what);
}

}  // namespace codewake::cli
