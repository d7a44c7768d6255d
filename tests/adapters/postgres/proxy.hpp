// A TCP port that leads to the server's socket, and loses what it is told to lose.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace codewake::testing {

/// Serves every connection in a thread of its own. Thread-safe.
class Proxy {
 public:
  /// What becomes of the next COMMIT that a new connection sends; and in each case, no answer comes.
  enum class Fate { pass, done, dropped, done_late };

  explicit Proxy(std::string socket);
  Proxy(const Proxy&) = delete;
  Proxy& operator=(const Proxy&) = delete;
  ~Proxy();

  int port() const noexcept { return port_; }

  /// Cuts every connection, and the next one at its COMMIT.
  void cut_at_commit(Fate fate);
  /// The same for the next COMMIT in words, on whatever connection.
  void lose_next_commit(Fate fate) noexcept { fate_ = fate; }
  /// Whether nothing that either side sends arrives, as in a network that drops all: it neither fails nor
  /// ends.
  void be_silent(bool silent) noexcept { silent_ = silent; }
  /// The same once so many bytes more have been sent to the server.
  void be_silent_after(std::int64_t bytes) noexcept { until_silent_ = bytes; }
  /// How many COMMITs have met their fate.
  int met() const noexcept { return met_; }
  /// How many round trips there were: how often a client has gone on after the server.
  int trips() const noexcept { return trips_; }

 private:
  struct Pair;
  void accept_all();
  void serve(const std::shared_ptr<Pair>& pair);
  bool forward_to_server(Pair& pair, const char* bytes, std::size_t size);

  const std::string socket_;
  int listener_ = -1, port_ = 0;
  std::atomic<bool> stopping_{false}, silent_{false};
  std::atomic<std::int64_t> until_silent_{std::numeric_limits<std::int64_t>::max()};
  std::atomic<Fate> fate_{Fate::pass};
  std::atomic<int> met_{0}, trips_{0};
  std::mutex mutex_;
  std::vector<std::shared_ptr<Pair>> pairs_;
  std::vector<std::thread> threads_;
  std::thread acceptor_;
};

}  // namespace codewake::testing
