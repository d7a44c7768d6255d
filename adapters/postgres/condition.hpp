// WHERE clauses that are put together from what a query asks for.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "arguments.hpp"
#include "codewake/time.hpp"

namespace codewake::internal {

/// Parts that must all be true, and what their $1, $2, … are.
class Condition {
 public:
  /// What stands for the value in a part, with its type: `$1::bigint`.
  std::string bind(std::int64_t number) { return bind(number, "bigint"); }
  std::string bind(double number) { return bind(number, "float8"); }
  std::string bind(const std::string& text) { return bind(text, "text"); }
  std::string bind(const Array& array) { return bind(array, array.sql_type()); }

  void add(std::string_view sql) {
    if (!sql_.empty()) sql_ += " AND ";
    sql_ += sql;
  }

  /// What is added to it goes into a statement together with this one.
  Condition with_arguments_only() const {
    Condition condition;
    condition.arguments_ = arguments_;
    return condition;
  }

  /// Never empty.
  std::string sql() const { return sql_.empty() ? "TRUE" : sql_; }
  const Arguments& arguments() const noexcept { return arguments_; }

 private:
  template <class Value>
  std::string bind(const Value& value, std::string_view type) {
    arguments_.add(value);
    return fmt::format("${}::{}", arguments_.size(), type);
  }

  std::string sql_;
  Arguments arguments_;
};

/// Times are read rounded to microseconds, so the least stored value that is read as `time` or later is half
/// of one less.
inline double rounds_up_to(Time time) {
  return to_unix_seconds(time) - 0.5e-6;
}

/// Adds the times of a query of rows `e` that have a when_ts.
template <class AnyQuery>
void add_times(Condition& condition, const AnyQuery& query) {
  if (query.from) condition.add("e.when_ts >= " + condition.bind(rounds_up_to(*query.from)));
  if (query.to) condition.add("e.when_ts < " + condition.bind(rounds_up_to(*query.to)));
}

}  // namespace codewake::internal
