// PostgreSQL, whose server does not stay up for long.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <optional>
#include <random>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <utility>

#include "adapters/postgres/server.hpp"
#include "codewake/postgres_store.hpp"
#include "faults/target.hpp"
#include "faults/troubled_store.hpp"
#include "support/child.hpp"

namespace codewake::testing {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

/// Stops the server and starts it again, until it is ended, from a process of its own: a program that forks
/// has no other threads.
class Restarts {
 public:
  explicit Restarts(std::uint64_t seed) {
    for (auto* ends : {&orders_, &told_}) {
      if (pipe2(ends->data(), O_CLOEXEC) != 0)
        throw std::system_error(errno, std::generic_category(), "pipe");
    }
    Server::instance().stop();  // which cannot be waited for by another process than the one that started it
    child_ = start_child([&] { go_on(seed); });
    close(std::exchange(orders_[0], -1));
    close(std::exchange(told_[1], -1));
  }
  Restarts(const Restarts&) = delete;
  Restarts& operator=(const Restarts&) = delete;

  /// Leaves the server up.
  ~Restarts() {
    close(orders_[1]);
    CHECK(wait_for(child_) == 0);
    close(told_[0]);
    Server::instance().start();
  }

  /// Since the last call.
  std::size_t count() {
    std::array<char, 4096> bytes{};
    pollfd descriptor{.fd = told_[0], .events = POLLIN, .revents = 0};
    std::size_t sum = 0;
    while (poll(&descriptor, 1, 0) > 0) {
      const ssize_t size = read(told_[0], bytes.data(), bytes.size());
      if (size <= 0) break;
      sum += static_cast<std::size_t>(size);
    }
    return sum;
  }

 private:
  void go_on(std::uint64_t seed) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);  // the server has the same from here
    close(std::exchange(orders_[1], -1));
    std::mt19937_64 random(seed);
    const auto draw = [&](int below) { return std::uniform_int_distribution<>(0, below - 1)(random); };
    Server& server = Server::instance();
    server.start();
    milliseconds up = 10ms;
    while (!is_ended_within(up)) {
      draw(2) == 0 ? server.crash() : server.stop();
      const bool ended = is_ended_within(milliseconds(draw(200)));
      if (ended) return;
      server.start();
      if (write(told_[1], "r", 1) != 1) std::_Exit(75);
      up = milliseconds(10 << draw(8));
    }
    server.stop();
  }

  bool is_ended_within(milliseconds time) const {
    pollfd descriptor{.fd = orders_[0], .events = POLLIN, .revents = 0};
    return poll(&descriptor, 1, static_cast<int>(time.count())) != 0;
  }

  std::array<int, 2> orders_{}, told_{};
  pid_t child_ = -1;
};

}  // namespace

class Target::Impl {
 public:
  explicit Impl(std::uint64_t seed) {
    // In a child: programs inherit no connection.
    REQUIRE(wait_for(start_child([&] { PostgresStore(database.dsn()).insert_app("faults", {}); })) == 0);
    restarts.emplace(seed);
  }

  const Database database;
  std::optional<Restarts> restarts;
};

std::string Target::missing() {
  return Server::missing();
}

Target::Target(std::uint64_t seed) : impl_(std::make_unique<Impl>(seed)) {}

Target::~Target() = default;

std::shared_ptr<Store> Target::store(const Trouble& trouble) const {
  return std::make_shared<TroubledStore<PostgresStore>>(impl_->database.dsn(), trouble);
}

std::shared_ptr<Store> Target::queue(const Config::Queue& options, const Trouble& trouble) const {
  return std::make_shared<TroubledQueueStore<PostgresStore>>(options, impl_->database.dsn(), trouble);
}

std::vector<std::vector<std::string>> Target::rows(const std::string& sql) {
  const auto deadline = std::chrono::steady_clock::now() + 60s;
  while (true) {
    try {
      return impl_->database.rows(sql);
    } catch (const std::runtime_error&) {
      if (std::chrono::steady_clock::now() > deadline) throw;
      std::this_thread::sleep_for(10ms);
    }
  }
}

std::string Target::conclude() {
  const std::size_t restarts = impl_->restarts->count();
  impl_->restarts.reset();
  CHECK(restarts > 0);
  return fmt::format("on PostgreSQL, restarted {} times", restarts);
}

}  // namespace codewake::testing
