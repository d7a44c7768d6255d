#include "codewake/config.hpp"

#include <fmt/format.h>
#include <stdlib.h>
#include <sys/auxv.h>

#include <cstddef>
#include <filesystem>
#include <mutex>
#include <set>
#include <string>
#include <system_error>
#include <utility>
#include <variant>

#include "codewake/errors.hpp"
#include "codewake/secret_file.hpp"
#include "codewake/trusted_path.hpp"
#include "codewake/visible.hpp"
#include "config/document.hpp"
#include "config/keys.hpp"
#include "config/setting.hpp"

namespace codewake {

using internal::Document;
using internal::Key;
using internal::keys;
using internal::Written;

namespace {

constexpr std::string_view kOnlyFileWithRaisedPrivileges = "/etc/code_wake.conf";

constexpr std::string_view kParametersVariable = "CODE_WAKE_STORE_CONFIG";
constexpr const char* kParametersFileVariable = "CODE_WAKE_STORE_CONFIG_FILE";

/// What looking for a file found.
struct Searched {
  bool exists = false;
  std::string problem = {};  ///< why it does not count; empty where it does
};

/// Looks for a file without opening it: another user may have put a FIFO there. Only what exists and is
/// trusted stays what it is: a way that ends early may lead to another user's file a moment later.
Searched search(const std::filesystem::path& path) {
  const FollowedPath followed = follow_path(path, Others::none);
  if (followed.why_not_trusted.empty()) return {followed.exists};
  std::error_code error;
  const std::filesystem::file_status status = std::filesystem::status(path, error);
  if (status.type() == std::filesystem::file_type::not_found) return {};
  if (!error) return {true, followed.why_not_trusted};
  // The file cannot be looked at. In a trusted folder this is a mistake.
  const FollowedPath folder =
      follow_path(path.has_parent_path() ? path.parent_path() : std::filesystem::path("."), Others::none);
  if (folder.exists && folder.why_not_trusted.empty())
    throw ConfigError({path.string()},
                      fmt::format("cannot be read: {}; make it readable for this user", error.message()));
  return {true, folder.why_not_trusted.empty() ? followed.why_not_trusted : folder.why_not_trusted};
}

void say_once(const std::filesystem::path& path, std::string_view problem) {
  constexpr std::size_t kMost = 100;
  static std::mutex mutex;
  static auto& said = *new std::set<std::string>;  // never destroyed: static destructors may load, too
  const std::lock_guard lock(mutex);
  if (said.size() >= kMost || !said.insert(path.string()).second) return;
  say_on_stderr({"the configuration file ", path.string(), " is passed over: ", problem,
                 "; only root and this user may be able to write the file and the folders on its way. "
                 "CODE_WAKE_CONFIG can name it all the same"});
}

}  // namespace

/// Puts a configuration together: the file first, the variables over it, then the entries for people.
class ConfigReader {
 public:
  explicit ConfigReader(Config::Sources sources) : sources_(std::move(sources)), origins_(keys().size()) {
    // What may set a program's variables may not decide what a program with raised privileges loads.
    if (!sources_.variable) sources_.variable = [](const char* name) { return from_environment(name); };
  }

  Config load() {
    read_file();
    for (const Key& key : keys()) read_variable(key);
    return finish();
  }

  Config parse(std::string_view yaml, std::string_view source) {
    config_.looked_at_ = source;
    read_document(yaml, source);
    return finish();
  }

 private:
  static std::optional<std::string> from_environment(const char* name) {
    const char* value = secure_getenv(name);
    return value == nullptr ? std::nullopt : std::optional<std::string>(value);
  }

  void look_at(std::string_view place, std::string_view result) {
    config_.looked_at_ += fmt::format("{}{} ({})", config_.looked_at_.empty() ? "" : ", ", place, result);
  }

