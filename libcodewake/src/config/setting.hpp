// The kinds of value that a key of the configuration can have: how each is read, checked and shown.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "codewake/config.hpp"
#include "codewake/errors.hpp"

namespace codewake::internal {

/// A value as it was written, and where.
struct Written {
  enum class Form {
    plain,     ///< a YAML scalar without quotes, such as 1.2 or true
    quoted,    ///< a YAML scalar that can only be text
    list,      ///< a YAML list of scalars
    variable,  ///< an environment variable
  };
  Form form = Form::plain;
  std::string text = {};
  std::vector<std::string> items = {};  ///< of a list
  ConfigError::Place place = {};
};

// Each kind points to the member of Config that it sets; bounds are inclusive.
struct Flag {
  bool* value;
};
struct Count {
  std::size_t* value;
  std::size_t min;
  std::size_t max;
};
struct Size {
  std::uint64_t* value;
  std::uint64_t min;
  std::uint64_t max;
};
struct Duration {
  std::chrono::nanoseconds* value;
  std::chrono::nanoseconds min;
  std::chrono::nanoseconds max;
};
struct Text {
  std::optional<std::string>* value;
};
struct Secret {
  std::optional<std::string>* value;
};
template <class Enum>
struct Choice {
  Enum* value;
};
struct Adapter {
  Config::Store* value;
};
struct Parameters {
  std::vector<std::string>* value;
};
struct Folders {
  std::vector<std::filesystem::path>* value;
};

using Setting = std::variant<Flag, Count, Size, Duration, Text, Secret, Choice<WhenFull>, Choice<Durability>,
                             Adapter, Parameters, Folders>;

/// Checks what was written and sets it. Folders of a variable go before those that are there already. Throws
/// ConfigError. Reentrant.
void assign(const Setting& setting, const Written& written);

/// The value in effect, written as in the file, secrets masked; empty where there is none. Reentrant.
std::string show(const Setting& setting);

/// What may be written, to follow the word `write` in a message. Reentrant.
std::string expected(const Setting& setting);

}  // namespace codewake::internal
