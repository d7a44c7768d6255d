// `codewake symbolize`: a stripped program's stacks, once its debug file is there.
#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "codewake/config.hpp"
#include "codewake/frame.hpp"
#include "codewake/plugin.hpp"
#include "codewake/stacktrace.hpp"
#include "codewake/store.hpp"
#include "command_line.hpp"
#include "support/other_user.hpp"
#include "support/skip.hpp"
#include "support/temporary_folder.hpp"

using codewake::testing::ChildResult;
using codewake::testing::CommandLine;
using codewake::testing::is_one_complaint;
using codewake::testing::lines_of;
using nlohmann::json;

namespace {

const std::vector<std::string> kSymbolize = {"symbolize", "--format", "json"};

/// Where the program's source is.
std::string source_folder() {
  return codewake::testing::test_data("../cli/programs").string();
}

/// A command line with a program that was stripped, and an empty database that it records into. The debug
/// file is `program.debug` beside it, once it is installed.
class StrippedCommandLine : public CommandLine {
 public:
  StrippedCommandLine() {
    configure("store: {adapter: \"code_wake_sqlite_store,SqliteStore\", config: \"" + dsn("stacks.sqlite") +
              "\"}\n");
    const std::string original = std::getenv("CODEWAKE_FORGETFUL_PROGRAM");
    works = run_shell("objcopy --only-keep-debug " + original +
                      " program.debug && objcopy --strip-all "
                      "--add-gnu-debuglink=program.debug " +
                      original + " program && mv program.debug aside")
                .exit_code == 0;
  }

  /// Runs the program: stacks of each depth up to `deepest`.
  void record(int deepest) const {
    REQUIRE(run_shell("./program " + std::to_string(deepest)).exit_code == 0);
  }

  void install_debug_file() const {
    std::filesystem::copy_file(folder() / "aside", folder() / "program.debug");
  }

  /// What `codewake symbolize` says, which may read the program's source, without the time that it took.
  json symbolize(const std::vector<std::string>& options = {}) const {
    std::vector<std::string> arguments = kSymbolize;
    arguments.insert(arguments.end(), {"--sources", source_folder()});
    arguments.insert(arguments.end(), options.begin(), options.end());
    json result = run_json(arguments);
    REQUIRE(result.size() == 1);
    CHECK(result[0]["seconds"].get<double>() > 0);
    result[0].erase("seconds");
    return result[0];
  }

  /// The program's own frames of an event, innermost first.
  std::vector<json> frames(int event) const {
    std::vector<json> found;
    const json shown = run_json({"event", std::to_string(event), "--format", "json"});
    for (const json& frame : shown["frames"]) {
      if (frame["module"].is_string() && frame["module"].get<std::string>().ends_with("/program"))
        found.push_back(frame);
    }
    return found;
  }

  /// The ids of all stack traces that events have.
  std::set<int> stacktraces() const {
    std::set<int> ids;
    for (const json& group : run_json({"exceptions", "--format", "json"}))
      ids.insert(group["stacktrace_id"].get<int>());
    return ids;
  }

  bool works = false;
};

json outcome(const std::string& state, int stacktraces, int resolved, int merged) {
  return {{"state", state}, {"stacktraces", stacktraces}, {"resolved", resolved}, {"merged", merged}};
}

void check_unresolved(const std::vector<json>& frames) {
  REQUIRE_FALSE(frames.empty());
  CHECK(frames[0]["function"].is_null());
  CHECK(frames[0]["lineno"] == 0);
}

void check_resolved(const std::vector<json>& frames, int depth) {
  CAPTURE(json(frames).dump(1));
  REQUIRE(frames.size() >= static_cast<std::size_t>(depth) + 2);
  CHECK(frames[0]["function"] == "(anonymous namespace)::take(int)");
  CHECK(frames[0]["src"] == "if (count >= 0) throw std::out_of_range(\"no article left\");");
  CHECK(frames[1]["function"] == "(anonymous namespace)::sell(int)");
  CHECK(frames[1]["src"] == "take(depth);");
  CHECK(frames[static_cast<std::size_t>(depth) + 1]["function"] == "main");
  for (int i = 0; i < depth + 2; ++i) {
    const json& frame = frames[static_cast<std::size_t>(i)];
    CHECK(std::filesystem::path(frame["filename"].get<std::string>()).filename() == "forgetful.cpp");
    CHECK(frame["lineno"] > 0);
    CHECK(frame["build_id"] == frames[0]["build_id"]);
  }
  CHECK(frames[0]["offset"] == frames[1]["offset"]);
}

}  // namespace

