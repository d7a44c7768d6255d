// The real program `codewake`, run as people run it: on a copy of the reference database, in a folder of its
// own.
#pragma once

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "support/child.hpp"
#include "support/temporary_folder.hpp"

namespace codewake::testing {

/// A folder with `wake.sqlite`, which Code Wake for Python wrote, and `code_wake.conf`, which configures it.
/// Programs that it runs see that configuration and no other CODE_WAKE_* variable but the plugin path.
class CommandLine {
 public:
  CommandLine();

  /// Runs `codewake` with these arguments and waits for it. `input` is its standard input.
  ChildResult run(const std::vector<std::string>& arguments, std::string_view input = {}) const;

  /// The same with its standard output on a terminal of so many columns; `out` is what appears there.
  ChildResult run_on_terminal(const std::vector<std::string>& arguments, unsigned short columns) const;

  /// Runs a line of shell, in which `codewake` is the program.
  ChildResult run_shell(const std::string& line) const;

  /// What the program writes as JSON. Fails the test where it fails, or writes something else.
  nlohmann::json run_json(const std::vector<std::string>& arguments) const;

  /// Sets a variable for the runs that follow; empty unsets it.
  void set(const std::string& name, std::optional<std::string> value);

  /// Replaces the configuration.
  void configure(std::string_view yaml) const;

  const TemporaryFolder& folder() const noexcept { return folder_; }

  /// The DSN of a database in the folder, which need not be there.
  std::string dsn(std::string_view file = "wake.sqlite") const;

 private:
  void enter() const;

  TemporaryFolder folder_;
  std::string executable_;
  std::map<std::string, std::optional<std::string>> variables_;
};

/// Whether `text` is one line that begins with `codewake: `.
bool is_one_complaint(std::string_view text);

/// The lines of a text, without their ends.
std::vector<std::string> lines_of(std::string_view text);

}  // namespace codewake::testing
