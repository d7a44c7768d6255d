#include "codewake/visible.hpp"

#include <doctest/doctest.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "codewake/utf8.hpp"
#include "support/child.hpp"

using codewake::is_visible;
using codewake::say_on_stderr;
using codewake::visible;
using codewake::testing::in_child;

namespace {

// Any byte that a terminal or a reader of lines acts on.
bool is_control(char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
}

}  // namespace

TEST_CASE("What can be seen stays as it is") {
  for (const char* text : {"", "plain", "ä ö ü", "日本語", "🎉", "back\\slash", "👩\u200d👩", "\u00a0"})
    CHECK(visible(text) == text);
}

TEST_CASE("What a terminal acts on becomes an escape, at both sides of each range") {
  CHECK(visible("a\nb\tc\rd") == "a\\nb\\tc\\rd");
  CHECK(visible("\x1b[31mred\x07\x1f \x7f") == "\\x1b[31mred\\x07\\x1f \\x7f");
  CHECK(visible(std::string_view("nul\0nul", 7)) == "nul\\x00nul");
  CHECK(visible("~\u0080\u009f\u00a0") == "~\\u0080\\u009f\u00a0");
  CHECK(visible("\u202eevil\u2066\ufeff\u2028\u061c") == "\\u202eevil\\u2066\\ufeff\\u2028\\u061c");
  CHECK(visible("\U000e0041\U000e0080") == "\\U000e0041\U000e0080");
  for (const char32_t hidden : {0xAD, 0x3164, 0xFE00, 0xFE0F, 0xE0100, 0xE01EF})
    CHECK_FALSE(is_visible(hidden));
  for (const char32_t shown : {0xAC, 0xAE, 0x3163, 0x3165, 0xFDFF, 0xFE10, 0xE00FF, 0xE01F0})
    CHECK(is_visible(shown));
  CHECK(is_visible(0x200D));
  CHECK_FALSE(is_visible(0x200E));
  CHECK_FALSE(is_visible(0x202A));
  CHECK_FALSE(is_visible(0x206F));
  CHECK(is_visible(0x2070));
}

TEST_CASE("Each byte that is not UTF-8 is shown as its value") {
  CHECK(visible("raw\xff") == "raw\\xff");
  CHECK(visible("\xc0\xaf") == "\\xc0\\xaf");
  CHECK(visible("\xed\xa0\x80") == "\\xed\\xa0\\x80");
  CHECK(visible("\xf4\x90\x80\x80") == "\\xf4\\x90\\x80\\x80");
  CHECK(visible("cut \xe2\x98") == "cut \\xe2\\x98");
  CHECK(visible("\x9b") == "\\x9b");
}

TEST_CASE("Whatever bytes there are, what is shown is UTF-8 on one line, and stays the same") {
  std::uint32_t state = 7;
  for (int round = 0; round < 20'000; ++round) {
    std::string text;
    for (int i = 0; i < 12; ++i) {
      state = state * 1664525u + 1013904223u;
      text += static_cast<char>(state >> 24);
    }
    const std::string shown = visible(text);
    REQUIRE(codewake::is_storable(shown));
    REQUIRE(std::ranges::none_of(shown, is_control));
    REQUIRE(visible(shown) == shown);
  }
}

TEST_CASE("A message cannot forge a line of its own") {
  const std::string name = "x\nsshd[1]: Accepted publickey for root\n\x1b]0;t\x07\u202e";
  const auto result = in_child([&] { say_on_stderr({"the run ", name, " is ", "damaged\n"}); });
  CHECK(result.err ==
        "codewake: the run x\\nsshd[1]: Accepted publickey for root\\n\\x1b]0;t\\x07\\u202e is damaged\n");
  CHECK(in_child([] { say_on_stderr("one text\r\n"); }).err == "codewake: one text\n");
  CHECK(in_child([] { say_on_stderr({"one part"}); }).err == "codewake: one part\n");
  CHECK(in_child([] { say_on_stderr(""); }).err == "codewake: \n");
}

TEST_CASE("A line has at most 4,096 bytes, whatever it is cut in") {
  const std::size_t room = PIPE_BUF - std::string_view("codewake: ").size() - std::string_view("…\n").size();
  const auto line_of = [](const std::string& text) { return in_child([&] { say_on_stderr(text); }).err; };
  CHECK(line_of(std::string(room, 'a')) == "codewake: " + std::string(room, 'a') + "\n");
  CHECK(line_of(std::string(room + 1, 'a')) == "codewake: " + std::string(room, 'a') + "…\n");
  CHECK(line_of(std::string(room - 1, 'a') + "é") == "codewake: " + std::string(room - 1, 'a') + "…\n");
  CHECK(line_of(std::string(room - 3, 'a') + "\x01") == "codewake: " + std::string(room - 3, 'a') + "…\n");
  CHECK(line_of(std::string(1 << 20, '\n') + "a").size() <= PIPE_BUF);
}

TEST_CASE("A message leaves errno alone, and lets a pipe hold it whole") {
  std::array<int, 2> packets{};
  REQUIRE(pipe(packets.data()) == 0);
  const auto result = in_child([&] {
    dup2(packets[1], STDERR_FILENO);
    errno = ENOSPC;
    say_on_stderr({"a", "b", std::string(10'000, 'c')});
    if (errno != ENOSPC) _exit(1);
    close(STDERR_FILENO);
    say_on_stderr("no descriptor to write to");
    if (errno != ENOSPC) _exit(2);
  });
  CHECK(result.exit_code == 0);
  std::array<char, PIPE_BUF + 1> read_once{};
  CHECK(read(packets[0], read_once.data(), read_once.size()) == ssize_t{PIPE_BUF});
  close(packets[0]);
  close(packets[1]);
}
