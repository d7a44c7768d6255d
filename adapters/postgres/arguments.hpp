// What is bound to the $1, $2, … of a statement. No types go along: the statement casts, `$1::bigint`.
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "codewake/digest.hpp"

namespace codewake::internal {

/// PostgreSQL's numbers for its types.
enum class Type : unsigned {
  bytea = 17,
  int8 = 20,
  text = 25,
  float8 = 701,
};

/// An array parameter: one value for each row of an unnest(). Reentrant.
class Array {
 public:
  explicit Array(Type element) : element_(element) {}

  void add(std::int64_t number);
  void add(double number);
  void add(std::string_view text);
  void add(const Digest& digest);
  void add(std::nullptr_t);
  template <class T>
  void add(const std::optional<T>& value) {
    if (value) {
      add(*value);
    } else {
      add(nullptr);
    }
  }

  std::int32_t size() const noexcept { return size_; }
  /// The SQL name of its type, such as `bigint[]`.
  std::string_view sql_type() const noexcept;
  /// In PostgreSQL's binary format.
  std::string to_binary() const;

 private:
  Type element_;
  std::int32_t size_ = 0;
  bool has_null_ = false;
  std::string elements_;
};

/// One of them, as it goes to the server.
struct Argument {
  std::string bytes = {};
  bool is_binary = false;  ///< in PostgreSQL's binary format, else as text
  bool is_null = false;
};

/// Owns all it was given. Reentrant.
class Arguments {
 public:
  Arguments() = default;
  template <class First, class... Rest>
  requires(!std::same_as<std::remove_cvref_t<First>, Arguments>) explicit Arguments(const First& first,
                                                                                    const Rest&... rest) {
    add(first);
    (add(rest), ...);
  }

  void add(std::integral auto number) { all_.push_back({.bytes = std::to_string(number)}); }
  void add(double number);
  /// Binary, so that the server refuses a zero byte in it, which would end text.
  void add(std::string_view text) { all_.push_back({.bytes = std::string(text), .is_binary = true}); }
  void add(const std::string& text) { add(std::string_view(text)); }
  void add(const char* text) { add(std::string_view(text)); }
  void add(const Array& array) { all_.push_back({.bytes = array.to_binary(), .is_binary = true}); }
  template <class T>
  void add(const std::optional<T>& value) {
    if (value) {
      add(*value);
    } else {
      all_.push_back({.is_null = true});
    }
  }

  std::size_t size() const noexcept { return all_.size(); }
  const std::vector<Argument>& all() const noexcept { return all_; }

 private:
  std::vector<Argument> all_;
};

/// The ids as one argument.
Array to_array(std::span<const std::int64_t> ids);
/// The texts as one argument.
Array to_array(std::span<const std::string> texts);

}  // namespace codewake::internal
