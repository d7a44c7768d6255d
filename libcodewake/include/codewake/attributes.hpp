// Attributes: what an event says, as keys and values. Order is kept and keys may repeat.
//
// Three forms of the same thing, from the outside in:
//   AttributeArgument  what a caller writes: `{"amount", 12.5}`; typed and borrowed
//   AttributeView      key and text, borrowed: what a store is given to write
//   Attribute          key and text, owned: what a store reads back, and what `Attributes` holds
// A value is text or NULL everywhere but in the caller's hands: numbers become text by std::to_chars (the
// shortest that reads back the same), bools `true` and `false`.
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <ranges>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "codewake/export.hpp"

namespace codewake {

/// A value as a caller passes it. Borrows text: valid as long as what it was made from. Trivially copied.
class Value {
 public:
  enum class Kind : std::uint8_t {
    null,
    text,
    character,
    boolean,
    signed_integer,
    unsigned_integer,
    float32,
    float64
  };

  /// Room enough for any value that is not text.
  static constexpr std::size_t kMaxNumberLength = 32;

  constexpr Value(std::nullptr_t) noexcept {}
  constexpr Value(std::nullopt_t) noexcept {}
  constexpr Value(std::string_view text) noexcept : size_(text.size()), kind_(Kind::text) {
    data_.text = text.data();
  }
  /// NULL where `text` is a null pointer.
  constexpr Value(const char* text) noexcept
      : Value(text == nullptr ? Value(nullptr) : Value(std::string_view(text))) {}
  Value(const std::string& text) noexcept : Value(std::string_view(text)) {}
  Value(std::u8string_view text) noexcept
      : Value(std::string_view(reinterpret_cast<const char*>(text.data()), text.size())) {}
  Value(const char8_t* text) noexcept : Value(reinterpret_cast<const char*>(text)) {}
  constexpr Value(std::same_as<char> auto character) noexcept : size_(1), kind_(Kind::character) {
    data_.character = character;
  }
  constexpr Value(std::same_as<bool> auto boolean) noexcept : kind_(Kind::boolean) {
    data_.boolean = boolean;
  }
  template <std::signed_integral I>
  requires(!std::same_as<I, char> && sizeof(I) <= 8) constexpr Value(I number) noexcept
      : kind_(Kind::signed_integer) {
    data_.signed_integer = number;
  }
  template <std::unsigned_integral I>
  requires(!std::same_as<I, bool> && !std::same_as<I, char> &&
           sizeof(I) <= 8) constexpr Value(I number) noexcept
      : kind_(Kind::unsigned_integer) {
    data_.unsigned_integer = number;
  }
  constexpr Value(float number) noexcept : kind_(Kind::float32) { data_.float32 = number; }
  constexpr Value(double number) noexcept : kind_(Kind::float64) { data_.float64 = number; }
  /// Written with the precision of double.
  constexpr Value(long double number) noexcept : Value(static_cast<double>(number)) {}
  template <class T>
  requires std::constructible_from<Value, const T&>
  constexpr Value(const std::optional<T>& value) noexcept : Value(value ? Value(*value) : Value(nullptr)) {}

  constexpr Kind kind() const noexcept { return kind_; }
  constexpr bool is_null() const noexcept { return kind_ == Kind::null; }

  /// The text, for Kind::text only: what the value borrows, without a copy.
  constexpr std::string_view borrowed_text() const noexcept { return {data_.text, size_}; }

  /// What is neither text nor NULL, as 8 bytes: an integer as it is, a floating point number's bits, a
  /// character or bool as its number. `from_bits` makes the same value of them again.
  constexpr std::uint64_t bits() const noexcept {
    switch (kind_) {
      case Kind::boolean:
        return data_.boolean ? 1 : 0;
      case Kind::character:
        return static_cast<unsigned char>(data_.character);
      case Kind::float32:
        return std::bit_cast<std::uint32_t>(data_.float32);
      case Kind::float64:
        return std::bit_cast<std::uint64_t>(data_.float64);
      case Kind::signed_integer:
        return static_cast<std::uint64_t>(data_.signed_integer);
      default:
        return data_.unsigned_integer;
    }
  }

