// What is bound to the $1, $2, … of a statement.
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

 private:
  friend class Arguments;

  Type element_;
  std::int32_t size_ = 0;
  bool has_null_ = false;
  std::string elements_;
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

  void add(std::integral auto number) { add_integer(static_cast<std::int64_t>(number)); }
  void add(double number);
  void add(std::string_view text);
  void add(const std::string& text) { add(std::string_view(text)); }
  void add(const char* text) { add(std::string_view(text)); }
  void add(const Array& array);
  template <class T>
  void add(const std::optional<T>& value) {
    if (value) {
      add(*value);
    } else {
      add_null(value);
    }
  }

  int size() const noexcept { return static_cast<int>(types_.size()); }
  const unsigned* types() const noexcept { return types_.data(); }
  const int* lengths() const noexcept { return lengths_.data(); }
  /// All are binary.
  const int* formats() const noexcept { return formats_.data(); }
  /// Valid until something is added.
  std::vector<const char*> values() const;

 private:
  void add_integer(std::int64_t number);
  void add_null(const std::optional<std::string>&) { append(static_cast<unsigned>(Type::text), {}, true); }
  void add_null(const std::optional<std::string_view>&) {
    append(static_cast<unsigned>(Type::text), {}, true);
  }
  void add_null(const std::optional<std::int64_t>&) { append(static_cast<unsigned>(Type::int8), {}, true); }
  void append(unsigned type, std::string_view bytes, bool is_null = false);

  static constexpr std::size_t kNull = static_cast<std::size_t>(-1);

  std::vector<unsigned> types_;
  std::vector<int> lengths_;
  std::vector<int> formats_;
  std::vector<std::size_t> offsets_;
  std::string bytes_;
};

/// The ids as one argument.
Array to_array(std::span<const std::int64_t> ids);

}  // namespace codewake::internal
