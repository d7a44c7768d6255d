// A configuration file: its bytes, and the known keys in it.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/keys.hpp"
#include "config/setting.hpp"

namespace codewake::internal {

/// The text of a file; empty where there is no such file. Throws ConfigError for a folder, for a file that
/// cannot be read, and for one of more than 1 MiB, of which no more is read. Blocks on the disk. Reentrant.
std::optional<std::string> read_config_file(const std::filesystem::path& path);

/// What a file says.
struct Document {
  struct Value {
    const Key* key;
    Written written;
    int line;  ///< of the key
  };
  std::vector<Value> values;                  ///< in the order of the file; each key at most once
  std::vector<std::string> foreign_sections;  ///< in the order of the file, each once
};

/// Finds the known keys in YAML text and leaves foreign sections alone. A key whose value is null is not
/// there. Throws ConfigError for what is no YAML, for unknown and repeated keys, and for maps where a value
/// should be. Reentrant.
Document parse_document(std::string_view yaml, std::string_view source);

}  // namespace codewake::internal
