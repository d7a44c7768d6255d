// An HTTP server for tests: it does with each request what it is told, also what no server should.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace codewake::testing {

struct HttpRequest {
  std::string method;
  std::string path;
  std::vector<std::pair<std::string, std::string>> headers = {};  ///< names in lower case
  std::string body = {};
  int connection = 0;  ///< which one it came by

  /// Empty where there is none.
  std::string header(const std::string& name) const;
};

struct HttpReply {
  enum class Way {
    answer,
    drop,  ///< the connection is closed instead
    cut,   ///< the connection is closed in the middle of the answer
    hang   ///< no answer, until the client goes
  };

  int status = 200;
  std::string body = {};
  std::vector<std::pair<std::string, std::string>> headers = {};
  Way way = Way::answer;
};

/// Listens on a port of its own of 127.0.0.1, in threads of its own. Thread-safe.
class HttpServer {
 public:
  /// `react` is called by one thread for each connection.
  explicit HttpServer(std::function<HttpReply(const HttpRequest&)> react);
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;
  ~HttpServer();

  std::string url() const;

  /// Refuses connections, and ends those that there are.
  void stop();
  /// Listens on the same port again.
  void start();

 private:
  void accept_all(int listener);
  void serve(int connection, int number);
  bool read_request(int connection, std::string& left, HttpRequest& request);
  void hang(int connection);
  void close_connection(int connection);

  std::function<HttpReply(const HttpRequest&)> react_;
  std::uint16_t port_ = 0;
  int listener_ = -1;
  std::thread accepter_;
  std::atomic<int> connections_{0};
  std::mutex mutex_;
  std::vector<int> open_;             // guarded by mutex_
  std::vector<std::thread> threads_;  // likewise
};

}  // namespace codewake::testing
