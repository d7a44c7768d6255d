#include "arguments.hpp"

#include <fmt/format.h>

#include "wire.hpp"

namespace codewake::internal {

void Array::add(std::int64_t number) {
  ++size_;
  append_value(elements_, number);
}

void Array::add(double number) {
  ++size_;
  append_value(elements_, number);
}

void Array::add(std::string_view text) {
  ++size_;
  append_value(elements_, text);
}

void Array::add(const Digest& digest) {
  add(std::string_view(reinterpret_cast<const char*>(digest.data()), digest.size()));
}

void Array::add(std::nullptr_t) {
  ++size_;
  has_null_ = true;
  append_null(elements_);
}

std::string_view Array::sql_type() const noexcept {
  switch (element_) {
    case Type::bytea:
      return "bytea[]";
    case Type::int8:
      return "bigint[]";
    case Type::text:
      return "text[]";
    case Type::float8:
      break;
  }
  return "float8[]";
}

std::string Array::to_binary() const {
  constexpr std::size_t kHeader = 20;
  std::string bytes;
  bytes.reserve(kHeader + elements_.size());
  append_int32(bytes, size_ == 0 ? 0 : 1);  // dimensions
  append_int32(bytes, has_null_ ? 1 : 0);
  append_int32(bytes, static_cast<std::int32_t>(element_));
  if (size_ > 0) {
    append_int32(bytes, size_);
    append_int32(bytes, 1);  // the first index
  }
  return bytes += elements_;
}

// The shortest digits that are read as the same number.
void Arguments::add(double number) {
  all_.push_back({.bytes = fmt::format("{}", number)});
}

Array to_array(std::span<const std::int64_t> ids) {
  Array array(Type::int8);
  for (const std::int64_t id : ids) array.add(id);
  return array;
}

Array to_array(std::span<const std::string> texts) {
  Array array(Type::text);
  for (const std::string& text : texts) array.add(std::string_view(text));
  return array;
}

}  // namespace codewake::internal
