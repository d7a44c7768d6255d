// `codewake races`, `codewake audit` and `codewake locks`, on what programs recorded.
#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <latch>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "codewake/config.hpp"
#include "codewake/plugin.hpp"
#include "codewake/trace_tasks.hpp"
#include "codewake/traced.hpp"
#include "codewake/tracing.hpp"
#include "command_line.hpp"

using codewake::Scope;
using codewake::spawn;
using codewake::Traced;
using codewake::TracedMutex;
using codewake::Tracer;
using codewake::testing::ChildResult;
using codewake::testing::CommandLine;
using codewake::testing::is_one_complaint;
using codewake::testing::lines_of;
using nlohmann::json;

namespace {

enum class Bank { racy, repaired };

/// Two payments at once; the result is the trace's id.
std::string record_race(const CommandLine& cli, Bank bank) {
  const std::shared_ptr<codewake::Store> store = codewake::load_store(
      "code_wake_sqlite_store", "SqliteStore", {cli.dsn()}, codewake::Config::load().plugin_path);
  store->insert_process({.app_name = "bank"});
  Tracer tracer(store, {.service_name = "bank", .instance_id = "1"});
  const Scope scope(tracer);
  Traced<int> balance("account:alice", 100);
  TracedMutex<> mutex("lock:alice");
  const auto pay = [&](int amount) {
    std::unique_lock lock(mutex, std::defer_lock);
    if (bank == Bank::repaired) lock.lock();
    balance.set(balance.get() - amount);
  };
  // One after the other, though the trace knows nothing of that.
  std::latch rent_is_paid(1);
  auto rent = spawn(
      [&] {
        pay(30);
        rent_is_paid.count_down();
      },
      "rent");
  auto food = spawn(
      [&] {
        rent_is_paid.wait();
        pay(20);
      },
      "food");
  rent.join();
  food.join();
  return to_hex(scope.context().tie().trace_id);
}

}  // namespace

TEST_CASE("races shows a lost update with its places, and --fail exits with 3") {
  const CommandLine cli;
  record_race(cli, Bank::racy);
  const ChildResult shown = cli.run({"races"});
  CHECK(shown.exit_code == 0);
  CHECK(shown.out.find("Race: two writes of account:alice (critical)") != std::string::npos);
  CHECK(shown.out.find("races_test.cpp:") != std::string::npos);
  CHECK(shown.out.find("Check, then act") != std::string::npos);
  CHECK(cli.run({"races", "--fail"}).exit_code == 3);
  const json races = cli.run_json({"races", "--format", "json"});
  REQUIRE(races.size() >= 2);
  CHECK(races[0]["verdict"] == "race");
  CHECK(races[0]["severity"] == "critical");
  CHECK(races[0]["uncertain"] == false);
  CHECK(races[0]["write_write"] == 1);
  CHECK(races[0]["read_write"] == 2);
  CHECK(races[0]["events"].size() == 2);
  CHECK(races[0]["events"][0]["data"]["new_value"].is_number());
  REQUIRE(races[0]["stacks"].size() == 2);
  const json& stack = races[0]["stacks"][0];
  REQUIRE(stack.size() == 1);
  CHECK(stack[0]["kind"] == "spawn");
  CHECK((stack[0]["name"] == "rent" || stack[0]["name"] == "food"));
  CHECK(stack[0]["service"] == "bank");
  CHECK(stack[0]["line"].is_number());
  CHECK(shown.out.find("\n      in rent, spawned at ") != std::string::npos);
  CHECK(lines_of(cli.run({"races", "--format", "ndjson"}).out).size() == races.size());
  CHECK(
      lines_of(cli.run({"races", "--format", "csv"}).out).front().starts_with("verdict,severity,uncertain"));
}

TEST_CASE("races says that there is nothing, and --fail is content then") {
  const CommandLine cli;
  const ChildResult empty = cli.run({"races", "--fail"});
  CHECK(empty.exit_code == 0);
  CHECK(empty.out == "0 findings, in 0 events of 0 executions in 0 traces.\n");
  const std::string trace = record_race(cli, Bank::repaired);
  const ChildResult clean = cli.run({"races", "--fail", "--trace", trace});
  CHECK(clean.exit_code == 0);
  CHECK(clean.out == "0 findings, in 12 events of 3 executions in 1 trace.\n");
  CHECK(cli.run_json({"races", "--format", "json"}).empty());
}

