// Completion scripts for shells, made from the commands themselves so that they are never out of date.
#pragma once

#include <string>
#include <vector>

namespace codewake::cli {

/// What a shell has to know of one option.
struct OptionShape {
  std::vector<std::string> names = {};  ///< `--format`, `-h`; empty for an argument that has its place
  std::string description = {};
  bool takes_value = false;
  bool may_repeat = false;
  std::string value_name = {};            ///< such as `KEY=VALUE`
  std::vector<std::string> choices = {};  ///< empty where any value will do
};

/// What a shell has to know of a command; of the program itself, too.
struct CommandShape {
  std::string name;
  std::string description;
  std::vector<OptionShape> options = {};
  std::vector<CommandShape> commands = {};
};

std::string bash_completion(const CommandShape& program);
std::string zsh_completion(const CommandShape& program);
std::string fish_completion(const CommandShape& program);

}  // namespace codewake::cli
