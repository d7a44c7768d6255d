#include "listing.hpp"

#include <cstddef>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "command.hpp"
#include "output.hpp"
#include "table.hpp"

namespace codewake::cli {
namespace {

constexpr std::string_view kCsvLineEnd = "\r\n";

std::string csv_text(std::string_view text) {
  if (!text.empty() && text.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(text);
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"') result += '"';
    result += c;
  }
  result += '"';
  return result;
}

}  // namespace

std::string to_line(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string csv_field(const Json& value) {
  if (value.is_null()) return {};
  if (value.is_string()) return csv_text(value.get_ref<const std::string&>());
  return csv_text(to_line(value));
}

Listing::Listing(Output& output, Format format, std::vector<Column> columns, std::vector<std::string> fields)
    : output_(output), format_(format), table_(output, std::move(columns)), fields_(std::move(fields)) {}

void Listing::add(const std::function<Row()>& row, const std::function<Json()>& record) {
  const bool first = size_++ == 0;
  switch (format_) {
    case Format::table:
      table_.add(row());
      break;
    case Format::json:
      output_.write(first ? "[\n  " : ",\n  ");
      output_.write(to_line(record()));
      break;
    case Format::ndjson:
      output_.write(to_line(record()));
      output_.write("\n");
      break;
    case Format::csv:
      if (first) write_csv(nullptr);
      write_csv(record());
      break;
  }
}

void Listing::finish() {
  switch (format_) {
    case Format::table:
      table_.finish();
      break;
    case Format::json:
      output_.write(size_ == 0 ? "[]\n" : "\n]\n");
      break;
    case Format::ndjson:
      break;
    case Format::csv:
      if (size_ == 0) write_csv(nullptr);
      break;
  }
  output_.flush();
}

/// Null writes the header.
void Listing::write_csv(const Json& record) {
  for (std::size_t i = 0; i < fields_.size(); ++i) {
    if (i > 0) output_.write(",");
    output_.write(record.is_null() ? csv_text(fields_[i]) : csv_field(record.at(fields_[i])));
  }
  output_.write(kCsvLineEnd);
}

}  // namespace codewake::cli
