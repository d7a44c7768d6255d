#include <memory>
#include <string>

#include "codewake/postgres_store.hpp"
#include "codewake/testing/store_conformance.hpp"
#include "server.hpp"
#include "support/skip.hpp"

namespace codewake::testing {
namespace {

Storage storage() {
  const auto database = std::make_shared<Database>();
  return {
      .open = [database] { return std::make_shared<PostgresStore>(database->dsn()); },
      .refuse_key =
          [database](std::string_view key) {
            database->exec(
                "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.\"key\" = '" +
                std::string(key) +
                "' THEN RAISE EXCEPTION 'refused'; END IF; RETURN NEW; END $$; CREATE TRIGGER refuse BEFORE "
                "INSERT ON events_data FOR EACH ROW EXECUTE FUNCTION refuse()");
          }};
}

// CODEWAKE_STORE_CONFORMANCE, but for machines without a server.
#define CODEWAKE_CASE(store, storage, sentence, check) \
  TEST_CASE(store ": " sentence) {                     \
    CODEWAKE_NEEDS_SERVER();                           \
    conformance::check(storage());                     \
  }
CODEWAKE_STORE_CONFORMANCE_EVERY(CODEWAKE_CASE, "PostgresStore", storage)

}  // namespace
}  // namespace codewake::testing
