#include "event_line.hpp"

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "codewake/attributes.hpp"

namespace codewake::cli {
namespace {

using nlohmann::json;

/// Takes the parser's steps one by one: a JSON object in memory would lose keys that repeat.
class EventLineReader : public json::json_sax_t {
 public:
  std::vector<Attribute> take() { return std::move(attributes_); }

  bool null() override { return add(nullptr); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(number_integer_t value) override { return add(value); }
  bool number_unsigned(number_unsigned_t value) override { return add(value); }
  bool number_float(number_float_t value, const string_t& as_written) override {
    const bool integer_beyond_64_bits = as_written.find_first_of(".eE") == string_t::npos;
    return integer_beyond_64_bits ? add(as_written) : add(value);
  }
  bool string(string_t& value) override {
    if (place_ != Place::in_pair || key_) return add(value);
    key_ = value;
    return true;
  }
  bool binary(binary_t&) override { return false; }  // JSON text has none

  bool start_object(std::size_t) override {
    if (place_ != Place::start) refuse_nested();
    place_ = Place::in_object;
    return true;
  }
  bool key(string_t& value) override {
    key_ = value;
    return true;
  }
  bool end_object() override { return true; }

  bool start_array(std::size_t) override {
    if (place_ == Place::start) {
      place_ = Place::in_list;
    } else if (place_ == Place::in_list) {
      place_ = Place::in_pair;
      key_.reset();
      pair_is_complete_ = false;
    } else {
      refuse_nested();
    }
    return true;
  }
  bool end_array() override {
    if (place_ == Place::in_pair && !pair_is_complete_) throw EventLineError(kNotAPair);
    place_ = Place::in_list;
    return true;
  }

  bool parse_error(std::size_t position, const std::string&, const json::exception&) override {
    throw EventLineError(fmt::format("not JSON: it breaks at character {}", position));
  }

 private:
  enum class Place { start, in_object, in_list, in_pair };

  static constexpr const char* kNotAPair = "a list must be of [\"key\", value] pairs";

  bool add(Value value) {
    if (place_ == Place::start)
      throw EventLineError("not an event; write {\"key\": value, …} or [[\"key\", value], …]");
    if (place_ == Place::in_list || !key_ || pair_is_complete_) throw EventLineError(kNotAPair);
    attributes_.emplace_back(AttributeArgument(*key_, value));
    pair_is_complete_ = place_ == Place::in_pair;
    return true;
  }

  [[noreturn]] void refuse_nested() const {
    if (!key_) throw EventLineError(kNotAPair);
    throw EventLineError(fmt::format("the value of '{}' is a list or an object; write it as text", *key_));
  }

  Place place_ = Place::start;
  std::optional<std::string> key_;
  bool pair_is_complete_ = false;
  std::vector<Attribute> attributes_;
};

}  // namespace

std::vector<Attribute> parse_event_line(std::string_view line) {
  EventLineReader reader;
  json::sax_parse(line.begin(), line.end(), &reader);
  return reader.take();
}

}  // namespace codewake::cli
