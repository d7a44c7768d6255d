// Records as one line of text, to be printed by a child and compared by its parent.
#pragma once

#include <fmt/format.h>

#include <string>

#include "codewake/attributes.hpp"
#include "codewake/records.hpp"

namespace codewake::testing {

/// `event=order type=special nothing` and so on; a key alone is NULL.
inline std::string show(const Attributes& data) {
  std::string text;
  for (const Attribute& attribute : data) {
    if (!text.empty()) text += ' ';
    text += attribute.value ? fmt::format("{}={}", attribute.key, *attribute.value) : attribute.key;
  }
  return text;
}

/// The functions of the frames, innermost first, without their parameters.
inline std::string show_functions(const EventRecord& event) {
  std::string text;
  for (const Frame& frame : event.frames) text += frame.function.substr(0, frame.function.rfind('(')) + "\n";
  return text;
}

}  // namespace codewake::testing
