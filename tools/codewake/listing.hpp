// A list of records in the format that was asked for: a table for people, exact for machines.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "command.hpp"
#include "output.hpp"
#include "table.hpp"

namespace codewake::cli {

/// Keys stay in the order in which they were added.
using Json = nlohmann::ordered_json;

/// JSON on one line. Bytes that are not UTF-8, which JSON cannot hold, become U+FFFD.
std::string to_line(const Json& json);

/// Writes JSON and a line break. On a terminal the characters that it would act on, or that hide text, are
/// escaped as `\u202e`: still the same JSON. Less than two spaces of `indent` mean one line.
void write_json(Output& output, const Json& json, int indent = -1);

/// How a field of CSV is written.
struct CsvStyle {
  bool is_visible = false;  ///< for a terminal: text as of visible()
  /// For a spreadsheet: text in quotes, and an apostrophe before text that would be a formula, which begins
  /// with = + - @, a tab or a carriage return (OWASP, "CSV Injection").
  bool is_safe = false;
};

/// One value as a field of CSV (RFC 4180): text in quotes where it has to be, NULL as nothing, empty text as
/// `""`, lists and objects as JSON.
std::string csv_field(const Json& value, CsvStyle style = {});

/// Writes records one by one, keeping none: an array (json), one a line (ndjson, csv), or rows of a table.
/// Thread-bound.
class Listing {
 public:
  /// `fields`: the keys of every record, which are the columns of csv. `columns`: those of the table.
  Listing(Output& output, const CommonOptions& options, std::vector<Column> columns,
          std::vector<std::string> fields);

  /// Adds a record; of `row` and `record` that which the format needs is called.
  void add(const std::function<Row()>& row, const std::function<Json()>& record);

  /// Ends the list and flushes it. Without it the output is incomplete.
  void finish();

  /// How many were added.
  std::size_t size() const noexcept { return size_; }

 private:
  void write_csv(const Json& record);

  Output& output_;
  Format format_;
  CsvStyle csv_;
  Table table_;
  std::vector<std::string> fields_;
  std::size_t size_ = 0;
};

}  // namespace codewake::cli