  void read_file() {
    const std::optional<std::string> named = sources_.variable("CODE_WAKE_CONFIG");
    if (!named) {
      look_at("CODE_WAKE_CONFIG", "not set");
      return read_first_file();
    }
    if (named->empty()) return look_at("CODE_WAKE_CONFIG", "set to nothing: no file");
    const std::optional<std::string> text = internal::read_config_file(*named);
    if (!text) {
      throw ConfigError({*named}, "there is no such file; correct or unset CODE_WAKE_CONFIG, which names it");
    }
    look_at("CODE_WAKE_CONFIG", *named);
    config_.file_ = *named;
    read_document(*text, *named);
  }

  void read_first_file() {
    for (const std::filesystem::path& path : sources_.files) {
      if (has_raised_privileges_ && path != kOnlyFileWithRaisedPrivileges) {
        look_at(path.string(), "not looked at: the program runs with raised privileges");
        continue;
      }
      const Searched found = search(path);
      if (!found.exists) {
        look_at(path.string(), "no such file");
        continue;
      }
      if (!found.problem.empty()) {
        pass_over(path, found.problem);
        continue;
      }
      const std::optional<std::string> text = internal::read_config_file(path);
      look_at(path.string(), text ? "read" : "no such file");
      if (!text) continue;
      config_.file_ = path;
      return read_document(*text, path.string());
    }
  }

  void pass_over(const std::filesystem::path& path, const std::string& problem) {
    look_at(path.string(), "passed over: " + problem);
    config_.passed_over_.push_back(path.string() + ": " + problem);
    say_once(path, problem);
  }

  void read_document(std::string_view yaml, std::string_view source) {
    Document document = internal::parse_document(yaml, source);
    for (const Document::Value& value : document.values) {
      set(*value.key, value.written, fmt::format("{}:{}", source, value.line));
    }
    config_.foreign_sections_ = std::move(document.foreign_sections);
  }

  /// What `codewake run` hands to a program, and to what that starts, without it standing in their
  /// environment.
  std::optional<std::string> parameters_from_file(const char*& name) {
    const std::optional<std::string> path = sources_.variable(kParametersFileVariable);
    if (!path || path->empty()) return std::nullopt;
    name = kParametersFileVariable;
    look_at(name, *path);
    try {
      return read_secret_file(*path);
    } catch (const ConfigError& error) {
      throw ConfigError({kParametersFileVariable}, error.what());
    }
  }

  void read_variable(const Key& key) {
    const char* name = key.variable;
    std::optional<std::string> text = sources_.variable(name);
    if (key.name.starts_with("store.")) look_at(name, text ? "set" : "not set");
    if (!text && name == kParametersVariable) text = parameters_from_file(name);
    if (!text && key.fallback != nullptr && origin(key).empty()) {
      name = key.fallback;
      text = sources_.variable(name);
    }
    if (!text) return;
    Written written{.form = Written::Form::variable, .text = *std::move(text)};
    written.place.source = name;
    written.place.key = key.name;
    set(key, written, name);
  }

  // Folders of a variable come before those of the file, which stay: then both are the origin.
  void set(const Key& key, const Written& written, std::string_view from) {
    const internal::Setting setting = key.setting(config_);
    internal::assign(setting, written);
    const bool adds = std::holds_alternative<internal::Folders>(setting) && !origin(key).empty();
    origin(key) = adds ? fmt::format("{}, {}", from, origin(key)) : std::string(from);
  }

  std::string& origin(const Key& key) { return origins_[static_cast<std::size_t>(&key - keys().data())]; }

  Config finish() {
    for (const Key& key : keys()) {
      const std::string& from = origin(key);
      config_.entries_.push_back(
          {std::string(key.name), internal::show(key.setting(config_)), from.empty() ? "default" : from});
    }
    return std::move(config_);
  }

  const bool has_raised_privileges_ = getauxval(AT_SECURE) != 0;
  Config::Sources sources_;
  Config config_;
  std::vector<std::string> origins_;  // one for each key; empty: the default
};

Config Config::load() {
  return load(Sources{});
}

Config Config::load(const Sources& sources) {
  return ConfigReader(sources).load();
}

Config Config::parse(std::string_view yaml, std::string_view source) {
  return ConfigReader(Sources{}).parse(yaml, source);
}

}  // namespace codewake
