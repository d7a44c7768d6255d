#include "line_reader.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "support/temporary_folder.hpp"

using codewake::cli::InputLine;
using codewake::cli::LineReader;

namespace {

std::vector<InputLine> all_lines(std::string_view content) {
  const codewake::testing::TemporaryFolder folder;
  const int file = open(folder.write("in", content).c_str(), O_RDONLY | O_CLOEXEC);
  REQUIRE(file >= 0);
  LineReader reader(file);
  std::vector<InputLine> all;
  for (std::vector<InputLine> lines = reader.read(); !lines.empty(); lines = reader.read()) {
    all.insert(all.end(), lines.begin(), lines.end());
  }
  CHECK(reader.read().empty());
  close(file);
  return all;
}

}  // namespace

TEST_CASE("Lines are numbered, also empty ones, and the last needs no end") {
  const std::vector<InputLine> lines = all_lines("one\n\nthree");
  REQUIRE(lines.size() == 3);
  CHECK(lines[0].text == "one");
  CHECK(lines[1].text.empty());
  CHECK(lines[2].text == "three");
  CHECK(lines[2].number == 3);
  CHECK(all_lines("").empty());
  CHECK(all_lines("one\n").size() == 1);
}

TEST_CASE("A line longer than one read is put together") {
  const std::string text(300'000, 'x');
  const std::vector<InputLine> lines = all_lines(text + "\nnext\n");
  REQUIRE(lines.size() == 2);
  CHECK(lines[0].text == text);
  CHECK(lines[1].text == "next");
}

TEST_CASE("A line of the greatest length is read, a longer one is only named, and the next is read again") {
  const std::string fits(LineReader::kMaxLineBytes, 'x');
  const std::vector<InputLine> lines = all_lines(fits + "\n" + fits + "y\nnext\n");
  REQUIRE(lines.size() == 3);
  CHECK(lines[0].text.size() == LineReader::kMaxLineBytes);
  CHECK_FALSE(lines[0].too_long);
  CHECK(lines[1].too_long);
  CHECK(lines[1].text.empty());
  CHECK(lines[2].text == "next");
}

TEST_CASE("Lines come as soon as they are complete") {
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  REQUIRE(write(ends[1], "one\ntwo\nth", 10) == 10);
  LineReader reader(ends[0]);
  CHECK(reader.read().size() == 2);
  REQUIRE(write(ends[1], "ree\n", 4) == 4);
  const std::vector<InputLine> lines = reader.read();
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].text == "three");
  close(ends[1]);
  CHECK(reader.read().empty());
  close(ends[0]);
}

TEST_CASE("An input that cannot be read is an error") {
  LineReader reader(-1);
  CHECK_THROWS_AS(reader.read(), std::system_error);
}
