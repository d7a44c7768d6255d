#include "adapters/sqlite/support.hpp"
#include "codewake/sqlite_store.hpp"
#include "faults/target.hpp"
#include "faults/troubled_store.hpp"
#include "support/temporary_folder.hpp"

namespace codewake::testing {

class Target::Impl {
 public:
  std::filesystem::path file() const { return folder_ / "events.sqlite"; }

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

std::string Target::conclude() {
  return "on SQLite";
}

}  // namespace codewake::testing
