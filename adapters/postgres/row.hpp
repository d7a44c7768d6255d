// What stands in a row of an answer of libpqxx, which has everything as text.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "codewake/digest.hpp"
#include "pqxx_face.hpp"

namespace codewake::internal {

/// One row. Keeps the answer that it is of.
class Row {
 public:
  Row(const pqxx::row& row) : row_(row) {}  // NOLINT(google-explicit-constructor): for (const Row row : …)

  bool is_null(int column) const { return field(column).is_null(); }
  /// 0 for NULL, as with the next one.
  std::int64_t integer(int column) const;
  double real(int column) const;
  /// As it is; empty for NULL.
  std::string_view bytes(int column) const;
  /// Valid UTF-8 without zero bytes (utf8.hpp).
  std::string text(int column) const;
  std::optional<std::string> optional_text(int column) const;
  std::optional<std::int64_t> optional_integer(int column) const;
  /// Of a column that is selected as encode(…, 'hex'). Empty for anything that is not 32
  /// bytes.
  std::optional<Digest> digest(int column) const;

 private:
  pqxx::field field(int column) const { return row_[static_cast<pqxx::row::size_type>(column)]; }

  pqxx::row row_;
};

}  // namespace codewake::internal
