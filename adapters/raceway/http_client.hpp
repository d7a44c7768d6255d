// Posting to one address over a connection that stays open.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "parameters.hpp"

namespace codewake::internal {

/// What came back, if anything did.
struct HttpAnswer {
  /// 0: no answer came; `failure` says why.
  long status = 0;
  std::string body = {};  ///< its first kMostBody bytes; the rest is not read
  /// Of `Retry-After`, either of its forms; 0: there is none, or it is over.
  std::chrono::seconds retry_after{0};
  std::string redirect = {};  ///< where the server would have the request sent instead
  std::string failure = {};

  static constexpr std::size_t kMostBody = 64u << 10;
  static constexpr std::size_t kMostHeaders = 256u << 10;
};

/// Reentrant.
class HttpClient {
 public:
  enum class Encoding { plain, gzip };

  /// Both must outlive it. A request that is under way when `abandoned` becomes true ends in about a second;
  /// later ones are not sent.
  HttpClient(const RacewayParameters& parameters, const std::atomic<bool>& abandoned);
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;
  ~HttpClient();

  /// Posts JSON; with gzip, `body` is compressed here. Blocks for `timeout` at most, and while the host's
  /// name is looked up. Throws StoreError (unavailable) where libcurl has no memory.
  HttpAnswer post(std::string_view body, Encoding encoding);

 private:
  class Request;
  std::unique_ptr<Request> request_;
};

}  // namespace codewake::internal
