// Configuration: one file, then environment variables over it, then options in code over both.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "codewake/export.hpp"

namespace codewake {

/// What the queue does when its journal is full.
enum class WhenFull { drop_newest, block };

/// What an accepted event survives: a crash of the program, or of the machine too.
enum class Durability { process, machine };

/// The configuration of a program, each member named as its key in the file. Defaults are what an empty
/// configuration means. A plain value: reentrant.
struct CODEWAKE_API Config {
  struct Store {
    std::optional<std::string> adapter;   ///< `module,class`; its two parts are below
    std::vector<std::string> parameters;  ///< `store.config`: split at commas, %2C resolved; or a list
    std::string module;                   ///< of `adapter`
    std::string class_name;               ///< of `adapter`
  };
  struct Stacktraces {
    bool from_exceptions = true;
    bool for_non_exceptions = false;
    std::size_t max_frames = 64;  ///< 1 to 128
  };
  struct Queue {
    std::optional<std::string> journal;      ///< folder, or `memory`; empty: the default folder
    std::uint64_t limit_bytes = 1ull << 30;  ///< 1 MiB to 1 EiB
    WhenFull when_full = WhenFull::drop_newest;
    Durability durability = Durability::process;
    std::size_t batch = 1000;                                            ///< events, 1 to 1,000,000
    std::chrono::nanoseconds interval = std::chrono::milliseconds(100);  ///< 100 µs to 1 h
    std::chrono::nanoseconds exit_timeout = std::chrono::seconds(5);     ///< 0 to 1 h
  };
  struct Crashes {
    bool signals = true;
    bool uncaught = true;
  };
  struct Tracing {
    std::optional<std::string> endpoint;
    std::optional<std::string> service_name;
    std::optional<std::string> instance_id;
    std::optional<std::string> environment;
    std::size_t batch_size = 50;                                        ///< events, 1 to 10,000
    std::chrono::nanoseconds flush_interval = std::chrono::seconds(1);  ///< 1 ms to 1 h
    std::optional<std::string> api_key;
    bool debug = false;
  };

  Store store;
  std::optional<std::string> environment_name;
  std::optional<std::string> app_name;
  std::optional<std::string> app_vsn;
  Stacktraces stacktraces;
  Queue queue;
  Crashes crashes;
  Tracing tracing;
  /// Folders of CODE_WAKE_PLUGIN_PATH, then of `plugins.path`.
  std::vector<std::filesystem::path> plugin_path;

  /// Where things are looked up; a test gives its own.
  struct Sources {
    /// Reads a variable; empty where it is not set. Default: the environment, which a program with raised
    /// privileges does not trust (secure_getenv).
    std::function<std::optional<std::string>(const char* name)> variable;
    /// Searched where CODE_WAKE_CONFIG is not set: the first that exists and that no other user can have put
    /// there is read. With raised privileges, only /etc/code_wake.conf is.
    std::vector<std::filesystem::path> files = {"/etc/code_wake.conf", "./etc/code_wake.conf"};
  };

  /// Reads the file and the variables. The file is `$CODE_WAKE_CONFIG` (which must be readable; set to
  /// nothing, it means no file), else the first of `sources.files` that exists and counts, else none. A file
  /// counts if follow_path() (trusted_path.hpp) finds it trusted with Others::none; another file is passed
  /// over, and a line on stderr gives the reason, once in a process for each path. A program with raised
  /// privileges (AT_SECURE, such as a setuid program) reads no variable, and no file but /etc/code_wake.conf.
  /// A variable that is set, even to nothing, wins over the file; one that is set to nothing unsets an
  /// optional key. A null in the file is as good as no key. Folders of CODE_WAKE_PLUGIN_PATH go before those
  /// of the file. Where CODE_WAKE_STORE_CONFIG is not set, CODE_WAKE_STORE_CONFIG_FILE may name a file whose
  /// first line counts in its place, and which read_secret_file (secret_file.hpp) must accept. Throws
  /// ConfigError. Blocks on the disk. Thread-safe.
  static Config load();
  static Config load(const Sources& sources);

  /// Reads YAML text alone. `source` names it in errors. Throws ConfigError. Thread-safe.
  static Config parse(std::string_view yaml, std::string_view source);

  /// One effective value, for people: `codewake config` prints these.
  struct Entry {
    std::string key;    ///< dotted, such as `queue.limit`
    std::string value;  ///< as in the file, passwords and keys masked; empty where it has none
    /// `default`, a file with line, such as `/etc/code_wake.conf:3`, or a variable's name; both of these,
    /// with a comma between them, for the plugins' folders.
    std::string origin;
  };

  /// Every key in the order of the documentation, with its effective value and where that came from.
  const std::vector<Entry>& entries() const& noexcept { return entries_; }
  std::vector<Entry> entries() && noexcept { return std::move(entries_); }

  /// Sections of the file that this library does not know; they belong to other programs.
  const std::vector<std::string>& foreign_sections() const& noexcept { return foreign_sections_; }
  std::vector<std::string> foreign_sections() && noexcept { return std::move(foreign_sections_); }

  /// The file that was read; empty where there was none.
  const std::filesystem::path& file() const noexcept { return file_; }

  /// The files that were found and do not count, each with the reason: `./etc/code_wake.conf: /srv/app
  /// belongs to the user 1000`.
  const std::vector<std::string>& passed_over() const& noexcept { return passed_over_; }
  std::vector<std::string> passed_over() && noexcept { return std::move(passed_over_); }

  /// Where a store's configuration was looked for, for error messages: files and variables, in words.
  const std::string& looked_at() const noexcept { return looked_at_; }

 private:
  friend class ConfigReader;

  std::vector<Entry> entries_;
  std::vector<std::string> foreign_sections_;
  std::filesystem::path file_;
  std::string looked_at_;
  std::vector<std::string> passed_over_;
};

/// A store's parameter as it may be shown: the password of a URL, and the value of `password=`, `api_key=`
/// and the like, replaced by `***`. Where it is not clear how far a secret goes, more is masked. Thread-safe.
CODEWAKE_API std::string masked(std::string_view parameter);

}  // namespace codewake
