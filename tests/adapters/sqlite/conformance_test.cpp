#include <memory>
#include <string>

#include "codewake/sqlite_store.hpp"
#include "codewake/testing/store_conformance.hpp"
#include "support.hpp"
#include "support/temporary_folder.hpp"

namespace codewake::testing {

CODEWAKE_STORE_CONFORMANCE("SqliteStore in a file", [] {
  auto folder = std::make_shared<TemporaryFolder>();
  const std::filesystem::path file = *folder / "events.sqlite";
  return Storage{
      .open = [folder, file] { return std::make_shared<SqliteStore>(dsn_of(file)); },
      .refuse_key =
          [file](std::string_view key) {
            Database(file).exec("ALTER TABLE events_data ADD COLUMN refused INTEGER CHECK(\"key\" <> '" +
                                std::string(key) + "')");
          }};
})

CODEWAKE_STORE_CONFORMANCE("SqliteStore in memory", [] {
  return Storage{.open = [] { return std::make_shared<SqliteStore>("sqlite:///:memory:"); },
                 .reopens = false};
})

}  // namespace codewake::testing
