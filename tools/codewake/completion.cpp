// `codewake completion SHELL`.
#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "command.hpp"
#include "completion_scripts.hpp"
#include "output.hpp"

namespace codewake::cli {
namespace {

struct CompletionOptions {
  const CLI::App* program = nullptr;
  std::string shell = {};
};

/// What CLI::IsMember says of itself: `{table,json}`.
std::vector<std::string> choices_of(CLI::Option& option) {
  std::string text;
  try {
    text = option.get_validator(0)->get_description();
  } catch (const CLI::OptionNotFound&) {
    return {};  // it has no validator: any value will do
  }
  if (!text.starts_with('{') || !text.ends_with('}')) return {};
  return CLI::detail::split(text.substr(1, text.size() - 2), ',');
}

OptionShape shape_of(CLI::Option& option) {
  OptionShape shape{.description = option.get_description(),
                    .takes_value = option.get_items_expected_max() > 0,
                    .may_repeat = option.get_expected_max() > 1,
                    .value_name = option.get_type_name(),
                    .choices = choices_of(option)};
  for (const std::string& name : option.get_lnames()) shape.names.push_back("--" + name);
  for (const std::string& name : option.get_snames()) shape.names.push_back("-" + name);
  if (!shape.choices.empty()) shape.value_name = "value";
  return shape;
}

CommandShape shape_of(const CLI::App& app) {
  CommandShape shape{.name = app.get_name(), .description = app.get_description()};
  for (const CLI::Option* option : app.get_options())
    shape.options.push_back(shape_of(const_cast<CLI::Option&>(*option)));
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    shape.commands.push_back(shape_of(*command));
  }
  return shape;
}

int run_completion(Session& session, const CompletionOptions& options) {
  const CommandShape program = shape_of(*options.program);
  session.out.write_raw(options.shell == "bash"  ? bash_completion(program)
                        : options.shell == "zsh" ? zsh_completion(program)
                                                 : fish_completion(program));
  return kSuccess;
}

}  // namespace

void add_completion_command(CLI::App& app, Session& session) {
  const auto options = std::make_shared<CompletionOptions>(CompletionOptions{.program = &app});
  CLI::App* const command =
      add_command(app, "completion", "Print a shell's completion script",
                  {"source <(codewake completion bash)", "codewake completion zsh > ~/.zfunc/_codewake",
                   "codewake completion fish > ~/.config/fish/completions/codewake.fish"});
  command->add_option("shell", options->shell, "The shell")
      ->option_text("bash|zsh|fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  on_run(command, session, options, run_completion);
}

}  // namespace codewake::cli
