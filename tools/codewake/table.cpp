#include "table.hpp"

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "codewake/visible.hpp"
#include "output.hpp"
#include "text.hpp"

namespace codewake::cli {
namespace {

constexpr std::size_t kGap = 2;
constexpr std::size_t kMinFlexibleWidth = 8;
constexpr std::size_t kRowsThatDecideWidths = 1000;
constexpr std::string_view kEllipsis = "…";

std::size_t total_width(const std::vector<std::size_t>& widths, std::size_t gap) {
  std::size_t total = widths.empty() ? 0 : gap * (widths.size() - 1);
  for (const std::size_t width : widths) total += width;
  return total;
}

}  // namespace

Cell::Cell(std::string_view text, Style style) {
  append(visible(text), style);
}

void Cell::append(std::string visible_text, Style style) {
  if (!visible_text.empty()) spans_.push_back({std::move(visible_text), style});
}

std::size_t Cell::width() const {
  std::size_t width = 0;
  for (const Span& span : spans_) width += display_width(span.text);
  return width;
}

std::vector<std::size_t> fit_widths(const std::vector<Column>& columns, std::vector<std::size_t> natural,
                                    std::size_t available, std::size_t gap) {
  // No column needs more than the whole line; this also bounds the steps below.
  for (std::size_t& width : natural) width = std::min(width, available);
  while (total_width(natural, gap) > available) {
    std::size_t widest = columns.size();
    for (std::size_t i = 0; i < columns.size(); ++i) {
      if (columns[i].fit != Column::Fit::flexible || natural[i] <= kMinFlexibleWidth) continue;
      if (widest == columns.size() || natural[i] > natural[widest]) widest = i;
    }
    if (widest == columns.size()) break;
    --natural[widest];
  }
  return natural;
}

Table::Table(Output& output, std::vector<Column> columns) : output_(output), columns_(std::move(columns)) {}

void Table::add(Row row) {
  assert(row.size() == columns_.size());
  if (settled_) return write_row(row);
  waiting_.push_back(std::move(row));
  if (waiting_.size() == kRowsThatDecideWidths) settle();
}

void Table::finish() {
  if (!settled_) settle();
}

void Table::settle() {
  settled_ = true;
  Row header;
  for (const Column& column : columns_) {
    header.emplace_back(column.title, Style::heading);
    widths_.push_back(header.back().width());
  }
  for (const Row& row : waiting_) {
    for (std::size_t i = 0; i < row.size(); ++i) widths_[i] = std::max(widths_[i], row[i].width());
  }
  if (output_.width()) widths_ = fit_widths(columns_, widths_, *output_.width(), kGap);
  write_row(header);
  for (const Row& row : waiting_) write_row(row);
  waiting_.clear();
}

void Table::write_row(const Row& row) {
  std::size_t last = row.size();  // nothing is padded behind the last text of a line
  while (last > 1 && row[last - 1].spans().empty()) --last;
  for (std::size_t i = 0; i < last; ++i) {
    const std::size_t width = row[i].width();
    if (!output_.width()) widths_[i] = std::max(widths_[i], width);
    const std::string padding(widths_[i] > width ? widths_[i] - width : 0, ' ');
    if (i > 0) output_.write(std::string(kGap, ' '));
    if (columns_[i].align == Column::Align::right) output_.write(padding);
    write_cell(row[i], i);
    if (columns_[i].align == Column::Align::left && i + 1 < last) output_.write(padding);
  }
  output_.write("\n");
}

void Table::write_cell(const Cell& cell, std::size_t column) {
  const std::size_t width = cell.width();
  const bool cut = width > widths_[column];
  std::size_t room = cut ? std::max<std::size_t>(widths_[column], 1) - 1 : width;
  for (const Span& span : cell.spans()) {
    const std::string_view part = fitting_prefix(span.text, room);
    output_.write(part, span.style);
    room -= display_width(part);
    if (part.size() < span.text.size()) break;
  }
  if (!cut) return;
  output_.write(kEllipsis, Style::dim);
  output_.write(std::string(room, ' '));  // a wide character that did not fit leaves a column empty
}

}  // namespace codewake::cli
