// Events on their way to the server, in as few requests as the limit of a body allows.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "answer.hpp"
#include "http_client.hpp"
#include "parameters.hpp"

namespace codewake::internal {

/// The events of a batch, each as its JSON.
class EncodedEvents {
 public:
  /// To append an event to; then `close` it.
  std::string& text() noexcept { return text_; }
  void close() { ends_.push_back(text_.size()); }
  void clear() noexcept {
    text_.clear();
    ends_.clear();
  }

  std::size_t size() const noexcept { return ends_.size(); }
  std::string_view operator[](std::size_t index) const noexcept {
    const std::size_t begin = index == 0 ? 0 : ends_[index - 1];
    return std::string_view(text_).substr(begin, ends_[index] - begin);
  }

 private:
  std::string text_;
  std::vector<std::size_t> ends_;
};

/// Reentrant, but for `abandon`.
class Sender {
 public:
  /// `parameters` must outlive it. Connects to nothing.
  explicit Sender(const RacewayParameters& parameters);

  /// Throws StoreError (rejected) where no request can hold the event.
  void check_size(std::string_view event) const;

  /// Sends all of them, in their order. Throws StoreError: `rejected`, and then an event is bad, or too large
  /// for the server; `unavailable`, also while the server wants to be left alone. Some may have been taken
  /// then.
  void send(const EncodedEvents& events);

  /// The next request connects anew.
  void disconnect() noexcept { client_.reset(); }

  /// Ends a request or a wait that is under way in another thread, within about a second. Thread-safe.
  void abandon() noexcept;

 private:
  using Clock = std::chrono::steady_clock;
  using Encoding = HttpClient::Encoding;

  std::size_t end_of_body(const EncodedEvents& events, std::size_t first) const;
  std::size_t send_body(const EncodedEvents& events, std::size_t first, std::size_t end);
  Verdict post(std::string_view body, std::size_t events);
  Verdict post_once(std::string_view body, std::size_t events, Encoding encoding);
  bool takes_gzip();
  bool takes_nothing();
  void wait(std::chrono::milliseconds time);

  const RacewayParameters& parameters_;
  std::unique_ptr<HttpClient> client_;
  std::string body_;
  std::size_t limit_bytes_;  ///< what a body of several events may have; less once the server has refused one
  std::optional<bool> takes_gzip_;  ///< empty: it has not been asked
  Clock::time_point alone_until_{};
  std::string alone_because_;

  std::atomic<bool> abandoned_{false};
  std::mutex wait_mutex_;
  std::condition_variable wait_over_;
};

}  // namespace codewake::internal
