#include "server.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <stdexcept>
#include <string_view>

namespace codewake::testing {
namespace {

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return result;
}

std::string formatted(const HttpReply& reply) {
  std::string text =
      fmt::format("HTTP/1.1 {} Said\r\nContent-Length: {}\r\n", reply.status, reply.body.size());
  for (const auto& [name, value] : reply.headers) text += fmt::format("{}: {}\r\n", name, value);
  return text + "\r\n" + reply.body;
}

void send_all(int connection, std::string_view text) {
  while (!text.empty()) {
    const ssize_t sent = send(connection, text.data(), text.size(), MSG_NOSIGNAL);
    if (sent <= 0) return;  // the client is gone
    text.remove_prefix(static_cast<std::size_t>(sent));
  }
}

/// Reads more behind `text`; false at the end.
bool receive(int connection, std::string& text) {
  std::array<char, 1u << 16> buffer;
  const ssize_t size = recv(connection, buffer.data(), buffer.size(), 0);
  if (size <= 0) return false;
  text.append(buffer.data(), static_cast<std::size_t>(size));
  return true;
}

void read_head(std::string_view head, HttpRequest& request) {
  const std::size_t end = head.find("\r\n");
  const std::string_view line = head.substr(0, end);
  request.method = line.substr(0, line.find(' '));
  const std::string_view rest = line.substr(std::min(line.size(), request.method.size() + 1));
  request.path = rest.substr(0, rest.find(' '));
  head.remove_prefix(end + 2);
  while (!head.empty()) {
    const std::string_view header = head.substr(0, head.find("\r\n"));
    const std::size_t colon = header.find(':');
    std::string_view value = header.substr(std::min(header.size(), colon + 1));
    while (value.starts_with(' ')) value.remove_prefix(1);
    request.headers.emplace_back(lower(header.substr(0, colon)), value);
    head.remove_prefix(std::min(head.size(), header.size() + 2));
  }
}

}  // namespace

std::string HttpRequest::header(const std::string& name) const {
  const auto found = std::ranges::find(headers, name, &std::pair<std::string, std::string>::first);
  return found == headers.end() ? "" : found->second;
}

HttpServer::HttpServer(std::function<HttpReply(const HttpRequest&)> react) : react_(std::move(react)) {
  start();
}

HttpServer::~HttpServer() {
  stop();
}

std::string HttpServer::url() const {
  return fmt::format("http://127.0.0.1:{}", port_);
}

void HttpServer::start() {
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int yes = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port_);
  socklen_t size = sizeof address;
  if (bind(listener, reinterpret_cast<sockaddr*>(&address), size) != 0 || listen(listener, 16) != 0 ||
      getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    close(listener);
    throw std::runtime_error("the test's server cannot listen");
  }
  port_ = ntohs(address.sin_port);
  listener_ = listener;
  accepter_ = std::thread([this, listener] { accept_all(listener); });
}

void HttpServer::stop() {
  if (!accepter_.joinable()) return;
  shutdown(listener_, SHUT_RDWR);
  accepter_.join();
  close(listener_);
  std::vector<std::thread> threads;
  {
    const std::lock_guard lock(mutex_);
    for (const int connection : open_) shutdown(connection, SHUT_RDWR);
    threads.swap(threads_);
  }
  for (std::thread& thread : threads) thread.join();
}

void HttpServer::accept_all(int listener) {
  while (true) {
    const int connection = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (connection < 0) return;
    const int yes = 1;
    setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    const std::lock_guard lock(mutex_);
    open_.push_back(connection);
    threads_.emplace_back([this, connection, number = ++connections_] { serve(connection, number); });
  }
}

void HttpServer::serve(int connection, int number) {
  std::string left;
  HttpRequest request;
  while (read_request(connection, left, request)) {
    request.connection = number;
    const HttpReply reply = react_(request);
    if (reply.way == HttpReply::Way::hang) hang(connection);
    if (reply.way == HttpReply::Way::hang || reply.way == HttpReply::Way::drop) break;
    const std::string text = formatted(reply);
    if (reply.way == HttpReply::Way::cut) {
      send_all(connection, std::string_view(text).substr(0, text.size() / 2));
      break;
    }
    send_all(connection, text);
  }
  close_connection(connection);
}

bool HttpServer::read_request(int connection, std::string& left, HttpRequest& request) {
  request = {};
  std::size_t end = 0;
  while ((end = left.find("\r\n\r\n")) == std::string::npos) {
    if (!receive(connection, left)) return false;
  }
  read_head(std::string_view(left).substr(0, end + 2), request);
  left.erase(0, end + 4);
  std::size_t size = 0;
  const std::string length = request.header("content-length");
  std::from_chars(length.data(), length.data() + length.size(), size);
  while (left.size() < size) {
    if (!receive(connection, left)) return false;
  }
  request.body = left.substr(0, size);
  left.erase(0, size);
  return true;
}

void HttpServer::hang(int connection) {
  std::string ignored;
  while (receive(connection, ignored)) {
  }
}

void HttpServer::close_connection(int connection) {
  const std::lock_guard lock(mutex_);
  std::erase(open_, connection);
  close(connection);
}

}  // namespace codewake::testing
