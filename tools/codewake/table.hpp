// Tables of aligned text: fitted to a terminal's width, complete where nobody looks at a terminal.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "output.hpp"

namespace codewake::cli {

/// Text of one style within a cell.
struct Span {
  std::string text;
  Style style = Style::plain;
};

/// What stands in one row of one column.
class Cell {
 public:
  Cell() = default;
  /// One piece of text, made visible.
  Cell(std::string_view text, Style style = Style::plain);

  /// Adds text that is visible already.
  void append(std::string visible_text, Style style = Style::plain);

  const std::vector<Span>& spans() const noexcept { return spans_; }
  std::size_t width() const;

 private:
  std::vector<Span> spans_;
};

using Row = std::vector<Cell>;

struct Column {
  enum class Align { left, right };
  /// A flexible column is narrowed, and its text cut, where a terminal is too narrow for the whole table.
  enum class Fit { fixed, flexible };

  std::string title;
  Align align = Align::left;
  Fit fit = Fit::fixed;
};

/// Shares `available` columns out: `natural` widths where these fit, else the widest flexible ones lose
/// first, none below a width at which it can still be read. `gap` columns stand between two.
std::vector<std::size_t> fit_widths(const std::vector<Column>& columns, std::vector<std::size_t> natural,
                                    std::size_t available, std::size_t gap);

/// Writes rows under a header. The first rows are kept until the widths are known; later ones are written at
/// once, so a table of any length takes bounded memory. Where a later row needs more room, its columns grow
/// (on a terminal they are cut). Thread-bound.
class Table {
 public:
  Table(Output& output, std::vector<Column> columns);

  /// One cell for each column.
  void add(Row row);

  /// Writes what is left. Without it the first rows never appear.
  void finish();

 private:
  void settle();
  void write_row(const Row& row);
  void write_cell(const Cell& cell, std::size_t column);

  Output& output_;
  std::vector<Column> columns_;
  std::vector<std::size_t> widths_;
  std::vector<Row> waiting_;
  bool settled_ = false;
};

}  // namespace codewake::cli
