// Values inside of trace events: anything that JSON can say.
#pragma once

#include <concepts>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "codewake/attributes.hpp"
#include "codewake/export.hpp"

namespace codewake {

/// A value as it is when it is passed: what happens to it later changes nothing of what is recorded. Numbers,
/// text, bools and NULL are borrowed, and cost nothing outside of a trace; whatever else nlohmann::json takes
/// (lists, maps, types with a to_json) is converted at once. Valid as long as what it was made from.
class TraceValue {
 public:
  TraceValue(std::nullptr_t = nullptr) noexcept {}
  template <class T>
  requires(!std::same_as<T, TraceValue> && !std::same_as<T, nlohmann::json> &&
           std::constructible_from<Value, const T&>) TraceValue(const T& value)
  noexcept : scalar_(value) {}
  template <class T>
  requires(!std::same_as<T, TraceValue> && !std::constructible_from<Value, const T&> &&
           std::constructible_from<nlohmann::json, const T&>) TraceValue(const T& value)
      : json_(value) {}
  TraceValue(nlohmann::json value) noexcept : json_(std::move(value)) {}
  /// As nlohmann::json has it: a list of pairs that begin with text is an object, any other an array.
  TraceValue(std::initializer_list<nlohmann::detail::json_ref<nlohmann::json>> list)
      : json_(nlohmann::json(list)) {}

  bool is_null() const noexcept { return json_ ? json_->is_null() : scalar_.is_null(); }

  /// Appends it as JSON. Text that is not UTF-8 has each bad sequence replaced by U+FFFD; NaN and the
  /// infinities are null.
  CODEWAKE_API void append_to(std::string& json) const;

 private:
  Value scalar_ = nullptr;
  std::optional<nlohmann::json> json_;
};

}  // namespace codewake
