#include "config/setting.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <span>
#include <type_traits>

#include "config/masked.hpp"
#include "config/units.hpp"

namespace codewake::internal {
namespace {

using Form = Written::Form;

// The names of an enumeration's values, in their order.
constexpr std::array<std::string_view, 2> kWhenFullNames = {"drop_newest", "block"};
constexpr std::array<std::string_view, 2> kDurabilityNames = {"process", "machine"};
std::span<const std::string_view> names_of(WhenFull) {
  return kWhenFullNames;
}
std::span<const std::string_view> names_of(Durability) {
  return kDurabilityNames;
}

constexpr std::array<std::string_view, 3> kTrue = {"true", "True", "TRUE"};
constexpr std::array<std::string_view, 3> kFalse = {"false", "False", "FALSE"};

bool is_one_of(std::span<const std::string_view> words, std::string_view text) {
  return std::ranges::find(words, text) != words.end();
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view blank = " \t\r\n";
  const std::size_t begin = text.find_first_not_of(blank);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(blank) + 1 - begin);
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const std::size_t end = std::min(text.find(separator), text.size());
    parts.push_back(text.substr(0, end));
    if (end == text.size()) return parts;
    text.remove_prefix(end + 1);
  }
}

std::string replaced(std::string_view text, std::string_view from, std::string_view to) {
  std::string result;
  for (std::size_t at; (at = text.find(from)) != std::string_view::npos;
       text.remove_prefix(at + from.size())) {
    result.append(text.substr(0, at)).append(to);
  }
  return result.append(text);
}

// Reads one value that was written into the settings of each kind.
class Assigner {
 public:
  Assigner(const Setting& setting, const Written& written) : setting_(setting), written_(written) {}

  void operator()(const Flag& flag) const {
    if (written_.form == Form::quoted) fail("is in quotes");
    const std::size_t spellings = written_.form == Form::variable ? 1 : kTrue.size();
    const bool on = is_one_of(std::span(kTrue).first(spellings), scalar());
    if (!on && !is_one_of(std::span(kFalse).first(spellings), scalar())) fail("is not a boolean");
    *flag.value = on;
  }

  void operator()(const Count& count) const {
    if (written_.form == Form::quoted) fail("is in quotes");
    *count.value = in_bounds(count, parse_count(scalar()), "is not a whole number");
  }

  void operator()(const Size& size) const {
    *size.value = in_bounds(size, parse_size(scalar()), "is not a size");
  }

  void operator()(const Duration& duration) const {
    *duration.value = in_bounds(duration, parse_duration(scalar()), "is not a duration");
  }

  void operator()(const Text& text) const { assign_text(*text.value); }
  void operator()(const Secret& secret) const { assign_text(*secret.value); }

  template <class Enum>
  void operator()(const Choice<Enum>& choice) const {
    const std::span<const std::string_view> names = names_of(Enum());
    const auto found = std::ranges::find(names, std::string_view(scalar()));
    if (found == names.end()) fail("is none of the choices");
    *choice.value = static_cast<Enum>(found - names.begin());
  }

  void operator()(const Adapter& adapter) const {
    Config::Store& store = *adapter.value;
    const std::string_view text = trimmed(scalar());
    if (text.empty()) {
      store.adapter.reset();
      store.module.clear();
      store.class_name.clear();
      return;
    }
    const std::vector<std::string_view> parts = split(text, ',');
    if (parts.size() == 1) fail("has no comma");
    if (parts.size() > 2) fail("has more than one comma");
    store.module = trimmed(parts[0]);
    store.class_name = trimmed(parts[1]);
    if (store.module.empty()) fail("has no module before the comma");
    if (store.class_name.empty()) fail("has no class after the comma");
    store.adapter = store.module + "," + store.class_name;
  }

  void operator()(const Parameters& parameters) const {
    std::vector<std::string> values = written_.items;
    if (written_.form != Form::list && !trimmed(written_.text).empty()) {
      for (const std::string_view part : split(written_.text, ',')) {
        values.push_back(replaced(replaced(trimmed(part), "%2C", ","), "%2c", ","));
      }
    }
    if (is_any_empty(values)) fail("has an empty parameter");
    *parameters.value = std::move(values);
  }

  // An empty name in a variable is what `VARIABLE=$VARIABLE:/more` leaves where nothing was set: it means
  // nothing.
  void operator()(const Folders& folders) const {
    std::vector<std::filesystem::path> paths;
    if (written_.form == Form::variable) {
      for (const std::string_view part : split(written_.text, ':')) {
        if (!part.empty()) paths.emplace_back(part);
      }
    } else {
      if (written_.form != Form::list) fail("does not fit");
      if (is_any_empty(written_.items)) fail("has an empty name");
      paths.assign(written_.items.begin(), written_.items.end());
    }
    folders.value->insert(folders.value->begin(), paths.begin(), paths.end());
  }