TEST_CASE("symbolize fills in functions, lines and inlined functions once the debug file is there") {
  const StrippedCommandLine cli;
  if (!cli.works) CODEWAKE_SKIP("objcopy does not work here");
  cli.record(2);
  for (const int event : {1, 2}) check_unresolved(cli.frames(event));
  CHECK(cli.symbolize() == outcome("symbolized", 2, 0, 0));  // nothing to be found yet
  cli.install_debug_file();
  const json counted = cli.symbolize({"--dry-run"});
  CHECK(counted == outcome("would symbolize", 2, 2, 0));
  for (const int event : {1, 2}) check_unresolved(cli.frames(event));

  CHECK(cli.symbolize() == outcome("symbolized", 2, 2, 0));
  for (const int event : {1, 2}) check_resolved(cli.frames(event), event);
  const std::string events = cli.run({"events", "--format", "json"}).out;
  // What has no debug information on this machine, such as the C library, is looked at again.
  CHECK(cli.symbolize()["resolved"] == 0);
  CHECK(cli.run({"events", "--format", "json"}).out == events);
  for (const int event : {1, 2}) check_resolved(cli.frames(event), event);
}

TEST_CASE("symbolize makes one of stack traces that were stored before and after the debug file came") {
  const StrippedCommandLine cli;
  if (!cli.works) CODEWAKE_SKIP("objcopy does not work here");
  cli.record(3);
  cli.install_debug_file();
  cli.record(2);
  CHECK(cli.stacktraces().size() == 5);
  const json result = cli.symbolize();
  CHECK(result["resolved"] == 3);
  CHECK(result["merged"] == 2);
  CHECK(cli.stacktraces().size() == 3);
  for (const int event : {1, 2, 3}) check_resolved(cli.frames(event), event);
  for (const int event : {4, 5}) CHECK(cli.frames(event) == cli.frames(event - 3));
}

TEST_CASE("symbolize may run several times at once, beside a program that records") {
  const StrippedCommandLine cli;
  if (!cli.works) CODEWAKE_SKIP("objcopy does not work here");
  constexpr int kDeepest = 40;
  cli.record(kDeepest);
  cli.install_debug_file();
  const std::string each = "codewake symbolize --format ndjson --sources " + source_folder() + " & ";
  const ChildResult result = cli.run_shell(each + each + each + "./program 40 & wait");
  CHECK(result.err == "");
  CHECK(lines_of(result.out).size() == 3);
  int resolved = cli.symbolize()["resolved"].get<int>();
  for (const std::string& line : lines_of(result.out)) resolved += json::parse(line)["resolved"].get<int>();
  CHECK(resolved == kDeepest);
  CHECK(cli.stacktraces().size() == kDeepest);
  for (const int event : {1, kDeepest, 2 * kDeepest}) {
    const std::vector<json> frames = cli.frames(event);
    check_resolved(frames, (event - 1) % kDeepest + 1);
  }
}

TEST_CASE("symbolize that is ended at whatever moment leaves what the next one goes on with") {
  const StrippedCommandLine cli;
  if (!cli.works) CODEWAKE_SKIP("objcopy does not work here");
  constexpr int kDeepest = 40;
  cli.record(kDeepest);
  cli.install_debug_file();
  for (const char* signal : {"KILL", "TERM", "INT"}) {
    for (const char* pause : {"0.005", "0.02", "0.05"}) {
      cli.run_shell("timeout -s " + std::string(signal) + " " + pause + " codewake symbolize --sources " +
                    source_folder());
    }
  }
  cli.symbolize();
  CHECK(cli.symbolize()["resolved"] == 0);
  CHECK(cli.stacktraces().size() == kDeepest);
  for (const int event : {1, kDeepest / 2, kDeepest}) check_resolved(cli.frames(event), event);
}

TEST_CASE("symbolize leaves what Code Wake for Python recorded as it is") {
  const CommandLine cli;
  const std::string events = cli.run({"event", "20", "--format", "json"}).out;
  const json result = cli.run_json(kSymbolize);
  CHECK(result[0]["state"] == "symbolized");
  CHECK(result[0]["stacktraces"] == 0);
  CHECK(cli.run({"event", "20", "--format", "json"}).out == events);
}

