#include "codewake/errors.hpp"

#include <fmt/format.h>

#include <utility>

namespace codewake {
namespace {

std::string place_and_message(const ConfigError::Place& place, std::string_view message) {
  std::string text = place.source;
  if (place.line > 0) text += fmt::format(":{}", place.line);
  if (place.line > 0 && place.column > 0) text += fmt::format(":{}", place.column);
  if (!text.empty()) text += ": ";
  if (!place.key.empty()) text += place.key + ": ";
  text += message;
  return text;
}

}  // namespace

// Out of line, so that the library holds the type information that a plugin's throw and a program's catch
// share.
Error::~Error() = default;

ConfigError::ConfigError(Place place, std::string_view message)
    : Error(place_and_message(place, message)), place_(std::move(place)) {}
ConfigError::~ConfigError() = default;

PluginError::PluginError(std::string path, std::string reason)
    : Error(fmt::format("{}: {}", path, reason)), path_(std::move(path)), reason_(std::move(reason)) {}
PluginError::~PluginError() = default;

StoreError::StoreError(Kind kind, std::string_view message)
    : Error(fmt::format("{}: {}", to_string(kind), message)), kind_(kind) {}
StoreError::~StoreError() = default;

std::string_view to_string(StoreError::Kind kind) noexcept {
  switch (kind) {
    case StoreError::Kind::unavailable:
      return "store unavailable";
    case StoreError::Kind::rejected:
      return "rejected by the store";
    case StoreError::Kind::in_doubt:
      return "store in doubt";
  }
  return "store failed";
}

}  // namespace codewake
