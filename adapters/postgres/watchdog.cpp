#include "watchdog.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace codewake::internal {
namespace {

/// Not 0, 1 or 2, which a program may have closed, and expects to be its own.
constexpr int kFirstDescriptor = 3;

int duplicate(int socket) {
  const int copy = fcntl(socket, F_DUPFD_CLOEXEC, kFirstDescriptor);
  if (copy < 0) throw std::system_error(errno, std::generic_category(), "the socket's second descriptor");
  return copy;
}

/// The program's signals are not for this thread.
template <class Function>
std::thread start_without_signals(Function function) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  struct Restore {
    const sigset_t& mask;
    ~Restore() { pthread_sigmask(SIG_SETMASK, &mask, nullptr); }
  } const restore{before};
  return std::thread(function);
}

}  // namespace

Watchdog::Watchdog(int socket) : socket_(duplicate(socket)) {}

Watchdog::~Watchdog() {
  {
    const std::lock_guard lock(mutex_);
    ends_ = true;
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
  close(socket_);
}

bool Watchdog::has_fired() const {
  const std::lock_guard lock(mutex_);
  return fired_;
}

std::string Watchdog::reason(const std::string& otherwise) const {
  const std::lock_guard lock(mutex_);
  return fired_ ? fmt::format("the server has been silent for {} ms", patience_.count()) : otherwise;
}

// No wake-up as a rule: the deadline that the thread saw last is seldom later than the new one.
void Watchdog::arm(std::chrono::milliseconds patience) {
  if (patience.count() <= 0) return;
  const std::lock_guard lock(mutex_);
  patience_ = patience;
  deadline_ = Clock::now() + patience;
  if (!thread_.joinable()) thread_ = start_without_signals([this] { watch(); });
  if (deadline_ < wakes_) changed_.notify_one();
}

void Watchdog::disarm() {
  const std::lock_guard lock(mutex_);
  deadline_ = Clock::time_point::max();
}

void Watchdog::watch() {
  std::unique_lock lock(mutex_);
  while (!ends_) {
    if (Clock::now() >= deadline_) {
      deadline_ = Clock::time_point::max();
      fired_ = true;
      shutdown(socket_, SHUT_RDWR);
    }
    wakes_ = deadline_;
    if (wakes_ == Clock::time_point::max()) {
      changed_.wait(lock);
    } else {
      changed_.wait_until(lock, wakes_);
    }
  }
}

}  // namespace codewake::internal
