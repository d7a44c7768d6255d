#include "describe.hpp"

#include <fmt/format.h>

#include <string>
#include <string_view>

#include "codewake/attributes.hpp"
#include "codewake/frame.hpp"
#include "output.hpp"
#include "table.hpp"
#include "text.hpp"

namespace codewake::cli {

bool is_crash(const Attributes& data) {
  return text_of(data, "event") == "codewake.crash";
}

Cell describe_data(const Attributes& data) {
  Cell cell;
  bool first = true;
  for (const Attribute& attribute : data) {
    cell.append((first ? "" : " ") + quoted_where_needed(attribute.key, true), Style::key);
    cell.append("=");
    if (attribute.value) {
      cell.append(quoted_where_needed(*attribute.value));
    } else {
      cell.append("NULL", Style::dim);
    }
    first = false;
  }
  return cell;
}

std::string describe_place(const Frame& frame) {
  if (frame.lineno > 0) return fmt::format("{}:{}", frame.filename, frame.lineno);
  const std::string& module = frame.module.empty() ? frame.filename : frame.module;
  return frame.src.empty() ? fmt::format("{} +{:#x}", module, frame.offset)
                           : fmt::format("{} {}", module, frame.src);
}

std::string describe_frame(const Frame& frame) {
  if (frame.function.empty()) return describe_place(frame);
  return fmt::format("{} at {}", frame.function, describe_place(frame));
}

std::string_view text_of(const Attributes& data, std::string_view key) {
  const Attribute* const attribute = data.find(key);
  return attribute != nullptr && attribute->value ? std::string_view(*attribute->value) : std::string_view();
}

}  // namespace codewake::cli
