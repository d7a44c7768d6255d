// A server on loopback that takes trace events as a Raceway server does, counts them, and forgets them.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>
#include <thread>

namespace codewake::cli::bench {

/// Serves one connection at a time, in a thread of its own. Does not know of compression. Thread-safe.
class HttpSink {
 public:
  /// `port`: of 127.0.0.1; 0: whichever is free. Throws Error.
  explicit HttpSink(std::uint16_t port = 0);
  HttpSink(const HttpSink&) = delete;
  HttpSink& operator=(const HttpSink&) = delete;
  ~HttpSink();

  std::uint16_t port() const noexcept { return port_; }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  /// How many have arrived.
  std::uint64_t events() const noexcept { return events_.load(std::memory_order_relaxed); }

 private:
  void run();
  void serve(int connection);
  std::string_view answer_to(std::string_view head, std::string_view body);

  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<bool> ending_{false};
  std::atomic<std::uint64_t> events_{0};
  std::thread thread_;
};

}  // namespace codewake::cli::bench
