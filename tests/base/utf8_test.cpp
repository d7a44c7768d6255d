#include "codewake/utf8.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <string>

using codewake::is_storable;
using codewake::to_storable;
using namespace std::string_literals;

namespace {

const std::string kBad = "\xEF\xBF\xBD";

std::string encode(char32_t c) {
  if (c < 0x80) return {static_cast<char>(c)};
  if (c < 0x800) return {static_cast<char>(0xC0 | (c >> 6)), static_cast<char>(0x80 | (c & 0x3F))};
  if (c < 0x10000) {
    return {static_cast<char>(0xE0 | (c >> 12)), static_cast<char>(0x80 | ((c >> 6) & 0x3F)),
            static_cast<char>(0x80 | (c & 0x3F))};
  }
  return {static_cast<char>(0xF0 | (c >> 18)), static_cast<char>(0x80 | ((c >> 12) & 0x3F)),
          static_cast<char>(0x80 | ((c >> 6) & 0x3F)), static_cast<char>(0x80 | (c & 0x3F))};
}

}  // namespace

TEST_CASE("Every code point is storable, but for NUL and the surrogates") {
  int wrong = 0;
  for (char32_t c = 0; c <= 0x10FFFF; ++c) {
    const bool fit = c != 0 && (c < 0xD800 || c > 0xDFFF);
    wrong += is_storable(encode(c)) != fit;
    if (fit) wrong += to_storable(encode(c)) != encode(c);
  }
  CHECK(wrong == 0);
}

TEST_CASE("A NUL byte becomes its symbol, wherever it stands") {
  CHECK(to_storable("a\0b"s) == "a\u2400b");
  CHECK(to_storable("\0"s) == "\u2400");
  CHECK(to_storable("1234567\0"s) == "1234567\u2400");
  CHECK(to_storable("12345678\0\0"s) == "12345678\u2400\u2400");
}

TEST_CASE("Each maximal bad part is replaced once, as the WHATWG encoding standard has it") {
  CHECK(to_storable("\xFF") == kBad);
  CHECK(to_storable("\x80\x80") == kBad + kBad);
  CHECK(to_storable("a\xC3") == "a" + kBad);
  CHECK(to_storable("a\xC3z") == "a" + kBad + "z");
  CHECK(to_storable("\xE2\x82") == kBad);                               // a euro sign cut short
  CHECK(to_storable("\xF0\x9F\x98z") == kBad + "z");                    // an emoji cut short
  CHECK(to_storable("\xF0\x80\x80\x80") == kBad + kBad + kBad + kBad);  // overlong
  CHECK(to_storable("\xC0\xAF") == kBad + kBad);                        // overlong slash
  CHECK(to_storable("\xED\xA0\x80") == kBad + kBad + kBad);             // a surrogate
  CHECK(to_storable("\xF4\x90\x80\x80") == kBad + kBad + kBad + kBad);  // beyond U+10FFFF
  CHECK(to_storable("\xE0\x9F\xBF") == kBad + kBad + kBad);             // overlong in three
}

TEST_CASE("Text is recognised at every length and offset") {
  for (std::size_t length = 0; length < 40; ++length) {
    const std::string plain(length, 'x');
    CHECK(is_storable(plain));
    for (std::size_t at = 0; at < length; ++at) {
      std::string bad = plain;
      bad[at] = '\xFF';
      CHECK_FALSE(is_storable(bad));
      CHECK(to_storable(bad) == plain.substr(0, at) + kBad + plain.substr(at + 1));
      bad[at] = '\0';
      CHECK_FALSE(is_storable(bad));
    }
  }
}

TEST_CASE("What has been made fit is fit") {
  std::uint32_t state = 1;
  for (int round = 0; round < 20'000; ++round) {
    std::string text;
    for (int i = 0; i < 12; ++i) {
      state = state * 1664525u + 1013904223u;
      text += static_cast<char>(state >> 24);
    }
    const std::string fit = to_storable(text);
    REQUIRE(is_storable(fit));
    REQUIRE(to_storable(fit) == fit);
    REQUIRE((fit == text) == is_storable(text));
  }
}
