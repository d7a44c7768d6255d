// What the library throws. One root, `Error`; each kind says the cause, the place and the remedy in `what()`.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

#include "codewake/export.hpp"

namespace codewake {

/// The root of everything that the library throws on purpose.
class CODEWAKE_API Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
  ~Error() override;
};

/// Configuration that cannot be used: a file that cannot be read, broken YAML, an unknown key, a wrong value.
class CODEWAKE_API ConfigError : public Error {
 public:
  /// Where the trouble is. `source` is a file's path or a variable's name; line and column count from 1, 0
  /// means that there is none; `key` is the dotted key, such as `store.adapter`, and may be empty.
  struct Place {
    std::string source = {};
    int line = 0;
    int column = 0;
    std::string key = {};
  };

  ConfigError(Place place, std::string_view message);
  ~ConfigError() override;

  const Place& place() const noexcept { return place_; }

 private:
  Place place_;
};

/// A store adapter that cannot be had: not found, not a plugin, another ABI, no such class, a failing
/// constructor.
class CODEWAKE_API PluginError : public Error {
 public:
  /// `path`: the shared object in question, or the module's name where none was found. `reason`: what is
  /// wrong.
  PluginError(std::string path, std::string reason);
  ~PluginError() override;

  const std::string& path() const noexcept { return path_; }
  const std::string& reason() const noexcept { return reason_; }

 private:
  std::string path_;
  std::string reason_;
};

/// A store that did not do what it was asked. A write that throws changed nothing, except where it is in
/// doubt.
class CODEWAKE_API StoreError : public Error {
 public:
  enum class Kind {
    unavailable,  ///< not now: away, busy, full, read-only. The same call may succeed later.
    rejected,     ///< this data, never: trying again cannot help.
    in_doubt,     ///< it was sent and no answer came: ask the store for the journal position, then decide.
  };

  StoreError(Kind kind, std::string_view message);
  ~StoreError() override;

  Kind kind() const noexcept { return kind_; }

 private:
  Kind kind_;
};

/// The kind in words: `store unavailable`, `rejected by the store` or `store in doubt`.
CODEWAKE_API std::string_view to_string(StoreError::Kind kind) noexcept;

}  // namespace codewake
