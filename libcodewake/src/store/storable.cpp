#include "store/storable.hpp"

#include <utility>

#include "codewake/utf8.hpp"

namespace codewake::internal {
namespace {

void make_storable(std::string& text) {
  if (!is_storable(text)) text = codewake::to_storable(text);
}

void make_storable(std::optional<std::string>& text) {
  if (text) make_storable(*text);
}

}  // namespace

StorableAttributes::StorableAttributes(std::span<const AttributeArgument> arguments) {
  views_.reserve(arguments.size());
  for (const AttributeArgument& argument : arguments) {
    AttributeView& view = views_.emplace_back();
    view.key = fit(argument.key);
    if (argument.value.kind() == Value::Kind::text) {
      view.value = fit(argument.value.borrowed_text());
    } else if (!argument.value.is_null()) {
      char buffer[Value::kMaxNumberLength];
      // A character may be anything, so this goes the same way as text.
      view.value = held_.emplace_back(codewake::to_storable(argument.value.to_text(buffer)));
    }
  }
}

std::string_view StorableAttributes::fit(std::string_view text) {
  if (is_storable(text)) return text;
  return held_.emplace_back(codewake::to_storable(text));
}

ProcessInfo to_storable(ProcessInfo info) {
  make_storable(info.app_name);
  for (auto* text : {&info.app_vsn, &info.env_name, &info.username, &info.fqdn, &info.exe_path})
    make_storable(*text);
  return info;
}

}  // namespace codewake::internal