TEST_CASE("races looks only at what it is asked to look at") {
  const CommandLine cli;
  const std::string racy = record_race(cli, Bank::racy);
  const std::string clean = record_race(cli, Bank::repaired);
  CHECK(cli.run({"races", "--fail", "--trace", racy}).exit_code == 3);
  CHECK(cli.run({"races", "--fail", "--trace", clean}).exit_code == 0);
  CHECK(cli.run({"races", "--fail", "--until", "2020-01-01"}).exit_code == 0);
  for (const auto& wrong :
       {std::vector<std::string>{"races", "--trace", "abc"}, {"races", "--since", "whenever"}}) {
    const ChildResult refused = cli.run(wrong);
    CHECK(refused.exit_code == 2);
    CHECK(is_one_complaint(refused.err));
  }
}

TEST_CASE("Accepted findings are suppressed, and suppressions of nothing are named") {
  const CommandLine cli;
  record_race(cli, Bank::racy);
  const std::string file = cli.folder().path() / "accepted.txt";
  const auto write = [&](const std::string& text) { std::ofstream(file) << text; };
  write("# known\n* races_test.cpp:* account:*\n\nrace nowhere.cpp:1  # gone\n");
  const ChildResult suppressed = cli.run({"races", "--fail", "--suppress", file});
  CHECK(suppressed.exit_code == 0);
  CHECK(suppressed.out.starts_with("0 findings, "));
  CHECK(suppressed.out.find(" suppressed") != std::string::npos);
  CHECK(suppressed.err == "codewake: nothing was found that 'race nowhere.cpp:1  ' suppresses\n");
  write("* food\n");
  CHECK(cli.run({"races", "--fail", "--suppress", file}).exit_code == 0);
  write("check-then-act account:alice\n");
  CHECK(cli.run({"races", "--fail", "--suppress", file}).exit_code == 3);
  for (const char* wrong : {"race\n", "raze account:alice\n"}) {
    write(wrong);
    const ChildResult refused = cli.run({"races", "--suppress", file});
    CHECK(refused.exit_code == 2);
    CHECK(refused.err.find("line 1") != std::string::npos);
  }
  CHECK(cli.run({"races", "--suppress", file + ".not"}).exit_code == 2);
}

TEST_CASE("audit shows a variable's accesses in causal order, and which updates were lost") {
  const CommandLine cli;
  record_race(cli, Bank::racy);
  const json trail = cli.run_json({"audit", "account:alice", "--format", "json"});
  REQUIRE(trail.size() == 4);
  const auto lost = std::count_if(trail.begin(), trail.end(),
                                  [](const json& access) { return !access["lost_update"].is_null(); });
  CHECK(lost == 1);
  const ChildResult shown = cli.run({"audit", "account:alice"});
  CHECK(shown.out.find("loses the update") != std::string::npos);
  const ChildResult none = cli.run({"audit", "account:bob"});
  CHECK(none.exit_code == 1);
  CHECK(is_one_complaint(none.err));
  CHECK(cli.run({"audit"}).exit_code == 2);

  const CommandLine repaired;
  record_race(repaired, Bank::repaired);
  for (const json& access : repaired.run_json({"audit", "account:alice", "--format", "json"})) {
    CHECK(access["lost_update"].is_null());
    CHECK(access["unordered"] == false);
  }
}

TEST_CASE("locks shows how a lock was used") {
  const CommandLine cli;
  CHECK(cli.run_json({"locks", "--format", "json"}).empty());
  record_race(cli, Bank::repaired);
  const json locks = cli.run_json({"locks", "--format", "json"});
  REQUIRE(locks.size() == 1);
  CHECK(locks[0]["lock"] == "lock:alice");
  CHECK(locks[0]["taken"] == 2);
  CHECK(locks[0]["executions"] == 2);
  CHECK(locks[0]["held_ns"] > 0);
  CHECK(cli.run({"locks"}).out.find("lock:alice") != std::string::npos);
}
