#include "interop/older.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <stdexcept>

#include "support/child.hpp"

namespace codewake::testing {
namespace {

// The packages of 2022 pin an older PyYAML, which newer Pythons cannot build: so the dependencies are named.
constexpr const char* kInstall = R"(
cd "$CODEWAKE_INTEROP_FOLDER"
works() { python/bin/python -c 'import code_wake, code_wake_sql14_store, psycopg2'; }
if works 2>/dev/null; then exit 0; fi
rm -rf python
made=$(mktemp -d python.XXXXXX) || exit 1
trap 'rm -rf "$made"' EXIT
trap 'exit 1' TERM
python3 -m venv "$made" || exit 1
"$made/bin/python" -m pip install --quiet --disable-pip-version-check --retries 1 --timeout 15 --no-deps \
  --only-binary :all: code_wake==0.2.2 code_wake_sql14_store==0.3.0 bencode.py==4.0.0 singleton-type==0.0.5 \
  PyYAML 'SQLAlchemy~=1.4.0' 'SQLAlchemy-Utils~=0.38.2' psycopg2-binary || exit 1
mv -T "$made" python 2>/dev/null  # unless another run was faster
works
)";

std::string from_build(const char* variable) {
  const char* const value = std::getenv(variable);
  if (value == nullptr)
    throw std::runtime_error(std::string(variable) + " is not set: run the tests by tools/test");
  return value;
}

std::string last_line(std::string text) {
  text.erase(text.find_last_not_of(" \n") + 1);
  return text.substr(text.find_last_of('\n') + 1);
}

std::string install() {
  const ChildResult result = in_child([] {
    execlp("timeout", "timeout", "--kill-after=5", "120", "sh", "-c", kInstall, nullptr);
    throw std::runtime_error("there is no program `timeout`");
  });
  if (result.exit_code == 0) return "";
  const std::string why =
      result.exit_code == 124 ? "it took longer than two minutes" : last_line(result.out + result.err);
  return "Code Wake for Python cannot be installed here: " + why;
}

void apply(const Settings& settings) {
  for (const auto& [name, value] : settings) setenv(name.c_str(), value.c_str(), 1);
}

[[noreturn]] void become_older(const Settings& settings, const std::string& command, const Json& argument) {
  apply(settings);
  const std::string python = from_build("CODEWAKE_INTEROP_FOLDER") + "/python/bin/python";
  const std::string script = from_build("CODEWAKE_INTEROP_SCRIPT");
  const std::string text = argument.dump(-1, ' ', true);
  execl(python.c_str(), python.c_str(), script.c_str(), command.c_str(),
        argument.is_null() ? nullptr : text.c_str(), nullptr);
  throw std::runtime_error(python + " cannot be run");
}

}  // namespace

Settings settings_of(const std::string& dsn, const std::string& app, const std::string& vsn,
                     const std::string& environment) {
  Settings settings = {{"CODE_WAKE_STORE_ADAPTER", "code_wake_sql14_store,Sql14Store"},
                       {"CODE_WAKE_STORE_CONFIG", dsn}};
  if (!app.empty()) settings["CODE_WAKE_APP_NAME"] = app;
  if (!vsn.empty()) settings["CODE_WAKE_APP_VSN"] = vsn;
  if (!environment.empty()) settings["CODE_WAKE_ENVIRONMENT"] = environment;
  return settings;
}

const std::string& missing_older() {
  static const std::string reason = install();
  return reason;
}

Json run_older(const Settings& settings, const std::string& command, const Json& argument) {
  const ChildResult result = in_child([&] { become_older(settings, command, argument); });
  if (result.exit_code != 0) throw std::runtime_error("older.py " + command + ": " + result.err);
  return Json::parse(result.out);
}

pid_t start_older(const Settings& settings, const std::string& command, const Json& argument) {
  return start_child([&] { become_older(settings, command, argument); });
}

void run_ours(const Settings& settings, const std::function<void(Process& process)>& body) {
  const pid_t program = start_child([&] {
    apply(settings);
    Process& process = Process::instance();
    body(process);
    if (!process.shutdown(std::chrono::seconds(60))) throw std::runtime_error("not all was stored");
  });
  REQUIRE(wait_for(program) == 0);
}

void log_all(Process& process, const Json& events) {
  for (const Json& event : events) {
    std::vector<Attribute> data;
    for (const Json& pair : event["data"]) {
      data.emplace_back(pair[0].get<std::string>(),
                        pair[1].is_null() ? std::nullopt : std::optional(pair[1].get<std::string>()));
    }
    if (event["raise"]) {
      try {
        throw std::invalid_argument("it failed, as told");
      } catch (const std::exception& error) {
        process.log(Attributes(data), error);
      }
    } else if (event["data"].is_null()) {
      process.log();
    } else {
      process.log(Attributes(data));
    }
  }
}

}  // namespace codewake::testing
