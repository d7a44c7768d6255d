// The table of all keys: what is not in it is no key.
#pragma once

#include <span>
#include <string_view>

#include "codewake/config.hpp"
#include "config/setting.hpp"

namespace codewake::internal {

struct Key {
  std::string_view name;        ///< dotted, as it nests in the file
  const char* variable;         ///< the environment variable that overrides the file
  Setting (*setting)(Config&);  ///< the member it sets, its kind and bounds; the default is the member's own
  const char* fallback = nullptr;  ///< the variable of the older SDK, used where nothing else set the key
};

/// Every key, in the order of the documentation.
std::span<const Key> keys();

/// The key of that dotted name; nullptr where there is none.
const Key* find_key(std::string_view name);

/// Whether `name` is a section or the part of one, such as `stacktraces.include`.
bool is_section(std::string_view name);

/// The keys below a section, for a message: `name, vsn`.
std::string keys_of(std::string_view section);

/// What an unknown key of a known section was meant to be; empty where nothing comes near. A slip of the pen
/// in the last part of the name is found, and so is a key at the wrong depth.
std::string_view nearest_key(std::string_view name);

}  // namespace codewake::internal
