// WHERE clauses that are put together from what a query asks for.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "codewake/records.hpp"
#include "codewake/time.hpp"
#include "connection.hpp"

namespace codewake::internal {

/// Parts that must all be true, and what is bound to their question marks. Must outlive the query it is bound
/// to.
class Condition {
 public:
  using Parameter = std::variant<Id, double, std::string>;

  template <class... Parameters>
  void add(std::string_view sql, Parameters&&... parameters) {
    if (!sql_.empty()) sql_ += " AND ";
    sql_ += sql;
    (parameters_.emplace_back(std::forward<Parameters>(parameters)), ...);
  }

  bool empty() const noexcept { return sql_.empty(); }
  /// Never empty.
  std::string sql() const { return sql_.empty() ? "TRUE" : sql_; }

  void bind_to(Query& query) const {
    for (const Parameter& parameter : parameters_) {
      std::visit([&](const auto& value) { query.bind(value); }, parameter);
    }
  }

 private:
  std::string sql_;
  std::vector<Parameter> parameters_;
};

/// Times are read rounded to microseconds, so the least stored value that is read as `time` or later is half
/// of one less.
inline double rounds_up_to(Time time) {
  return to_unix_seconds(time) - 0.5e-6;
}

/// Adds the times of a query of rows `e` that have a when_ts.
template <class AnyQuery>
void add_times(Condition& condition, const AnyQuery& query) {
  if (query.from) condition.add("e.when_ts >= ?", rounds_up_to(*query.from));
  if (query.to) condition.add("e.when_ts < ?", rounds_up_to(*query.to));
}

}  // namespace codewake::internal
