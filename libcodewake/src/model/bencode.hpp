// Bencoding, as far as digests need it: lists of text and integers.
#pragma once

#include <charconv>
#include <concepts>
#include <string>
#include <string_view>

namespace codewake::internal {

/// Writes bencoded values one behind the other. The caller pairs `begin_list` with `end_list`.
class Bencoder {
 public:
  void begin_list() { out_ += 'l'; }
  void end_list() { out_ += 'e'; }
  void text(std::string_view bytes) {
    digits(bytes.size());
    out_ += ':';
    out_ += bytes;
  }
  void integer(std::integral auto number) {
    out_ += 'i';
    digits(number);
    out_ += 'e';
  }

  const std::string& bytes() const noexcept { return out_; }
  void clear() noexcept { out_.clear(); }

 private:
  void digits(std::integral auto number) {
    char buffer[24];
    out_.append(buffer, std::to_chars(buffer, buffer + sizeof buffer, number).ptr);
  }

  std::string out_;
};

}  // namespace codewake::internal
