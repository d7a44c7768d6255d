#include <doctest/doctest.h>

#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "adapters/writing.hpp"
#include "codewake/sqlite_store.hpp"
#include "support.hpp"
#include "support/temporary_folder.hpp"

namespace codewake::testing {
namespace {

/// Whether a line of EXPLAIN QUERY PLAN reads a table that grows, by itself or by the name that the queries
/// give it, from end to end.
bool is_full_scan(const std::string& line) {
  for (const char* table : {"events", "events_data", "e", "d"}) {
    const std::string scan = std::string("SCAN ") + table;
    if (line == scan || line == "SCAN TABLE " + std::string(table)) return true;
  }
  return false;
}

TEST_CASE("look-ups by data, pages, exceptions and single events read no table from end to end") {
  const TemporaryFolder folder;
  const std::filesystem::path file = folder / "events.sqlite";
  {
    SqliteStore store(dsn_of(file));
    write_events(store, "app", "key", numbered("v", 40'000));
    write_rare_events(store, 20, 40'000);
  }
  for (const bool analyzed : {false, true}) {
    CAPTURE(analyzed);
    Database database(file);
    if (analyzed) database.exec("ANALYZE");
    std::set<std::string> statements;
    {
      const Statements watched;
      SqliteStore store(dsn_of(file));
      const auto found = store.get_events_by_data({{"key", "v777"}});
      REQUIRE(found.size() == 1);
      CHECK(store.get_event_by_id(found[0].id).has_value());
      CHECK(store.get_events({.where = {{"key", "v777"}}}).events.size() == 1);
      const EventPage page = store.get_events({.limit = 50});
      CHECK(page.events.size() == 50);
      CHECK(store.get_events({.limit = 50, .cursor = page.next}).events.size() == 50);
      CHECK(store.get_events({.process_id = found[0].process_id, .limit = 50}).events.size() == 50);
      check_rare_events_are_found(store, 20);
      statements = Statements::sql();
    }
    std::size_t looked_at = 0;
    for (const std::string& sql : statements) {
      if (!sql.starts_with("SELECT") && !sql.starts_with("WITH")) continue;
      ++looked_at;
      for (const auto& row : database.rows("EXPLAIN QUERY PLAN " + sql)) {
        CHECK_MESSAGE(!is_full_scan(row.at(3)), row.at(3), " of ", sql.substr(0, 500));
      }
    }
    CHECK(looked_at > 20);
  }
}

}  // namespace
}  // namespace codewake::testing
