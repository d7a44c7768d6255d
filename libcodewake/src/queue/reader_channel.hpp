// Questions and answers between a recoverer and the process that reads another user's journals for it.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/file_descriptor.hpp"

namespace codewake::internal {

/// What the recoverer asks for. Texts are u32 length and bytes, numbers as they lie in memory: both sides are
/// one program.
enum class Ask : std::uint8_t {
  runs,       ///< → texts
  has,        ///< text run → u8
  take_over,  ///< text run → u8 taken; then u8 known, texts run, fingerprint, store, executable, i64 pid,
              ///< started
  open,       ///< → u64 size; then the crash page, or nothing
  skip_to,    ///< u32 lane, u64 position
  records,  ///< → for each record its header, u32 lane, u64 position, next position, i64 time, text payload
  external,     ///< u32 lane, u64 position, ExternalPayload → u8 whether it is there, the content
  stack,        ///< u64 addresses → an event with nothing but a stack, as in a journal
  crash_stack,  ///< → the same
  damage,       ///< → u64 skipped bytes, losses, gone events, reported losses
  remove,       ///< → i32 error
  release,      ///< gives up the journal that was taken over
};

inline constexpr std::size_t kMostAnswerBytes = 1u << 20;
/// Of the content of an external record.
inline constexpr std::size_t kMostExternalBytes = 16u << 20;

/// One end of a stream socket. A message is a u32 length, a u8 kind, and as many bytes. Thread-bound.
class ReaderChannel {
 public:
  explicit ReaderChannel(FileDescriptor socket) noexcept;

  struct Message {
    std::uint8_t kind = 0;
    std::string body = {};
  };

  /// Throws std::runtime_error where the other side has ended, or does not read for `timeout`.
  void send(std::uint8_t kind, std::string_view body, std::chrono::milliseconds timeout);

  /// Throws std::runtime_error where the other side has ended, says nothing for `timeout`, or more than
  /// `most_bytes`.
  Message receive(std::size_t most_bytes, std::chrono::milliseconds timeout);

 private:
  void wait_for(short events, std::chrono::steady_clock::time_point deadline);
  void receive_all(char* to, std::size_t size, std::chrono::steady_clock::time_point deadline);

  FileDescriptor socket_;
};

/// Appends to a message what `ByteReader` reads.
class MessageWriter {
 public:
  template <class T>
  MessageWriter& put(const T& value) {
    text_.append(reinterpret_cast<const char*>(&value), sizeof value);
    return *this;
  }
  MessageWriter& put_text(std::string_view text) {
    put(static_cast<std::uint32_t>(text.size()));
    text_.append(text);
    return *this;
  }
  std::string& text() noexcept { return text_; }

 private:
  std::string text_;
};

}  // namespace codewake::internal
