#include "codewake/attributes.hpp"

#include <algorithm>
#include <charconv>

namespace codewake {
namespace {

template <class Number>
std::string_view write_number(std::span<char, Value::kMaxNumberLength> buffer, Number number) noexcept {
  // The buffer holds the longest of them all, the 24 characters of -2.2250738585072014e-308, so there is no
  // error to look at.
  const auto result = std::to_chars(buffer.data(), buffer.data() + buffer.size(), number);
  return {buffer.data(), static_cast<std::size_t>(result.ptr - buffer.data())};
}

}  // namespace

std::string_view Value::to_text(std::span<char, kMaxNumberLength> buffer) const noexcept {
  switch (kind_) {
    case Kind::null:
      return {};
    case Kind::text:
      return borrowed_text();
    case Kind::character:
      buffer[0] = data_.character;
      return {buffer.data(), 1};
    case Kind::boolean:
      return data_.boolean ? "true" : "false";
    case Kind::signed_integer:
      return write_number(buffer, data_.signed_integer);
    case Kind::unsigned_integer:
      return write_number(buffer, data_.unsigned_integer);
    case Kind::float32:
      return write_number(buffer, data_.float32);
    case Kind::float64:
      return write_number(buffer, data_.float64);
  }
  return {};
}

Attributes& Attributes::set(std::string_view key, Value value) {
  const auto has_key = [&](const Attribute& item) { return item.key == key; };
  const auto first = std::find_if(items_.begin(), items_.end(), has_key);
  if (first == items_.end()) return add(key, value);
  Attribute replacement(
      AttributeArgument(key, value));  // made first: key and value may point into this very list
  items_.erase(std::remove_if(first + 1, items_.end(), has_key), items_.end());
  *first = std::move(replacement);
  return *this;
}

std::size_t Attributes::erase(std::string_view key) {
  return std::erase_if(items_, [&](const Attribute& item) { return item.key == key; });
}

const Attribute* Attributes::find(std::string_view key) const noexcept {
  const auto found =
      std::find_if(items_.begin(), items_.end(), [&](const Attribute& item) { return item.key == key; });
  return found == items_.end() ? nullptr : &*found;
}

}  // namespace codewake
