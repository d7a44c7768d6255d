// Invariants:
//  - What is sent again has the same ids, so that a request whose answer was lost needs no other care than
//  that.
//  - An event is only said to be bad after the server has taken an empty list: a server, or what stands
//  before
//    it, that takes nothing at all says nothing of the event.
#include "sender.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "codewake/errors.hpp"

namespace codewake::internal {
namespace {

using Outcome = Verdict::Outcome;

constexpr std::string_view kBegin = "{\"events\":[";
constexpr std::string_view kEnd = "]}";
constexpr std::string_view kNoEvents = "{\"events\":[]}";
/// Some room for what a proxy counts otherwise.
constexpr std::size_t kMarginPart = 64;
/// Below this, a body is hardly smaller for being compressed.
constexpr std::size_t kLeastToCompress = 1u << 10;
/// A rate limit is waited for so long without a word to whoever writes: a queue would take it for a server
/// that cannot take so much at once, and send ever less in the few requests that are allowed.
constexpr std::chrono::seconds kPatience{1};

}  // namespace

Sender::Sender(const RacewayParameters& parameters)
    : parameters_(parameters),
      limit_bytes_(parameters.body_limit_bytes - parameters.body_limit_bytes / kMarginPart),
      takes_gzip_(parameters.asks_for_compression ? std::nullopt : std::optional(false)) {}

void Sender::check_size(std::string_view event) const {
  const std::size_t size = kBegin.size() + event.size() + kEnd.size();
  if (size <= parameters_.body_limit_bytes) return;
  throw StoreError(
      StoreError::Kind::rejected,
      fmt::format("Raceway server {}: an event of {} bytes is larger than body_limit={}; raise it, "
                  "and the server's limit with it",
                  parameters_.display, size, parameters_.body_limit_bytes));
}

void Sender::send(const EncodedEvents& events) {
  if (events.size() == 0) return;
  if (Clock::now() < alone_until_) {
    const auto left = std::chrono::ceil<std::chrono::seconds>(alone_until_ - Clock::now());
    throw StoreError(StoreError::Kind::unavailable, fmt::format("{}; it wants to be left alone for {} s more",
                                                                alone_because_, left.count()));
  }
  for (std::size_t first = 0; first < events.size();) {
    first = send_body(events, first, end_of_body(events, first));
  }
}

std::size_t Sender::end_of_body(const EncodedEvents& events, std::size_t first) const {
  std::size_t size = kBegin.size() + events[first].size() + kEnd.size();
  std::size_t end = first + 1;
  while (end < events.size() && size + 1 + events[end].size() <= limit_bytes_)
    size += 1 + events[end++].size();
  return end;
}

// The result is the first event that is still to be sent.
std::size_t Sender::send_body(const EncodedEvents& events, std::size_t first, std::size_t end) {
  body_ = kBegin;
  for (std::size_t i = first; i < end; ++i) {
    if (i != first) body_ += ',';
    body_ += events[i];
  }
  body_ += kEnd;
  Verdict verdict = post(body_, end - first);
  if (verdict.is_rate_limit && verdict.pause <= kPatience) {
    wait(verdict.pause.count() == 0 ? kPatience : verdict.pause);
    verdict = post(body_, end - first);
  }
  if (verdict.outcome == Outcome::stored) return end;
  if (verdict.outcome == Outcome::too_large && end - first > 1) {
    limit_bytes_ = body_.size() / 2;
    return first;
  }
  if (verdict.outcome == Outcome::unavailable) {
    if (verdict.pause.count() != 0) {
      alone_until_ = Clock::now() + verdict.pause;
      alone_because_ = verdict.message;
    }
    throw StoreError(StoreError::Kind::unavailable, verdict.message);
  }
  if (takes_nothing()) {
    throw StoreError(StoreError::Kind::unavailable,
                     verdict.message + "; and it does not take an empty list of events either");
  }
  throw StoreError(StoreError::Kind::rejected, verdict.message);
}

Verdict Sender::post(std::string_view body, std::size_t events) {
  if (body.size() < kLeastToCompress || !takes_gzip()) return post_once(body, events, Encoding::plain);
  Verdict verdict = post_once(body, events, Encoding::gzip);
  if (verdict.outcome != Outcome::refused) return verdict;
  takes_gzip_ = false;  // another server than the one that was asked, perhaps
  return post_once(body, events, Encoding::plain);
}

Verdict Sender::post_once(std::string_view body, std::size_t events, Encoding encoding) {
  if (!client_) client_ = std::make_unique<HttpClient>(parameters_, abandoned_);
  return judge(client_->post(body, encoding), events, parameters_);
}

// A server that does not know of compression finds no JSON in the compressed empty list.
bool Sender::takes_gzip() {
  if (!takes_gzip_) {
    const Outcome outcome = post_once(kNoEvents, 0, Encoding::gzip).outcome;
    if (outcome == Outcome::unavailable) return false;  // which says nothing
    takes_gzip_ = outcome == Outcome::stored;
  }
  return *takes_gzip_;
}

bool Sender::takes_nothing() {
  return post_once(kNoEvents, 0, Encoding::plain).outcome != Outcome::stored;
}

void Sender::wait(std::chrono::milliseconds time) {
  std::unique_lock lock(wait_mutex_);
  wait_over_.wait_for(lock, time, [&] { return abandoned_.load(std::memory_order_relaxed); });
}

void Sender::abandon() noexcept {
  {
    const std::lock_guard lock(wait_mutex_);
    abandoned_.store(true, std::memory_order_relaxed);
  }
  wait_over_.notify_all();
}

}  // namespace codewake::internal