TEST_CASE("symbolize says to people and to other programs the same") {
  const CommandLine cli;
  const ChildResult table = cli.run({"symbolize"});
  CHECK(table.exit_code == 0);
  CHECK(table.err == "");
  const std::vector<std::string> lines = lines_of(table.out);
  REQUIRE(lines.size() == 2);
  CHECK(lines[0].starts_with("STATE       STACK TRACES  RESOLVED  MERGED  SECONDS"));
  CHECK(lines[1].starts_with("symbolized             0         0       0    0."));
  CHECK(cli.run({"symbolize", "--format", "csv"})
            .out.starts_with("state,stacktraces,resolved,merged,seconds\r\nsymbolized,0,0,0,0."));
}

TEST_CASE("symbolize stores a line of a file that the frames name only where it lies below --sources") {
  const CommandLine cli;
  cli.folder().write("secret", "root:$6$no-other-user-may-read-this\n");
  std::filesystem::permissions(cli.folder() / "secret", std::filesystem::perms(0600));
  const std::string secret = (cli.folder() / "secret").string();
  // What another user may build, and then record as a frame of its program.
  cli.folder().write("leak.cpp",
                     "#line 1 \"" + secret + "\"\nextern \"C\" int leak(int n) { return n * 3; }\n");
  const ChildResult built = cli.run_shell(
      "mkdir elsewhere && g++ -g -O1 -shared -fPIC -nostdlib -Wl,--build-id=0x" + std::string(40, 'a') +
      " -o leak.so leak.cpp && nm leak.so | awk '$3 == \"leak\" {print $1}'");
  if (built.exit_code != 0 || built.out.empty()) CODEWAKE_SKIP("g++ or nm does not work here");
  codewake::Frame frame;
  frame.filename = frame.module = (cli.folder() / "leak.so").string();
  frame.src = "+0x1";
  frame.build_id = std::string(40, 'a');
  frame.offset = std::stoull(built.out, nullptr, 16) + 1;
  {
    const codewake::Config config = codewake::Config::load({});
    const auto store = codewake::load_store("code_wake_sqlite_store", "SqliteStore",
                                            {cli.dsn("hostile.sqlite")}, config.plugin_path);
    store->insert_process({.app_name = "hostile"});
    const codewake::Stacktrace stack(std::vector<codewake::Frame>{frame});
    store->insert_event({.stacktrace = &stack});
  }
  const std::vector<std::string> at = {"--format", "json", "--store", cli.dsn("hostile.sqlite")};
  const auto symbolize = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "symbolize");
    arguments.insert(arguments.end(), at.begin(), at.end());
    CHECK(cli.run_json(arguments)[0]["state"] == "symbolized");
    std::vector<std::string> event = {"event", "1"};
    event.insert(event.end(), at.begin(), at.end());
    return cli.run_json(event)["frames"][0];
  };
  if (codewake::testing::why_no_other_user().empty()) {
    // Nothing of a file that another user can change is taken for true.
    REQUIRE(chown(frame.module.c_str(), codewake::testing::kOtherUser, 0) == 0);
    CHECK(symbolize({"--sources", cli.folder().path().string()})["lineno"] == 0);
    REQUIRE(chown(frame.module.c_str(), geteuid(), 0) == 0);
  }
  std::filesystem::copy_file(cli.folder() / "hostile.sqlite", cli.folder() / "copy.sqlite");
  for (const std::string& folder : {std::string(), std::string("elsewhere"), std::string(".")}) {
    CAPTURE(folder);
    std::filesystem::copy_file(cli.folder() / "copy.sqlite", cli.folder() / "hostile.sqlite",
                               std::filesystem::copy_options::overwrite_existing);
    const json found = symbolize(folder.empty() ? std::vector<std::string>()
                                                : std::vector{std::string("--sources"), folder});
    CHECK(found["function"] == "leak");
    CHECK(found["lineno"] == 1);
    CHECK(found["filename"] == secret);
    CHECK((found["src"] == "root:$6$no-other-user-may-read-this") == (folder == "."));
  }
  CHECK(cli.run({"symbolize", "--sources", "missing"}).exit_code == 2);
}

TEST_CASE("symbolize that is used wrongly, or without its store, fails with one line") {
  const CommandLine cli;
  const ChildResult wrong = cli.run({"symbolize", "all"});
  CHECK(wrong.exit_code == 2);
  CHECK(wrong.out == "");
  CHECK(is_one_complaint(wrong.err));
  const ChildResult away = cli.run({"symbolize", "--store", "sqlite:////nonexistent/wake.sqlite"});
  CHECK(away.exit_code == 1);
  CHECK(away.out == "");
  CHECK(is_one_complaint(away.err));
}
