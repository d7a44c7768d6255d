#include "queue/reader_channel.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace codewake::internal {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kHeadBytes = sizeof(std::uint32_t) + sizeof(std::uint8_t);

bool is_passing(int error) noexcept {
  return error == EINTR || error == EAGAIN;
}

}  // namespace

ReaderChannel::ReaderChannel(FileDescriptor socket) noexcept : socket_(std::move(socket)) {}

void ReaderChannel::wait_for(short events, Clock::time_point deadline) {
  while (true) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    pollfd wanted{.fd = socket_.number(), .events = events, .revents = 0};
    const int ready = poll(&wanted, 1, static_cast<int>(std::max<std::int64_t>(left, 0)));
    if (ready > 0) return;
    if (ready == 0) throw std::runtime_error("the process that reads these journals does not answer");
    if (errno != EINTR) throw std::system_error(errno, std::generic_category(), "poll");
  }
}

void ReaderChannel::send(std::uint8_t kind, std::string_view body, std::chrono::milliseconds timeout) {
  const auto deadline = Clock::now() + timeout;
  std::string message(kHeadBytes, '\0');
  const auto size = static_cast<std::uint32_t>(body.size());
  std::memcpy(message.data(), &size, sizeof size);
  message[sizeof size] = static_cast<char>(kind);
  message.append(body);
  for (std::size_t done = 0; done < message.size();) {
    wait_for(POLLOUT, deadline);
    const ssize_t sent =
        ::send(socket_.number(), message.data() + done, message.size() - done, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent > 0) done += static_cast<std::size_t>(sent);
    if (sent < 0 && !is_passing(errno))
      throw std::runtime_error("the process that reads these journals has ended");
  }
}

void ReaderChannel::receive_all(char* to, std::size_t size, Clock::time_point deadline) {
  for (std::size_t done = 0; done < size;) {
    wait_for(POLLIN, deadline);
    const ssize_t got = recv(socket_.number(), to + done, size - done, MSG_DONTWAIT);
    if (got > 0) done += static_cast<std::size_t>(got);
    if (got == 0 || (got < 0 && !is_passing(errno)))
      throw std::runtime_error("the process that reads these journals has ended");
  }
}

ReaderChannel::Message ReaderChannel::receive(std::size_t most_bytes, std::chrono::milliseconds timeout) {
  const auto deadline = Clock::now() + timeout;
  std::array<char, kHeadBytes> head{};
  receive_all(head.data(), head.size(), deadline);
  std::uint32_t size = 0;
  std::memcpy(&size, head.data(), sizeof size);
  if (size > most_bytes)
    throw std::runtime_error("the process that reads these journals says too much at once");
  Message message{.kind = static_cast<std::uint8_t>(head.back()), .body = std::string(size, '\0')};
  receive_all(message.body.data(), size, deadline);
  return message;
}

}  // namespace codewake::internal
