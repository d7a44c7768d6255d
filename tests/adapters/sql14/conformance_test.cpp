#include <memory>
#include <string>

#include "adapters/sqlite/support.hpp"
#include "codewake/sql14_store.hpp"
#include "codewake/testing/store_conformance.hpp"
#include "support/temporary_folder.hpp"

namespace codewake::testing {

CODEWAKE_STORE_CONFORMANCE("Sql14Store on SQLite", [] {
  auto folder = std::make_shared<TemporaryFolder>();
  const std::filesystem::path file = *folder / "events.sqlite";
  return Storage{
      .open = [folder, file] { return std::make_shared<Sql14Store>(dsn_of(file)); },
      .refuse_key =
          [file](std::string_view key) {
            Database(file).exec("ALTER TABLE events_data ADD COLUMN refused INTEGER CHECK(\"key\" <> '" +
                                std::string(key) + "')");
          }};
})

}  // namespace codewake::testing
