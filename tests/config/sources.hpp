// A program's surroundings as a test wants them.
#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "codewake/config.hpp"

namespace codewake::testing {

using Variables = std::map<std::string, std::string>;

/// These variables and these files, and nothing of the machine's.
inline Config::Sources sources(Variables variables, std::vector<std::filesystem::path> files = {}) {
  return {.variable = [variables = std::move(variables)](const char* name) -> std::optional<std::string> {
            const auto found = variables.find(name);
            return found == variables.end() ? std::nullopt : std::optional(found->second);
          },
          .files = std::move(files)};
}

/// The entry of a key; one without a name where there is none.
inline Config::Entry entry(const Config& config, std::string_view key) {
  for (const Config::Entry& candidate : config.entries()) {
    if (candidate.key == key) return candidate;
  }
  return {};
}

/// A file with one key: `a: {b: {c: value}}` for `a.b.c`.
inline std::string yaml_of(std::string_view key, std::string_view value) {
  std::string yaml;
  std::string end;
  for (std::size_t dot; (dot = key.find('.')) != std::string_view::npos; key.remove_prefix(dot + 1)) {
    yaml.append(key.substr(0, dot)).append(": {");
    end += '}';
  }
  return yaml.append(key).append(": ").append(value).append(end).append("\n");
}

}  // namespace codewake::testing
