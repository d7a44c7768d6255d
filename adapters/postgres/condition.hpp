// WHERE clauses that are put together from what a query asks for.
#pragma once

#include <string>
#include <string_view>

#include "arguments.hpp"
#include "codewake/time.hpp"

namespace codewake::internal {

/// Parts that must all be true, and what their $1, $2, … are.
class Condition {
 public:
  /// Where a part needs a value, it stands in braces' place: `add("e.id < {}", bind(id))`.
  template <class Value>
  std::string bind(const Value& value) {
    arguments_.add(value);
    return "$" + std::to_string(arguments_.size());
  }

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
