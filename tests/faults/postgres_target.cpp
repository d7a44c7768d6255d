// PostgreSQL, whose server does not stay up for long.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
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
    for (auto* ends : {&orders_, &answers_}) {
      if (pipe2(ends->data(), O_CLOEXEC) != 0)
        throw std::system_error(errno, std::generic_category(), "pipe");
    }
    Server::instance().stop();  // only the process that started it can wait for its end
    child_ = start_child([&] { go_on(seed); });
    close(std::exchange(orders_[0], -1));
    close(std::exchange(answers_[1], -1));
  }
  Restarts(const Restarts&) = delete;
  Restarts& operator=(const Restarts&) = delete;

  /// Leaves the server up.
  ~Restarts() {
    close(orders_[1]);
    CHECK(wait_for(child_) == 0);
    close(answers_[0]);
    Server::instance().start();
  }

  /// The server is up during `work`.
  template <class Work>
  auto hold(Work work) {
    say(orders_[1], kHold);
    for (char answer = hear(answers_[0]); answer != kHold; answer = hear(answers_[0])) {
      if (answer != kRestarted) throw std::runtime_error("nobody starts the server any more");
      ++count_;
    }
    auto result = work();
    say(orders_[1], kGo);
    return result;
  }

  /// Until the last `hold`.
  std::size_t count() const noexcept { return count_; }

 private:
  static constexpr char kHold = 'h', kGo = 'g', kRestarted = 'r';

  static void say(int pipe, char word) {
    if (write(pipe, &word, 1) != 1) throw std::system_error(errno, std::generic_category(), "write");
  }
  /// 0: the other side has gone.
  static char hear(int pipe) {
    char word = 0;
    return read(pipe, &word, 1) == 1 ? word : '\0';
  }

  void go_on(std::uint64_t seed) const {
    prctl(PR_SET_PDEATHSIG, SIGKILL);  // the server goes with it
    close(orders_[1]);
    std::mt19937_64 random(seed);
    const auto draw = [&](int below) { return std::uniform_int_distribution<>(0, below - 1)(random); };
    Server& server = Server::instance();
    server.start();
    for (milliseconds up = 10ms; may_go_on_after(up); up = milliseconds(10 << draw(9))) {
      draw(2) == 0 ? server.crash() : server.stop();
      std::this_thread::sleep_for(milliseconds(draw(200)));
      server.start();
      say(answers_[1], kRestarted);
    }
    server.stop();
  }

  /// The server is up. False: it is over.
  bool may_go_on_after(milliseconds time) const {
    pollfd descriptor{.fd = orders_[0], .events = POLLIN, .revents = 0};
    const auto end = std::chrono::steady_clock::now() + time;
    const auto left = [&] {
      const auto rest = std::chrono::ceil<milliseconds>(end - std::chrono::steady_clock::now());
      return static_cast<int>(std::max<std::int64_t>(rest.count(), 0));
    };
    while (poll(&descriptor, 1, left()) != 0) {
      if (hear(orders_[0]) == '\0') return false;
      say(answers_[1], kHold);
      if (hear(orders_[0]) == '\0') return false;
    }
    return true;
  }

  std::array<int, 2> orders_{}, answers_{};
  pid_t child_ = -1;
  std::size_t count_ = 0;
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
  return impl_->restarts->hold([&] {
    impl_->database.disconnect();  // from the server before
    return impl_->database.rows(sql);
  });
}

void Target::move_away() {
  throw std::logic_error("a server has its files to itself");
}

std::vector<std::vector<std::vector<std::string>>> Target::rows_of_all(const std::string& sql) {
  return {rows(sql)};
}

std::string Target::conclude() {
  const std::size_t restarts = impl_->restarts->count();
  impl_->restarts.reset();
  CHECK(restarts > 0);
  return fmt::format("on PostgreSQL, restarted {} times", restarts);
}

}  // namespace codewake::testing
