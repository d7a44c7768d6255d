#include "codewake/records.hpp"

#include <string_view>

namespace codewake {
namespace {

// The value of the first key that there is.
std::optional<std::string> first_of(const Attributes& data, std::string_view key, std::string_view other) {
  const Attribute* const attribute = data.find(key);
  if (attribute != nullptr) return attribute->value;
  const Attribute* const instead = data.find(other);
  return instead == nullptr ? std::nullopt : instead->value;
}

}  // namespace

void ExceptionGroup::describe_by(const EventRecord& event) {
  type = first_of(event.data, "exception.type", "crash.signal");
  message = first_of(event.data, "exception.message", "crash.reason");
  if (event.frames.empty()) {
    top_frame.reset();
  } else {
    top_frame = event.frames.front();
  }
}

}  // namespace codewake
