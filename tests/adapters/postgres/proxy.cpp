#include "proxy.hpp"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>
#include <system_error>
#include <utility>

namespace codewake::testing {
namespace {

[[noreturn]] void fail(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

bool write_all(int descriptor, const char* bytes, std::size_t size) {
  while (size > 0) {
    const ssize_t written = send(descriptor, bytes, size, MSG_NOSIGNAL);
    if (written <= 0) return false;
    bytes += written;
    size -= static_cast<std::size_t>(written);
  }
  return true;
}

}  // namespace

struct Proxy::Pair {
  const int client, server;

  Pair(int c, int s) : client(c), server(s) {}
  Pair(const Pair&) = delete;
  Pair& operator=(const Pair&) = delete;
  ~Pair() {
    close(client);
    close(server);
  }
  void shut() const {
    shutdown(client, SHUT_RDWR);
    shutdown(server, SHUT_RDWR);
  }
};

Proxy::Proxy(std::string socket) : socket_(std::move(socket)) {
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (listener_ < 0 || bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      listen(listener_, 16) != 0) {
    fail("listen");
  }
  socklen_t size = sizeof address;
  getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { accept_all(); });
}

Proxy::~Proxy() {
  stopping_ = true;
  shutdown(listener_, SHUT_RDWR);
  acceptor_.join();
  for (const auto& pair : pairs_) pair->shut();
  for (std::thread& thread : threads_) thread.join();
  close(listener_);
}

void Proxy::cut_at_commit(Fate fate) {
  const std::lock_guard lock(mutex_);
  fate_ = fate;
  for (const auto& pair : pairs_) pair->shut();
  pairs_.clear();
}

void Proxy::accept_all() {
  while (!stopping_) {
    const int client = accept(listener_, nullptr, nullptr);
    if (client < 0) continue;
    const int server = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    socket_.copy(address.sun_path, sizeof address.sun_path - 1);
    const auto pair = std::make_shared<Pair>(client, server);
    if (connect(server, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) continue;
    const std::lock_guard lock(mutex_);
    pairs_.push_back(pair);
    threads_.emplace_back([this, pair] { serve(pair); });
  }
}

// A new connection's first COMMIT is sent in words, to be prepared.
bool Proxy::forward_to_server(Pair& pair, const char* bytes, std::size_t size) {
  if (until_silent_.fetch_sub(static_cast<std::int64_t>(size)) <= static_cast<std::int64_t>(size)) {
    until_silent_ = std::numeric_limits<std::int64_t>::max();
    silent_ = true;
  }
  const bool commits =
      std::string_view(bytes, size).find(std::string_view("COMMIT\0", 7)) != std::string_view::npos;
  const Fate fate = commits ? fate_.exchange(Fate::pass) : Fate::pass;
  if (fate == Fate::pass) return write_all(pair.server, bytes, size);
  ++met_;
  if (fate == Fate::done_late) {
    shutdown(pair.client, SHUT_RDWR);
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
  }
  if (fate != Fate::dropped) write_all(pair.server, bytes, size);
  return false;
}

void Proxy::serve(const std::shared_ptr<Pair>& pair) {
  std::vector<char> buffer(1 << 20);
  pollfd ends[2] = {{pair->client, POLLIN, 0}, {pair->server, POLLIN, 0}};
  bool is_answered = true;
  while (poll(ends, 2, -1) > 0 || errno == EINTR) {
    bool goes_on = true;
    while (silent_ && !stopping_) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    for (int i = 0; i < 2 && goes_on; ++i) {
      if (ends[i].revents == 0) continue;
      const ssize_t size = recv(ends[i].fd, buffer.data(), buffer.size(), 0);
      if (i == 0 && size > 0 && is_answered) ++trips_;
      is_answered = i == 1;
      goes_on = size > 0 && (i == 0 ? forward_to_server(*pair, buffer.data(), static_cast<std::size_t>(size))
                                    : write_all(pair->client, buffer.data(), static_cast<std::size_t>(size)));
    }
    if (!goes_on) break;
  }
  // The server reads all that it was sent before it sees the end.
  shutdown(pair->client, SHUT_RDWR);
  shutdown(pair->server, SHUT_WR);
}

}  // namespace codewake::testing
