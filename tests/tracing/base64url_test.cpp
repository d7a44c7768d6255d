#include "base/base64url.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <string>

namespace codewake::internal {
namespace {

TEST_CASE("base64url is that of RFC 4648, without padding") {
  CHECK(encode_base64url("") == "");
  CHECK(encode_base64url("f") == "Zg");
  CHECK(encode_base64url("fo") == "Zm8");
  CHECK(encode_base64url("foo") == "Zm9v");
  CHECK(encode_base64url("foobar") == "Zm9vYmFy");
  CHECK(encode_base64url("\xFB\xFF\xFE") == "-__-");
}

TEST_CASE("base64url is read with and without padding, and nothing else is") {
  for (const char* text : {"", "Zg", "Zm8", "Zm9v", "Zm9vYmFy", "-__-"}) {
    CHECK(encode_base64url(decode_base64url(text).value()) == text);
  }
  CHECK(decode_base64url("Zg==") == "f");
  CHECK(decode_base64url("Zm8=") == "fo");
  for (const char* text : {"Z", "Zm9vY", "Zm9v=", "Z===", "Zh", "Zm9", "+//+", "Zm 9v", "Zg=Zg"}) {
    CAPTURE(std::string(text));
    CHECK_FALSE(decode_base64url(text));
  }
}

TEST_CASE("base64url of any length comes back, and a bad character shows wherever it stands") {
  std::string bytes, bits;
  for (std::size_t size = 0; size <= 80; ++size) {
    CAPTURE(size);
    const std::string text = encode_base64url(bytes);
    std::string expected;  // six bits after six
    for (std::size_t at = 0; at < bits.size(); at += 6) {
      const std::string six = (bits.substr(at, 6) + "00000").substr(0, 6);
      const auto value = static_cast<std::size_t>(std::stoi(six, nullptr, 2));
      expected += "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[value];
    }
    CHECK(text == expected);
    CHECK(decode_base64url(text) == bytes);
    for (std::size_t at = 0; at < text.size(); ++at) {
      for (const char bad : {'+', '/', '=', ' ', '\0', '\x7F', '\xC1'}) {
        std::string spoilt = text;
        spoilt[at] = bad;
        if (bad != '=' || at + 1 != text.size()) CHECK_FALSE(decode_base64url(spoilt));
      }
    }
    const auto next = static_cast<unsigned char>(size * 151 + 29);
    bytes += static_cast<char>(next);
    for (int bit = 7; bit >= 0; --bit) bits += (next >> bit & 1) != 0 ? '1' : '0';
  }
}

TEST_CASE("base64url is appended to what is there") {
  std::string text = "v1;";
  append_base64url(text, "foobar");
  CHECK(text == "v1;Zm9vYmFy");
}

}  // namespace
}  // namespace codewake::internal
