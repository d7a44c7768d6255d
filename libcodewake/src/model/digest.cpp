#include "codewake/digest.hpp"

#include <string_view>

#include "base/sha256.hpp"
#include "model/bencode.hpp"

namespace codewake {
namespace {

// One buffer for each thread, kept small: a digest is computed for every event, and must not allocate for it.
internal::Bencoder& scratch() {
  constexpr std::size_t kKeptBytes = 64 * 1024;
  thread_local internal::Bencoder encoder;
  if (encoder.bytes().capacity() > kKeptBytes) encoder = internal::Bencoder();
  encoder.clear();
  return encoder;
}

}  // namespace

Digest digest_of(std::span<const AttributeView> data) {
  internal::Bencoder& out = scratch();
  out.begin_list();
  for (const AttributeView& attribute : data) {
    out.begin_list();
    out.text(attribute.key);
    if (attribute.value) out.text(*attribute.value);
    out.end_list();
  }
  out.end_list();
  return internal::sha256(out.bytes());
}

Digest digest_of(std::span<const Frame> frames) {
  internal::Bencoder& out = scratch();
  out.begin_list();
  for (auto frame = frames.rbegin(); frame != frames.rend(); ++frame) {
    out.begin_list();
    out.text(frame->filename);
    out.integer(frame->lineno);
    out.text(frame->src);
    out.end_list();
  }
  out.end_list();
  return internal::sha256(out.bytes());
}

std::string to_hex(const Digest& digest) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(digest.size() * 2);
  for (const std::uint8_t byte : digest) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 0x0F];
  }
  return text;
}

}  // namespace codewake
