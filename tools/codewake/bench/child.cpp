#include "bench/child.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <exception>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "bench/passes.hpp"

namespace codewake::cli::bench {
namespace {

constexpr std::array<int, 3> kSignals = {SIGINT, SIGTERM, SIGHUP};
volatile std::sig_atomic_t interrupted_by = 0;
std::array<struct sigaction, kSignals.size()> earlier_actions;

void note_signal(int signal) {
  interrupted_by = signal;
}

[[noreturn]] void fail(int error, const char* what) {
  throw Error(fmt::format("{}: {}", what, std::generic_category().message(error)));
}

std::vector<std::string> variables_of(const Environment& environment) {
  std::vector<std::string> variables;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string_view text(*variable);
    const std::string name(text.substr(0, text.find('=')));
    if (!name.starts_with("CODE_WAKE_") && !environment.contains(name)) variables.emplace_back(text);
  }
  for (const auto& [name, value] : environment) variables.push_back(fmt::format("{}={}", name, value));
  return variables;
}

/// Starts this program again, with its standard output going to `output`.
pid_t start(const Environment& environment, int output) {
  std::vector<std::string> variables = variables_of(environment);
  std::vector<char*> variable_pointers;
  for (std::string& variable : variables) variable_pointers.push_back(variable.data());
  variable_pointers.push_back(nullptr);
  std::string program = "codewake";
  std::string command = "bench";
  std::array<char*, 3> arguments = {program.data(), command.data(), nullptr};

  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  pid_t child = 0;
  const int error =
      ::posix_spawn(&child, "/proc/self/exe", &actions, nullptr, arguments.data(), variable_pointers.data());
  ::posix_spawn_file_actions_destroy(&actions);
  if (error != 0) fail(error, "cannot start this program again");
  return child;
}

/// Everything until the end. A signal that asks for the end is passed on to the child.
std::string read_all(int fd, pid_t child) {
  std::string text;
  std::array<char, 4096> buffer;
  while (true) {
    if (interrupted_by != 0) ::kill(child, SIGKILL);
    const ssize_t size = ::read(fd, buffer.data(), buffer.size());
    if (size > 0) text.append(buffer.data(), static_cast<std::size_t>(size));
    if (size == 0) return text;
    if (size < 0 && errno != EINTR) fail(errno, "cannot read what a measurement found");
  }
}

int wait_for(pid_t child) {
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) fail(errno, "cannot wait for a measurement");
  }
  return status;
}

}  // namespace

Json run_in_child(const Json& request, const Environment& environment) {
  Interruptible::check();
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) fail(errno, "cannot make a pipe");
  Environment with_request = environment;
  with_request[kPassVariable] = request.dump();
  std::string text;
  int status = 0;
  try {
    const pid_t child = start(with_request, ends[1]);
    ::close(std::exchange(ends[1], -1));
    text = read_all(ends[0], child);
    status = wait_for(child);
  } catch (...) {
    for (const int end : ends) ::close(end);
    throw;
  }
  ::close(ends[0]);
  Interruptible::check();
  const auto name = request.at("pass").get<std::string>();
  if (WIFSIGNALED(status)) {
    throw Error(fmt::format("the measurement {} was ended by signal {}", name, WTERMSIG(status)));
  }
  const Json answer = Json::parse(text, nullptr, false);
  if (!answer.is_object()) throw Error(fmt::format("the measurement {} ended without a result", name));
  if (answer.contains("error")) throw Error(answer.at("error").get<std::string>());
  return answer;
}

std::string answer_of_pass(const std::string& request) {
  try {
    return to_line(run_pass(Json::parse(request)));
  } catch (const std::exception& error) {
    return to_line({{"error", error.what()}});
  }
}

Interruptible::Interruptible() {
  struct sigaction action {};
  action.sa_handler = note_signal;  // without SA_RESTART: a read that waits returns
  for (std::size_t i = 0; i < kSignals.size(); ++i) ::sigaction(kSignals[i], &action, &earlier_actions[i]);
}

Interruptible::~Interruptible() {
  for (std::size_t i = 0; i < kSignals.size(); ++i) ::sigaction(kSignals[i], &earlier_actions[i], nullptr);
}

void Interruptible::check() {
  if (interrupted_by != 0) throw Interrupted(fmt::format("interrupted by signal {}", int{interrupted_by}));
}

}  // namespace codewake::cli::bench
