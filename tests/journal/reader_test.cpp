// A reader that was written from FORMAT.md alone reads what the library writes.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <stdio.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "codewake/stacktrace.hpp"
#include "journal/support.hpp"
#include "support/skip.hpp"

using namespace codewake;
using namespace codewake::testing;
using internal::Lane;
using internal::LiveJournal;
using Json = nlohmann::json;

namespace {

bool has_python() {
  return std::system("python3 -c 'import sys; sys.exit(sys.version_info < (3, 8))' >/dev/null 2>&1") == 0;
}

std::vector<Json> read_by_python(const JournalFolder& folder, const std::string& run) {
  const std::filesystem::path out = folder.path() / "out";
  const std::string command =
      fmt::format("python3 '{}' '{}' '{}' > '{}'", test_data("../journal/read_journal.py").string(),
                  (folder.path() / run).string(), (folder.front_root() / run).string(), out.string());
  REQUIRE(std::system(command.c_str()) == 0);
  std::istringstream lines(read_file(out));
  std::vector<Json> records;
  for (std::string line; std::getline(lines, line);) records.push_back(Json::parse(line));
  return records;
}

std::string wide(std::size_t number) {
  return fmt::format("{:0>230}", number);
}

template <class Event = EventInput>
void append(LiveJournal& journal, Lane& lane, const Event& event) {
  std::uint64_t position = 0;
  REQUIRE(journal.append(lane, event, {.ticks = journal.ticks(), .process = 1, .flags = 0}, position) ==
          internal::Accepted::yes);
}

// Everything that an event can have.
void write_kinds(LiveJournal& journal, Lane& lane) {
  const std::string key(3000, 'k');
  const std::string value(66'000, 'v');
  const AttributeArgument data[] = {{"null", nullptr},
                                    {"text", "h\xC3\xA4"},
                                    {"c", 'x'},
                                    {"b", true},
                                    {"i", std::numeric_limits<std::int64_t>::min()},
                                    {"u", std::numeric_limits<std::uint64_t>::max()},
                                    {"f", 1.5f},
                                    {"d", 0.1},
                                    {key, ""},
                                    {"", value}};
  append(journal, lane, {.data = data});
  append(journal, lane, {.data = std::span(data).first(9), .when = Time(std::chrono::nanoseconds(-5))});
  append(journal, lane, {.process_id = 77, .data = std::span(data).first(0)});
  void* const addresses[] = {reinterpret_cast<void*>(0x401000), reinterpret_cast<void*>(0x7f0000000010)};
  const Stacktrace raw{std::span(addresses)};
  append(journal, lane, {.stacktrace = &raw});
  const Stacktrace resolved(
      std::vector<Frame>{{.filename = "a.cpp", .lineno = 3, .src = "f();", .function = "f"}});
  append(journal, lane, {.stacktrace = &resolved});
  TraceEventInput traced;
  traced.kind = TraceKind::lock_acquire;
  traced.id.bytes.fill(1);
  traced.trace_id.bytes.fill(2);
  traced.step = 9;
  traced.duration = std::chrono::nanoseconds(-3);
  traced.texts.service = "s\xC3\xA4";
  traced.texts.locks = "[]";
  append(journal, lane, traced);
  const TraceTie tie{traced.trace_id, {}};
  append(journal, lane, {.trace = &tie});
}

}  // namespace

TEST_CASE("A reader made from the specification reads every kind of record and of value") {
  if (!has_python()) CODEWAKE_SKIP("there is no python3 of version 3.8 or later");
  const JournalFolder folder;
  LiveJournal journal(folder.options());
  const ProcessInfo info{
      .run_ts = Time(std::chrono::nanoseconds(5)), .app_name = "shop", .pid = 42, .fqdn = "h"};
  REQUIRE(journal.append_process(info, 1) == internal::Accepted::yes);
  write_kinds(journal, *journal.acquire_lane());
  const std::vector<Json> found = read_by_python(folder, journal.run());
  REQUIRE(found.size() == 8);
  CHECK(found[0]["process_info"] == Json::parse(R"({"run_ts": 5, "pid": 42, "app": "shop", "version": null,
      "environment": null, "user": null, "host": "h", "executable": null})"));
  CHECK(found[1]["flags"] == internal::kExternal);
  const Json& data = found[1]["event"]["data"];
  REQUIRE(data.size() == 10);
  CHECK(data[0] == Json::parse(R"(["null", 0, null])"));
  CHECK(data[1] == Json::parse("[\"text\", 1, \"h\xC3\xA4\"]"));
  CHECK(data[2] == Json::parse(R"(["c", 2, "x"])"));
  CHECK(data[3] == Json::parse(R"(["b", 3, true])"));
  CHECK(data[4] == Json::parse(R"(["i", 4, -9223372036854775808])"));
  CHECK(data[5] == Json::parse(R"(["u", 5, 18446744073709551615])"));
  CHECK(data[6] == Json::parse(R"(["f", 6, 1.5])"));
  CHECK(data[7] == Json::parse(R"(["d", 7, 0.1])"));
  CHECK(data[8] == Json::array({std::string(3000, 'k'), 1, ""}));
  CHECK(data[9] == Json::array({"", 1, std::string(66'000, 'v')}));
  CHECK(found[2]["event"]["when"] == -5);
  CHECK(found[2]["event"]["data"].size() == 9);
  CHECK(found[3]["event"] == Json::parse(R"({"process_id": 77, "data": []})"));
  CHECK(found[4]["event"] == Json::parse(R"({"addresses": [4198400, 139637976727568]})"));
  CHECK(found[5]["event"] == Json::parse(R"({"frames": [[3, 0, "a.cpp", "f();", "f", "", ""]]})"));
  const Json& traced = found[6]["trace_event"];
  CHECK(traced["kind"] == 6);
  CHECK(traced["access"] == 0);
  CHECK(traced["step"] == 9);
  CHECK(traced["duration_ns"] == -3);
  CHECK(traced["id"] == "01010101010101010101010101010101");
  CHECK(traced["texts"] ==
        Json::parse("[\"s\xC3\xA4\", \"\", \"\", \"\", \"\", \"\", \"\", \"\", \"\", \"[]\"]"));
  CHECK(found[7]["event"]["trace"] ==
        Json::parse(R"(["02020202020202020202020202020202", "0000000000000000"])"));
  for (const Json& record : found) CHECK_FALSE(record.contains("problem"));
  journal.remove_files();
}

TEST_CASE("A reader made from the specification reads the same records at the same times as the library") {
  if (!has_python()) CODEWAKE_SKIP("there is no python3 of version 3.8 or later");
  const JournalFolder folder;
  std::string run;
  {
    LiveJournal journal(folder.options());
    run = journal.run();
    Lane* const lanes[] = {journal.acquire_lane(), journal.acquire_lane()};
    std::size_t count = 0;
    const auto write_some = [&](std::size_t more) {
      for (; more > 0; --more, ++count) write(journal, *lanes[count % 2], wide(count));
    };
    write_some(100);
    collect_all(journal);
    journal.settle();
    write_some(1500);  // over the end of a slot
    journal.keep({.spill_everything = true});
    write_some(1400);
  }
  const std::vector<Json> found = read_by_python(folder, run);
  auto dead = folder.take_over(run);
  REQUIRE(dead);
  dead->open();
  const std::vector<Collected> expected = collect_all(*dead);
  CHECK(expected.size() == 2900);
  REQUIRE(found.size() == expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    CAPTURE(i);
    REQUIRE(found[i]["lane"] == expected[i].lane);
    REQUIRE(found[i]["position"] == expected[i].position);
    REQUIRE(found[i]["event"]["data"][0][2] == expected[i].text);
    const std::int64_t time = expected[i].time.time_since_epoch().count();
    CHECK(std::llabs(found[i]["time"].get<std::int64_t>() - time) < 2000);
  }
}
