#include <atomic>
#include <memory>
#include <string>

#include "adapters/sqlite/support.hpp"
#include "codewake/sqlite_store.hpp"
#include "codewake/testing/store_conformance.hpp"
#include "queue/scripted_queue_store.hpp"
#include "support/journal_folder.hpp"
#include "support/temporary_folder.hpp"

namespace codewake::testing {
namespace {

struct Place {
  TemporaryFolder folder;
  JournalFolder journal;

  Config::Queue options() const {
    Config::Queue options;
    options.journal = journal.path();
    options.interval = std::chrono::milliseconds(1);
    return options;
  }
};

/// With a store of one's own this is all that it takes.
class MyStore : public MemoryStore {
 public:
  explicit MyStore(const std::vector<std::string>& parameters) : MemoryStore(parameters) {}
};
class MyQueueStore : public QueueStore<MyStore> {
 public:
  using QueueStore::QueueStore;
};

std::string fresh_name() {
  static std::atomic<int> number{0};
  return "conformance of a queue " + std::to_string(++number);
}

CODEWAKE_STORE_CONFORMANCE("SqliteQueueStore in a file", [] {
  auto place = std::make_shared<Place>();
  const std::filesystem::path file = place->folder / "events.sqlite";
  return Storage{
      .open = [place, file] { return std::make_shared<SqliteQueueStore>(place->options(), dsn_of(file)); },
      .refuse_key =
          [file](std::string_view key) {
            Database(file).exec("ALTER TABLE events_data ADD COLUMN refused INTEGER CHECK(\"key\" <> '" +
                                std::string(key) + "')");
          }};
})

CODEWAKE_STORE_CONFORMANCE("MyQueueStore in named memory", [] {
  auto place = std::make_shared<Place>();
  const std::vector<std::string> parameters = {fresh_name()};
  const auto held = std::make_shared<MyStore>(parameters);
  return Storage{.open = [place, held, parameters] {
    return std::make_shared<MyQueueStore>(place->options(), parameters);
  }};
})

}  // namespace
}  // namespace codewake::testing