  /// NULL where `kind` is text or NULL.
  static constexpr Value from_bits(Kind kind, std::uint64_t bits) noexcept {
    switch (kind) {
      case Kind::boolean:
        return Value(bits != 0);
      case Kind::character:
        return Value(static_cast<char>(static_cast<unsigned char>(bits)));
      case Kind::float32:
        return Value(std::bit_cast<float>(static_cast<std::uint32_t>(bits)));
      case Kind::float64:
        return Value(std::bit_cast<double>(bits));
      case Kind::signed_integer:
        return Value(static_cast<std::int64_t>(bits));
      case Kind::unsigned_integer:
        return Value(bits);
      default:
        return Value(nullptr);
    }
  }

  /// The value as text: the borrowed text itself, or the number written into `buffer`. Empty for NULL too:
  /// ask is_null(). No allocation, no locale.
  CODEWAKE_API std::string_view to_text(std::span<char, kMaxNumberLength> buffer) const noexcept;

 private:
  union Data {
    const char* text = nullptr;
    std::int64_t signed_integer;
    std::uint64_t unsigned_integer;
    double float64;
    float float32;
    char character;
    bool boolean;
  } data_{};
  std::size_t size_ = 0;
  Kind kind_ = Kind::null;
};

/// One attribute as a caller writes it: `{"customer", customer}`. Borrows both parts.
struct AttributeArgument {
  std::string_view key;
  Value value;

  constexpr AttributeArgument(std::string_view k, Value v) noexcept : key(k), value(v) {}
};

/// One attribute as a store is given it: UTF-8 without NUL bytes, borrowed for the call.
struct AttributeView {
  std::string_view key;
  std::optional<std::string_view> value;

  bool operator==(const AttributeView&) const = default;
};

/// One attribute as a store gives it back.
struct Attribute {
  std::string key;
  std::optional<std::string> value;

  Attribute() = default;
  Attribute(std::string k, std::optional<std::string> v) : key(std::move(k)), value(std::move(v)) {}
  explicit Attribute(const AttributeArgument& argument) : key(argument.key) {
    if (argument.value.is_null()) return;
    char buffer[Value::kMaxNumberLength];
    value.emplace(argument.value.to_text(buffer));
  }

  /// Borrows; valid as long as this attribute is not changed.
  AttributeView view() const noexcept {
    return {key, value ? std::optional<std::string_view>(*value) : std::nullopt};
  }

  bool operator==(const Attribute&) const = default;
};

/// Anything to iterate over whose elements are key and value pairs: std::map, a vector of pairs, …
template <class R>
concept AttributeRange = std::ranges::input_range<const R> &&
    requires(std::ranges::range_reference_t<const R> element) {
  { element.first } -> std::convertible_to<std::string_view>;
  requires std::constructible_from<Value, decltype(element.second)>;
};

/// A list of attributes of one's own. Reentrant.
class Attributes {
 public:
  using const_iterator = std::vector<Attribute>::const_iterator;

  Attributes() = default;
  Attributes(std::initializer_list<AttributeArgument> arguments)
      : Attributes(std::span(arguments.begin(), arguments.size())) {}
  explicit Attributes(std::span<const AttributeArgument> arguments) {
    items_.reserve(arguments.size());
    for (const AttributeArgument& argument : arguments) items_.emplace_back(argument);
  }
  explicit Attributes(std::vector<Attribute> items) noexcept : items_(std::move(items)) {}
  template <AttributeRange R>
  requires(!std::same_as<R, Attributes>) Attributes(const R& range) {
    for (const auto& element : range) add(element.first, element.second);
  }

  /// Adds one more at the end, whether or not the key is there already. Returns itself.
  Attributes& add(std::string_view key, Value value) {
    items_.emplace_back(AttributeArgument(key, value));
    return *this;
  }

  /// Gives the first attribute of this key the value, and removes further ones; adds it where there is none.
  CODEWAKE_API Attributes& set(std::string_view key, Value value);

  /// Removes every attribute of this key; the result is their number.
  CODEWAKE_API std::size_t erase(std::string_view key);

  /// The first attribute of this key, or a null pointer. Valid until the list changes.
  CODEWAKE_API const Attribute* find(std::string_view key) const noexcept;

  bool empty() const noexcept { return items_.empty(); }
  std::size_t size() const noexcept { return items_.size(); }
  const Attribute& operator[](std::size_t index) const noexcept { return items_[index]; }
  const_iterator begin() const noexcept { return items_.begin(); }
  const_iterator end() const noexcept { return items_.end(); }

  bool operator==(const Attributes&) const = default;

 private:
  std::vector<Attribute> items_;
};

}  // namespace codewake
