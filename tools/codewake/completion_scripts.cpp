#include "completion_scripts.hpp"

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <vector>

namespace codewake::cli {
namespace {

std::string join(const std::vector<std::string>& words, std::string_view separator) {
  return fmt::format("{}", fmt::join(words, separator));
}

/// Puts a backslash before each of `special`.
std::string escaped(std::string_view text, std::string_view special) {
  std::string result;
  for (const char c : text) {
    if (special.find(c) != std::string_view::npos) result += '\\';
    result += c;
  }
  return result;
}

/// For a shell that knows no escapes within single quotes.
std::string single_quoted(std::string_view text) {
  std::string result = "'";
  for (const char c : text) result += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return result + "'";
}

std::string words_of(const CommandShape& command) {
  std::vector<std::string> words;
  for (const CommandShape& inner : command.commands) words.push_back(inner.name);
  for (const OptionShape& option : command.options) {
    const std::vector<std::string>& more = option.names.empty() ? option.choices : option.names;
    words.insert(words.end(), more.begin(), more.end());
  }
  return join(words, " ");
}

std::string bash_values(const CommandShape& command, std::string_view name) {
  std::string result;
  for (const OptionShape& option : command.options) {
    if (!option.takes_value || option.names.empty()) continue;
    std::vector<std::string> patterns;
    for (const std::string& option_name : option.names)
      patterns.push_back(fmt::format("'{} {}'", name, option_name));
    result += fmt::format("    {}) words='{}' ;;\n", join(patterns, " | "), join(option.choices, " "));
  }
  return result;
}

std::string zsh_option(const OptionShape& option) {
  const std::string description = escaped(option.description, "[]:\\");
  const std::string value = option.choices.empty()
                                ? fmt::format(":{}: ", escaped(option.value_name, ":"))
                                : fmt::format(":{}:({})", option.value_name, join(option.choices, " "));
  if (option.names.empty()) return single_quoted((option.may_repeat ? "*" : "1") + value) + " ";
  std::string result;
  for (const std::string& name : option.names) {
    std::string spec = option.may_repeat ? "*" : fmt::format("({})", join(option.names, " "));
    spec += name;
    if (option.takes_value) spec += name.starts_with("--") ? "=" : "+";
    spec += fmt::format("[{}]", description);
    if (option.takes_value) spec += value;
    result += single_quoted(spec) + " ";
  }
  return result;
}

std::string zsh_arguments(const CommandShape& command, std::string_view indent) {
  std::string result;
  for (const OptionShape& option : command.options)
    result += fmt::format(" \\\n{}{}", indent, zsh_option(option));
  while (result.ends_with(' ')) result.pop_back();
  return result;
}

std::string fish_option(const OptionShape& option, std::string_view condition) {
  std::string result = fmt::format("complete -c codewake -n '{}'", condition);
  for (const std::string& name : option.names) {
    result += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
  }
  if (option.takes_value && !option.names.empty()) result += " -x";
  if (!option.choices.empty()) result += fmt::format(" -a '{}'", join(option.choices, " "));
  return result + fmt::format(" -d '{}'\n", escaped(option.description, "'\\"));
}

}  // namespace

std::string bash_completion(const CommandShape& program) {
  std::vector<std::string> names;
  std::string values = bash_values(program, "");
  std::string words = fmt::format("    '') words='{}' ;;\n", words_of(program));
  for (const CommandShape& command : program.commands) {
    names.push_back(command.name);
    values += bash_values(command, command.name);
    words += fmt::format("    {}) words='{}' ;;\n", command.name, words_of(command));
  }
  // Bash takes `--format=json` for three words.
  return fmt::format(R"(# bash completion for codewake
_codewake() {{
  local current="${{COMP_WORDS[COMP_CWORD]}}" previous="${{COMP_WORDS[COMP_CWORD - 1]}}" command='' words='' i
  if [[ $current == '=' ]]; then
    current=''
  elif [[ $previous == '=' ]]; then
    previous="${{COMP_WORDS[COMP_CWORD - 2]}}"
  fi
  for ((i = 1; i < COMP_CWORD; ++i)); do
    case "${{COMP_WORDS[i]}}" in
      {}) command="${{COMP_WORDS[i]}}"; break ;;
    esac
  done
  case "$command" in
{}  esac
  case "$command $previous" in
{}  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}}
complete -o default -F _codewake codewake
)",
                     join(names, " | "), words, values);
}

std::string zsh_completion(const CommandShape& program) {
  std::string commands;
  std::string cases;
  for (const CommandShape& command : program.commands) {
    commands +=
        fmt::format("    {}\n", single_quoted(command.name + ":" + escaped(command.description, ":\\")));
    cases += fmt::format("        {})\n          _arguments{}\n          ;;\n", command.name,
                         zsh_arguments(command, "            "));
  }
  return fmt::format(R"(#compdef codewake
# zsh completion for codewake
_codewake() {{
  local context state state_descr line
  typeset -A opt_args
  local -a commands
  commands=(
{}  )
  _arguments -C{} \
    '1:command:->command' \
    '*::argument:->argument'
  case $state in
    command)
      _describe -t commands command commands
      ;;
    argument)
      case $words[1] in
{}      esac
      ;;
  esac
}}
_codewake "$@"
)",
                     commands, zsh_arguments(program, "    "), cases);
}

std::string fish_completion(const CommandShape& program) {
  std::string result = "# fish completion for codewake\ncomplete -c codewake -f\n";
  for (const OptionShape& option : program.options) result += fish_option(option, "__fish_use_subcommand");
  for (const CommandShape& command : program.commands) {
    result += fmt::format("complete -c codewake -n __fish_use_subcommand -a {} -d '{}'\n", command.name,
                          escaped(command.description, "'\\"));
    const std::string condition = "__fish_seen_subcommand_from " + command.name;
    for (const OptionShape& option : command.options) {
      if (!option.names.empty() || !option.choices.empty()) result += fish_option(option, condition);
    }
  }
  return result;
}

}  // namespace codewake::cli
