#include "table.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "output.hpp"
#include "support/temporary_folder.hpp"

using codewake::cli::Cell;
using codewake::cli::Column;
using codewake::cli::fit_widths;
using codewake::cli::Output;
using codewake::cli::Row;
using codewake::cli::Style;
using codewake::cli::Table;
using codewake::testing::read_file;
using codewake::testing::TemporaryFolder;

namespace {

/// What `write` writes where the output is a file.
std::string written_to_a_file(const std::function<void(Output&)>& write) {
  const TemporaryFolder folder;
  const int file = open((folder / "out").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  REQUIRE(file >= 0);
  Output output(file);
  write(output);
  output.flush();
  close(file);
  return read_file(folder / "out");
}

Row row(std::string_view id, std::string_view name, std::string_view data) {
  return {Cell(id), Cell(name), Cell(data)};
}

const std::vector<Column> kColumns = {{"ID", Column::Align::right},
                                      {"NAME", Column::Align::left, Column::Fit::flexible},
                                      {"DATA", Column::Align::left, Column::Fit::flexible}};

}  // namespace

TEST_CASE("Columns are aligned, and nothing is padded behind the last text") {
  const std::string text = written_to_a_file([](Output& output) {
    Table table(output, kColumns);
    table.add(row("7", "apple", "a=1"));
    table.add(row("10", "fig", ""));
    table.add(row("100", "", ""));
    table.finish();
  });
  CHECK(text ==
        " ID  NAME   DATA\n"
        "  7  apple  a=1\n"
        " 10  fig\n"
        "100\n");
}

TEST_CASE("A table without rows is its header") {
  CHECK(written_to_a_file([](Output& output) { Table(output, kColumns).finish(); }) == "ID  NAME  DATA\n");
}

TEST_CASE("Where there is no terminal nothing is cut, however long the text and however late it comes") {
  const std::string long_text(100'000, 'x');
  const std::string text = written_to_a_file([&](Output& output) {
    Table table(output, kColumns);
    for (int i = 0; i < 5000; ++i) table.add(row("1", "short", "d"));
    table.add(row("1", long_text, "d"));
    table.finish();
  });
  CHECK(text.ends_with(" 1  " + long_text + "  d\n"));
}

TEST_CASE("A cell's text cannot break its line") {
  const std::string text = written_to_a_file([](Output& output) {
    Table table(output, {{.title = "A"}});
    table.add({Cell("x\ny\x1b[2J")});
    table.finish();
  });
  CHECK(text == "A\nx\\ny\\x1b[2J\n");
}

TEST_CASE("Lines for people have nothing that a terminal acts on, wherever they come from") {
  CHECK(written_to_a_file([](Output& output) {
          output.write("a\x1b[2J\n\tb\xff\n\n", Style::alarm);
          output.write("\xc3\xbc\xe2\x80\xae");
        }) == "a\\x1b[2J\n\\tb\\xff\n\n\xc3\xbc\\u202e");
  CHECK(written_to_a_file([](Output& output) { output.write_raw("a\x1b\t\n"); }) == "a\x1b\t\n");
}

TEST_CASE("Colours are written only where they are asked for, and always end") {
  const auto write = [](Output& output) { output.write("hot", Style::alarm); };
  CHECK(written_to_a_file(write) == "hot");
  CHECK(written_to_a_file([&](Output& output) {
          output.set_color(codewake::cli::ColorMode::always);
          write(output);
        }) == "\x1b[31mhot\x1b[0m");
}

TEST_CASE("Widths stay natural where they fit") {
  CHECK(fit_widths(kColumns, {3, 10, 20}, 37, 2) == std::vector<std::size_t>{3, 10, 20});
}

TEST_CASE("The widest flexible column is narrowed first, fixed ones never") {
  CHECK(fit_widths(kColumns, {3, 10, 20}, 36, 2) == std::vector<std::size_t>{3, 10, 19});
  CHECK(fit_widths(kColumns, {3, 10, 1'000'000}, 40, 2) == std::vector<std::size_t>{3, 10, 23});
  CHECK(fit_widths(kColumns, {3, 30, 30}, 40, 2) == std::vector<std::size_t>{3, 16, 17});
}

TEST_CASE("No column becomes too narrow to be read, even where the line is") {
  CHECK(fit_widths(kColumns, {3, 30, 30}, 10, 2) == std::vector<std::size_t>{3, 8, 8});
}
