// SQLite's table of system calls is the program's too: an adapter leaves nothing in it, and can be unloaded.
// This program is not linked with the adapter.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "codewake/plugin.hpp"
#include "support/child.hpp"
#include "support/temporary_folder.hpp"

namespace codewake::testing {
namespace {

namespace fs = std::filesystem;

void require(bool holds, const std::string& what) {
  if (!holds) throw std::runtime_error(what);
}

std::map<std::string, sqlite3_syscall_ptr> system_calls() {
  std::map<std::string, sqlite3_syscall_ptr> calls;
  sqlite3_vfs* const files = sqlite3_vfs_find("unix");
  for (const char* name = files->xNextSystemCall(files, nullptr); name != nullptr;
       name = files->xNextSystemCall(files, name)) {
    calls[name] = files->xGetSystemCall(files, name);
  }
  return calls;
}

std::size_t count_vfs() {
  std::size_t count = 0;
  for (const sqlite3_vfs* vfs = sqlite3_vfs_find(nullptr); vfs != nullptr; vfs = vfs->pNext) ++count;
  return count;
}

bool adapter_is_loaded() {
  std::ifstream maps("/proc/self/maps");
  std::ostringstream text;
  text << maps.rdbuf();
  return text.str().find("libcode_wake_sqlite_store") != std::string::npos;
}

std::shared_ptr<Store> load(const fs::path& file) {
  std::vector<fs::path> folders;
  std::istringstream path(std::getenv("CODE_WAKE_PLUGIN_PATH"));
  for (std::string folder; std::getline(path, folder, ':');) folders.emplace_back(folder);
  return load_store("code_wake_sqlite_store", "SqliteStore", {"sqlite:///" + file.string()}, folders);
}

/// A connection of the program's own.
class Own {
 public:
  explicit Own(const fs::path& file) {
    sqlite3* opened = nullptr;
    require(sqlite3_open(file.c_str(), &opened) == SQLITE_OK, "open");
    connection_.reset(opened);
    exec("CREATE TABLE IF NOT EXISTS t(a)");
  }
  void exec(const char* sql) {
    const int code = sqlite3_exec(connection_.get(), sql, nullptr, nullptr, nullptr);
    require(code == SQLITE_OK, std::string(sql) + ": " + sqlite3_errmsg(connection_.get()));
  }

 private:
  struct Close {
    void operator()(sqlite3* connection) const { sqlite3_close(connection); }
  };
  std::unique_ptr<sqlite3, Close> connection_;
};

TEST_CASE("the adapter gives back SQLite's system calls and VFSs with the last store, and is unloaded") {
  const TemporaryFolder folder;
  const ChildResult result = in_child([&] {
    Own own(folder / "own.sqlite");
    const auto before = system_calls();
    const std::size_t vfs_before = count_vfs();
    for (int round = 0; round < 3; ++round) {
      std::shared_ptr<Store> first = load(folder / "first.sqlite"), second = load(folder / "second.sqlite");
      first->insert_app("app", {});
      second->insert_app("app", {});
      require(second->get_apps().size() == 1, "second");
      second.reset();
      first->insert_app("other", {});
      own.exec("INSERT INTO t VALUES(1)");
      require(adapter_is_loaded(), "loaded");
      first.reset();
      require(system_calls() == before, "SQLite's own system calls");
      require(count_vfs() == vfs_before, "SQLite's own VFSs");
      require(!adapter_is_loaded(), "not unloaded");
      own.exec("INSERT INTO t VALUES(2)");
    }
  });
  INFO(result.err);
  CHECK(result.exit_code == 0);
}

TEST_CASE("a program that uses SQLite all the time goes on while the adapter comes and goes") {
  const TemporaryFolder folder;
  const ChildResult result = in_child([&] {
    std::atomic<bool> ends = false;
    std::vector<std::thread> threads;
    for (int i = 0; i < 2; ++i) {
      threads.emplace_back([&, i] {
        const fs::path file = folder / ("own" + std::to_string(i) + ".sqlite");
        while (!ends) {
          Own own(file);
          for (int j = 0; j < 20; ++j) own.exec("INSERT INTO t VALUES(1); SELECT * FROM t LIMIT 1");
        }
      });
    }
    for (int round = 0; round < 100; ++round) load(folder / "events.sqlite")->insert_app("app", {});
    ends = true;
    for (std::thread& thread : threads) thread.join();
  });
  INFO(result.err);
  CHECK(result.exit_code == 0);
  CHECK(result.signal == 0);
}

TEST_CASE("a program whose connection has got a descriptor that the store has lost goes on") {
  const TemporaryFolder folder;
  const ChildResult result = in_child([&] {
    const std::shared_ptr<Store> store = load(folder / "events.sqlite");
    store->insert_app("app", {});
    require(store->get_apps().size() == 1, "before");
    for (int fd = STDERR_FILENO + 1; fd < 1024; ++fd) close(fd);
    Own first(folder / "own1.sqlite"), second(folder / "own2.sqlite");
    for (int i = 0; i < 10; ++i) {
      first.exec("INSERT INTO t VALUES(1)");
      store->insert_app("app" + std::to_string(i), {});
      second.exec("INSERT INTO t VALUES(1)");
      require(store->get_apps().size() == static_cast<std::size_t>(i) + 2, "after");
    }
    store->shutdown(std::chrono::seconds(5));
    first.exec("INSERT INTO t VALUES(1); SELECT * FROM t");
    second.exec("INSERT INTO t VALUES(1); SELECT * FROM t");
  });
  INFO(result.err);
  CHECK(result.exit_code == 0);
}

TEST_CASE("the program's own connection to the store's file opens it as SQLite does") {
  const TemporaryFolder folder;
  const ChildResult result = in_child([&] {
    const std::shared_ptr<Store> store = load(folder / "events.sqlite");
    store->insert_app("app", {});
    // The store would refuse a link, and what all users can write; the program decides for itself.
    fs::create_symlink(folder / "events.sqlite", folder / "link.sqlite");
    Own own(folder / "link.sqlite");
    own.exec("INSERT INTO t VALUES(1)");
    store->insert_app("other", {});
    own.exec("SELECT * FROM apps");
  });
  INFO(result.err);
  CHECK(result.exit_code == 0);
}

}  // namespace
}  // namespace codewake::testing
