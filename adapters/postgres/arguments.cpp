#include "arguments.hpp"

#include "wire.hpp"

namespace codewake::internal {
namespace {

/// The type of an array of these.
unsigned array_of(Type element) {
  switch (element) {
    case Type::bytea:
      return 1001;
    case Type::int8:
      return 1016;
    case Type::text:
      return 1009;
    case Type::float8:
      break;
  }
  return 1022;
}

std::string_view bytes_of(const Digest& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

}  // namespace

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
  add(bytes_of(digest));
}

void Array::add(std::nullptr_t) {
  ++size_;
  has_null_ = true;
  append_null(elements_);
}

void Arguments::add_integer(std::int64_t number) {
  std::string bytes;
  append_big_endian(bytes, static_cast<std::uint64_t>(number), 8);
  append(static_cast<unsigned>(Type::int8), bytes);
}

void Arguments::add(double number) {
  std::string bytes;
  append_big_endian(bytes, std::bit_cast<std::uint64_t>(number), 8);
  append(static_cast<unsigned>(Type::float8), bytes);
}

void Arguments::add(std::string_view text) {
  append(static_cast<unsigned>(Type::text), text);
}

void Arguments::add(const Array& array) {
  std::string bytes;
  bytes.reserve(array.elements_.size() + 20);
  append_int32(bytes, array.size_ == 0 ? 0 : 1);  // dimensions
  append_int32(bytes, array.has_null_ ? 1 : 0);
  append_int32(bytes, static_cast<std::int32_t>(array.element_));
  if (array.size_ > 0) {
    append_int32(bytes, array.size_);
    append_int32(bytes, 1);  // the first index
  }
  bytes += array.elements_;
  append(array_of(array.element_), bytes);
}

void Arguments::append(unsigned type, std::string_view bytes, bool is_null) {
  types_.push_back(type);
  lengths_.push_back(static_cast<int>(bytes.size()));
  formats_.push_back(1);
  offsets_.push_back(is_null ? kNull : bytes_.size());
  bytes_ += bytes;
}

std::vector<const char*> Arguments::values() const {
  std::vector<const char*> values;
  values.reserve(offsets_.size());
  for (const std::size_t offset : offsets_) {
    values.push_back(offset == kNull ? nullptr : bytes_.data() + offset);
  }
  return values;
}

Array to_array(std::span<const std::int64_t> ids) {
  Array array(Type::int8);
  for (const std::int64_t id : ids) array.add(id);
  return array;
}

}  // namespace codewake::internal