 private:
  [[noreturn]] void fail(std::string_view problem) const {
    const bool is_secret = std::holds_alternative<Secret>(setting_);
    const std::string subject = written_.form == Form::list ? "the list"
                                : is_secret                 ? "the value"
                                                            : shown(written_.text);
    throw ConfigError(written_.place, fmt::format("{} {}; write {}", subject, problem, expected(setting_)));
  }

  const std::string& scalar() const {
    if (written_.form == Form::list) fail("does not fit");
    return written_.text;
  }

  static bool is_any_empty(const std::vector<std::string>& items) {
    return std::ranges::any_of(items, [](const std::string& item) { return trimmed(item).empty(); });
  }

  // Compares as the type that was parsed, in which too much is the largest value.
  template <class Kind, class Number>
  Number in_bounds(const Kind& kind, const std::optional<Number>& number, std::string_view problem) const {
    if (!number) fail(problem);
    if (*number < Number(kind.min)) fail("is too small");
    if (*number > Number(kind.max)) fail("is too large");
    return *number;
  }

  void assign_text(std::optional<std::string>& value) const {
    const std::string& text = scalar();
    if (written_.form == Form::plain && (is_one_of(kTrue, text) || is_one_of(kFalse, text)))
      fail("is a boolean");
    value = text.empty() ? std::nullopt : std::optional(text);
  }

  const Setting& setting_;
  const Written& written_;
};

struct Show {
  std::string operator()(const Flag& flag) const { return *flag.value ? "true" : "false"; }
  std::string operator()(const Count& count) const { return fmt::format("{}", *count.value); }
  std::string operator()(const Size& size) const { return format_size(*size.value); }
  std::string operator()(const Duration& duration) const { return format_duration(*duration.value); }
  std::string operator()(const Text& text) const {
    return text.value->has_value() ? masked(**text.value) : "";
  }
  std::string operator()(const Secret& secret) const {
    return std::string(secret.value->has_value() ? kMask : "");
  }
  std::string operator()(const Adapter& adapter) const { return adapter.value->adapter.value_or(""); }

  template <class Enum>
  std::string operator()(const Choice<Enum>& choice) const {
    return std::string(names_of(Enum())[static_cast<std::size_t>(*choice.value)]);
  }

  std::string operator()(const Parameters& parameters) const {
    std::vector<std::string> parts;
    for (const std::string& parameter : *parameters.value)
      parts.push_back(replaced(masked(parameter), ",", "%2C"));
    return fmt::format("{}", fmt::join(parts, ","));
  }

  std::string operator()(const Folders& folders) const {
    if (folders.value->empty()) return "";
    std::vector<std::string> parts;
    for (const std::filesystem::path& folder : *folders.value) parts.push_back(folder.string());
    return fmt::format("[{}]", fmt::join(parts, ", "));
  }
};

struct Expected {
  std::string operator()(const Flag&) const { return "true or false"; }
  std::string operator()(const Count& count) const {
    return fmt::format("a whole number from {} to {}", count.min, count.max);
  }
  std::string operator()(const Size& size) const {
    return fmt::format("a size from {} to {}, such as 64MiB", format_size(size.min), format_size(size.max));
  }
  std::string operator()(const Duration& duration) const {
    return fmt::format("a duration from {} to {}, such as 100ms or 5s", format_duration(duration.min),
                       format_duration(duration.max));
  }
  std::string operator()(const Text&) const { return "text, in quotes if need be"; }
  std::string operator()(const Secret&) const { return Expected()(Text()); }
  std::string operator()(const Adapter&) const {
    return "module,class, such as code_wake_sqlite_store,SqliteStore";
  }
  std::string operator()(const Parameters&) const {
    return "the adapter's parameters, either a list or text with commas between them (%2C is a comma in one)";
  }
  std::string operator()(const Folders&) const { return "a list of folders, such as [/opt/acme/codewake]"; }

  template <class Enum>
  std::string operator()(const Choice<Enum>&) const {
    return fmt::format("{}", fmt::join(names_of(Enum()), " or "));
  }
};

}  // namespace

void assign(const Setting& setting, const Written& written) {
  std::visit(Assigner(setting, written), setting);
}

std::string show(const Setting& setting) {
  return std::visit(Show(), setting);
}

std::string expected(const Setting& setting) {
  return std::visit(Expected(), setting);
}

}  // namespace codewake::internal
