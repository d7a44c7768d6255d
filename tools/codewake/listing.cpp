#include "listing.hpp"

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "codewake/utf8.hpp"
#include "codewake/visible.hpp"
#include "command.hpp"
#include "output.hpp"
#include "table.hpp"

namespace codewake::cli {
namespace {

constexpr std::string_view kCsvLineEnd = "\r\n";

bool is_formula(std::string_view text) {
  return !text.empty() && std::string_view("=+-@\t\r").find(text.front()) != std::string_view::npos;
}

std::string csv_text(std::string_view text, CsvStyle style) {
  if (style.is_visible && visible(text) != text) return csv_text(visible(text), {.is_safe = style.is_safe});
  const bool needs_quotes =
      style.is_safe || text.empty() || text.find_first_of(",\"\r\n") != std::string_view::npos;
  if (!needs_quotes) return std::string(text);
  std::string result = style.is_safe && is_formula(text) ? "\"'" : "\"";
  for (const char c : text) {
    if (c == '"') result += '"';
    result += c;
  }
  result += '"';
  return result;
}

/// The same JSON, in which a terminal finds nothing to act on. What it would act on stands in strings alone,
/// but for the line breaks between values.
std::string escaped_for_terminal(std::string_view json) {
  std::string result;
  const auto append = [&result](std::uint32_t unit) {
    fmt::format_to(std::back_inserter(result), "\\u{:04x}", unit);
  };
  while (!json.empty()) {
    const Utf8Character c = decode_utf8(json);
    if (c.code_point == '\n' || (c.is_valid && is_visible(c.code_point))) {
      result += json.substr(0, c.size_bytes);
    } else if (c.code_point <= 0xFFFF) {
      append(c.code_point);
    } else {
      append(0xD800 + ((c.code_point - 0x10000) >> 10));
      append(0xDC00 + ((c.code_point - 0x10000) & 0x3FF));
    }
    json.remove_prefix(c.size_bytes);
  }
  return result;
}

std::string json_text(const Output& output, const Json& json, int indent) {
  const std::string text = json.dump(indent, ' ', false, Json::error_handler_t::replace);
  return output.is_terminal() ? escaped_for_terminal(text) : text;
}

}  // namespace

std::string to_line(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

void write_json(Output& output, const Json& json, int indent) {
  output.write_raw(json_text(output, json, indent));
  output.write_raw("\n");
}

std::string csv_field(const Json& value, CsvStyle style) {
  if (value.is_null()) return {};
  if (value.is_string()) return csv_text(value.get_ref<const std::string&>(), style);
  if (value.is_primitive()) return to_line(value);
  return csv_text(to_line(value), style);
}

Listing::Listing(Output& output, const CommonOptions& options, std::vector<Column> columns,
                 std::vector<std::string> fields)
    : output_(output),
      format_(options.format),
      csv_{.is_visible = output.is_terminal(), .is_safe = options.csv_safe},
      table_(output, std::move(columns)),
      fields_(std::move(fields)) {}

void Listing::add(const std::function<Row()>& row, const std::function<Json()>& record) {
  const bool first = size_++ == 0;
  switch (format_) {
    case Format::table:
      table_.add(row());
      break;
    case Format::json:
      output_.write(first ? "[\n  " : ",\n  ");
      output_.write_raw(json_text(output_, record(), -1));
      break;
    case Format::ndjson:
      write_json(output_, record());
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
    output_.write_raw(record.is_null() ? csv_text(fields_[i], csv_) : csv_field(record.at(fields_[i]), csv_));
  }
  output_.write_raw(kCsvLineEnd);
}

}  // namespace codewake::cli
