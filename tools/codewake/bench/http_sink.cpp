#include "bench/http_sink.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstddef>
#include <system_error>
#include <vector>

#include "codewake/errors.hpp"

namespace codewake::cli::bench {
namespace {

constexpr std::size_t kBufferBytes = 256 << 10;
constexpr int kLookEveryMs = 100;

/// What each event has once, and no text of the benchmark.
constexpr std::string_view kMark = "\"metadata\":{\"thread_id\":";

constexpr std::string_view kTaken =
    "HTTP/1.1 200 OK\r\nContent-Length: 44\r\n\r\n"
    "{\"success\":true,\"data\":\"taken\",\"error\":null}";
constexpr std::string_view kNoCompression =
    "HTTP/1.1 415 Unsupported Media Type\r\nContent-Length: 0\r\n\r\n";

std::size_t count(std::string_view text, std::string_view mark) {
  std::size_t found = 0;
  for (std::size_t at = text.find(mark); at != text.npos; at = text.find(mark, at + mark.size())) ++found;
  return found;
}

bool send_all(int connection, std::string_view text) {
  while (!text.empty()) {
    const ssize_t sent = ::send(connection, text.data(), text.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

/// The value of a header, whose name is `name` in lower case; empty where there is none.
std::string_view header_of(std::string_view head, std::string_view name) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  const auto is_named = [&](std::string_view line) {
    if (line.size() <= name.size() || line[name.size()] != ':') return false;
    for (std::size_t i = 0; i < name.size(); ++i) {
      if (lower(line[i]) != name[i]) return false;
    }
    return true;
  };
  while (!head.empty()) {
    const std::size_t end = head.find("\r\n");
    const std::string_view line = head.substr(0, end);
    if (is_named(line)) {
      const std::string_view value = line.substr(name.size() + 1);
      const std::size_t begin = value.find_first_not_of(' ');
      return begin == value.npos ? std::string_view() : value.substr(begin);
    }
    if (end == head.npos) break;
    head.remove_prefix(end + 2);
  }
  return {};
}

}  // namespace

HttpSink::HttpSink(std::uint16_t port) : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  const int yes = 1;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  socklen_t size = sizeof address;
  auto* const some_address = reinterpret_cast<sockaddr*>(&address);
  if (listener_ < 0 || ::setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
      ::bind(listener_, some_address, size) != 0 || ::listen(listener_, 4) != 0 ||
      ::getsockname(listener_, some_address, &size) != 0) {
    const int error = errno;
    if (listener_ >= 0) ::close(listener_);
    throw Error(fmt::format("cannot listen on loopback: {}", std::generic_category().message(error)));
  }
  port_ = ntohs(address.sin_port);
  try {
    thread_ = std::thread(&HttpSink::run, this);
  } catch (...) {
    ::close(listener_);
    throw;
  }
}

HttpSink::~HttpSink() {
  ending_.store(true);
  thread_.join();
  ::close(listener_);
}

void HttpSink::run() {
  while (!ending_.load()) {
    pollfd waited{.fd = listener_, .events = POLLIN, .revents = 0};
    if (::poll(&waited, 1, kLookEveryMs) <= 0) continue;
    const int connection = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (connection < 0) continue;
    serve(connection);
    ::close(connection);
  }
}

void HttpSink::serve(int connection) {
  std::vector<char> buffer(kBufferBytes);
  std::string received;
  std::size_t wanted = 0;  // of what was received, once the head is there: head and body
  std::size_t head_size = 0;
  while (!ending_.load()) {
    pollfd waited{.fd = connection, .events = POLLIN, .revents = 0};
    const int ready = ::poll(&waited, 1, kLookEveryMs);
    if (ready == 0 || (ready < 0 && errno == EINTR)) continue;
    const ssize_t size = ::recv(connection, buffer.data(), buffer.size(), 0);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return;
    received.append(buffer.data(), static_cast<std::size_t>(size));
    if (wanted == 0) {
      const std::size_t end = received.find("\r\n\r\n");
      if (end == received.npos) continue;
      head_size = end + 4;
      const std::string_view length =
          header_of(std::string_view(received).substr(0, head_size), "content-length");
      std::size_t body_size = 0;
      std::from_chars(length.data(), length.data() + length.size(), body_size);
      wanted = head_size + body_size;
      received.reserve(wanted);
    }
    if (received.size() < wanted) continue;  // whoever waits for an answer sends nothing behind the request
    const std::string_view request(received);
    if (!send_all(connection, answer_to(request.substr(0, head_size), request.substr(head_size)))) return;
    received.clear();
    wanted = 0;
  }
}

std::string_view HttpSink::answer_to(std::string_view head, std::string_view body) {
  if (!header_of(head, "content-encoding").empty()) return kNoCompression;
  events_.fetch_add(count(body, kMark), std::memory_order_relaxed);
  return kTaken;
}

}  // namespace codewake::cli::bench
