#include "adapters/sqlite/support.hpp"
#include "codewake/sqlite_store.hpp"
#include "faults/target.hpp"
#include "faults/troubled_store.hpp"
#include "support/temporary_folder.hpp"

namespace codewake::testing {

class Target::Impl {
 public:
  std::filesystem::path file() const { return file_in("present"); }
  std::filesystem::path file_in(const std::string& name) const { return folder_ / name / "events.sqlite"; }
  std::filesystem::path folder(const std::string& name) const { return folder_ / name; }

  std::vector<std::string> moved;

 private:
  TemporaryFolder folder_;
};

std::string Target::missing() {
  return "";
}

Target::Target(std::uint64_t) : impl_(std::make_unique<Impl>()) {
  // In a child: programs inherit no connection.
  REQUIRE(wait_for(start_child([&] { store()->insert_app("faults", {}); })) == 0);
}

Target::~Target() = default;

std::shared_ptr<Store> Target::store(const Trouble& trouble) const {
  return std::make_shared<TroubledStore<SqliteStore>>(dsn_of(impl_->file()), trouble);
}

std::shared_ptr<Store> Target::queue(const Config::Queue& options, const Trouble& trouble) const {
  return std::make_shared<TroubledQueueStore<SqliteStore>>(options, dsn_of(impl_->file()), trouble);
}

std::vector<std::vector<std::string>> Target::rows(const std::string& sql) {
  return Database(impl_->file()).rows(sql);
}

void Target::move_away() {
  if (!std::filesystem::exists(impl_->folder("present"))) return;  // no program has made it yet
  impl_->moved.push_back(std::to_string(impl_->moved.size()));
  std::filesystem::rename(impl_->folder("present"), impl_->folder(impl_->moved.back()));
}

std::vector<std::vector<std::vector<std::string>>> Target::rows_of_all(const std::string& sql) {
  std::vector<std::vector<std::vector<std::string>>> all;
  const auto add = [&](const std::filesystem::path& file) {
    if (!std::filesystem::exists(file)) return;
    Database database(file);
    // A program that was killed while it made the file has made no tables.
    if (database.number("SELECT count(*) FROM sqlite_master WHERE name = 'events_data'") == 0) return;
    all.push_back(database.rows(sql));
  };
  for (const std::string& name : impl_->moved) add(impl_->file_in(name));
  add(impl_->file());
  return all;
}

std::string Target::conclude() {
  return "on SQLite";
}

}  // namespace codewake::testing
