#include "base/file_size_signal.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <functional>

#include "support/child.hpp"
#include "support/temporary_folder.hpp"

using codewake::internal::NoFileSizeSignal;
using namespace codewake::testing;

namespace {

volatile sig_atomic_t handled = 0;

void require(bool holds, int code) {
  if (!holds) std::_Exit(code);
}

bool is_pending() {
  sigset_t pending;
  sigpending(&pending);
  return sigismember(&pending, SIGXFSZ) != 0;
}

bool is_blocked() {
  sigset_t now;
  pthread_sigmask(SIG_BLOCK, nullptr, &now);
  return sigismember(&now, SIGXFSZ) != 0;
}

/// In a child whose files may have 10 bytes: `body` gets a function that fails to write more.
ChildResult with_limit(const std::function<void(const std::function<void()>&)>& body) {
  const TemporaryFolder folder;
  return in_child([&] {
    const int file = open((folder / "file").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    const rlimit limit{.rlim_cur = 10, .rlim_max = 10};
    require(file >= 0 && setrlimit(RLIMIT_FSIZE, &limit) == 0, 10);
    body([file] { require(pwrite(file, "more", 4, 10) < 0 && errno == EFBIG, 11); });
    std::_Exit(0);
  });
}

}  // namespace

TEST_CASE("A write beyond the limit of files is an error, and no signal is left of it") {
  const ChildResult result = with_limit([](const auto& write_more) {
    {
      const NoFileSizeSignal guard;
      write_more();
      write_more();
    }
    require(!is_pending() && !is_blocked(), 12);
  });
  CHECK(result.signal == 0);
  CHECK(result.exit_code == 0);
}

TEST_CASE("A program that handles the signal, or waits for it, gets its own and no other") {
  const ChildResult result = with_limit([](const auto& write_more) {
    signal(SIGXFSZ, [](int) { handled = handled + 1; });
    {
      const NoFileSizeSignal guard;
      write_more();
    }
    require(handled == 0, 13);
    write_more();
    require(handled == 1, 14);
    sigset_t only;
    sigemptyset(&only);
    sigaddset(&only, SIGXFSZ);
    pthread_sigmask(SIG_BLOCK, &only, nullptr);
    {
      const NoFileSizeSignal guard;
      write_more();
    }
    require(!is_pending() && is_blocked(), 15);
    write_more();
    {
      const NoFileSizeSignal guard;
      write_more();
    }
    require(is_pending() && is_blocked() && handled == 1, 16);
  });
  CHECK(result.signal == 0);
  CHECK(result.exit_code == 0);
}
