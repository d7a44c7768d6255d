// What a statement answered.
#pragma once

#include <libpq-fe.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "codewake/digest.hpp"

namespace codewake::internal {

/// One row; valid as long as its Rows. Integers of any width are read, text and digests as they are.
class Row {
 public:
  Row(const PGresult* result, int row) : result_(result), row_(row) {}

  bool is_null(int column) const { return PQgetisnull(result_, row_, column) != 0; }
  /// 0 for NULL, as with the next two.
  std::int64_t integer(int column) const;
  /// An array of eight-byte integers without NULL.
  std::vector<std::int64_t> integers(int column) const;
  double real(int column) const;
  /// The bytes as they are; empty for NULL.
  std::string_view bytes(int column) const;
  /// Text, made fit (utf8.hpp).
  std::string text(int column) const;
  std::optional<std::string> optional_text(int column) const;
  std::optional<std::int64_t> optional_integer(int column) const;
  /// Empty for anything that is not 32 bytes.
  std::optional<Digest> digest(int column) const;

 private:
  const PGresult* result_;
  int row_;
};

/// All rows of one answer, in binary format; owns them. To be iterated over.
class Rows {
 public:
  Rows() = default;
  explicit Rows(PGresult* result) : result_(result) {}

  class Iterator {
   public:
    Iterator(const PGresult* result, int row) : result_(result), row_(row) {}
    Row operator*() const { return {result_, row_}; }
    Iterator& operator++() {
      ++row_;
      return *this;
    }
    bool operator!=(const Iterator& other) const { return row_ != other.row_; }

   private:
    const PGresult* result_;
    int row_;
  };

  int size() const { return result_ == nullptr ? 0 : PQntuples(result_.get()); }
  bool empty() const { return size() == 0; }
  Row front() const { return {result_.get(), 0}; }
  Iterator begin() const { return {result_.get(), 0}; }
  Iterator end() const { return {result_.get(), size()}; }
  /// What was done, such as `COMMIT` or `INSERT 0 1`.
  std::string_view command() const { return result_ == nullptr ? "" : PQcmdStatus(result_.get()); }

 private:
  struct Clear {
    void operator()(PGresult* result) const noexcept { PQclear(result); }
  };

  std::unique_ptr<PGresult, Clear> result_;
};

}  // namespace codewake::internal
