// What another user of the machine may do to a database: put one in place, or a link, a pipe or a device, and
// swap them while the store opens them. In each test one user attacks another.
#include <doctest/doctest.h>
#include <grp.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include "codewake/sqlite_store.hpp"
#include "support.hpp"
#include "support/other_user.hpp"
#include "support/skip.hpp"
#include "support/temporary_folder.hpp"

namespace codewake::testing {
namespace {

namespace fs = std::filesystem;

constexpr uid_t kThirdUser = 65533;
constexpr gid_t kTeam = 65000;
constexpr const char* kSuffixes[] = {"", "-wal", "-shm", "-journal"};

#define CODEWAKE_NEEDS_OTHER_USER() \
  if (const std::string reason = why_no_other_user(); !reason.empty()) CODEWAKE_SKIP(reason)

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

void require(bool holds, const std::string& what) {
  if (!holds) throw std::runtime_error(what);
}

/// A folder like /tmp: all users make files in it, and none removes another's.
struct SharedFolder : TemporaryFolder {
  SharedFolder() { chmod(path().c_str(), 01777); }
};

void check_as(const ChildResult& result) {
  INFO(result.err);
  CHECK(result.exit_code == 0);
}

/// As a user that is a member of kTeam.
void become(uid_t user) {
  require(setgroups(1, &kTeam) == 0 && setresgid(user, user, user) == 0 && setresuid(user, user, user) == 0,
          "setresuid");
}

std::string refused(const fs::path& file, const std::vector<std::string>& more = {}) {
  std::vector<std::string> parameters = {dsn_of(file)};
  parameters.insert(parameters.end(), more.begin(), more.end());
  try {
    SqliteStore(parameters).insert_app("ours", {});
  } catch (const StoreError& error) {
    require(error.kind() == StoreError::Kind::unavailable, error.what());
    return error.what();
  }
  return "";
}

std::string file_mode(const fs::path& file) {
  struct stat status {};
  if (lstat(file.c_str(), &status) != 0) return "none";
  char text[16];
  std::snprintf(text, sizeof text, "%04o", status.st_mode & 07777u);
  return text;
}

/// A whole database with two apps, and what `sql` adds. With `is_left_open` its writer ends as if killed, and
/// leaves its WAL.
void make_hostile(const fs::path& file, const std::string& sql, bool is_left_open) {
  auto store = std::make_unique<SqliteStore>(dsn_of(file));
  for (const char* app : {"theirs", "last"}) store->insert_app(app, {});
  Database(file).exec(sql);
  if (is_left_open) std::_Exit(0);
}

constexpr const char* kLoot =
    "CREATE TABLE loot(name TEXT); CREATE TRIGGER steal AFTER INSERT ON apps BEGIN INSERT INTO loot "
    "VALUES(new.name); END";

TEST_CASE("root does not write to another user's database, runs no trigger of it, and reads it") {
  CODEWAKE_NEEDS_OTHER_USER();
  for (const bool is_left_open : {false, true}) {
    CAPTURE(is_left_open);
    const SharedFolder folder;
    const fs::path file = folder / "events.sqlite";
    check_as(as_other_user([&] { make_hostile(file, kLoot, is_left_open); }));
    CHECK(fs::exists(folder / "events.sqlite-wal") == is_left_open);
    const std::string message = refused(file);
    CHECK(contains(message, file.string() + " belongs to another user (user 65534"));
    CHECK(contains(message, "/var/lib/code_wake"));
    SqliteStore store(dsn_of(file));
    CHECK(store.get_apps().size() == 2);
    CHECK(store.get_events({}).events.empty());
    CHECK(Database(file).number("SELECT count(*) FROM loot WHERE name = 'ours'") == 0);
  }
}

TEST_CASE("root makes and changes no file where it reads another user's database") {
  CODEWAKE_NEEDS_OTHER_USER();
  for (const bool is_left_open : {false, true}) {
    CAPTURE(is_left_open);
    const SharedFolder folder;
    const fs::path file = folder / "events.sqlite";
    check_as(as_other_user([&] { make_hostile(file, kLoot, is_left_open); }));
    std::vector<std::string> before, after;
    for (const char* suffix : kSuffixes) {
      if (fs::exists(file.string() + suffix)) before.push_back(read_file(file.string() + suffix));
    }
    CHECK_FALSE(SqliteStore(dsn_of(file)).get_apps().empty());
    for (const char* suffix : kSuffixes) {
      if (fs::exists(file.string() + suffix)) after.push_back(read_file(file.string() + suffix));
    }
    CHECK(before == after);
  }
}

TEST_CASE("a view in another user's database is not run where root reads it") {
  CODEWAKE_NEEDS_OTHER_USER();
  const SharedFolder folder;
  const fs::path file = folder / "events.sqlite";
  check_as(as_other_user([&] {
    // A program that runs it never ends.
    make_hostile(
        file,
        "ALTER TABLE apps RENAME TO kept; CREATE VIEW apps AS WITH RECURSIVE n(i) AS (SELECT 1 UNION "
        "ALL SELECT i + 1 FROM n) SELECT i AS id, 'x' AS name FROM n",
        false);
  }));
  SqliteStore store(dsn_of(file));
  store_error(StoreError::Kind::unavailable, [&] { store.get_apps(); });
  CHECK_FALSE(refused(file).empty());
}

enum class Trap { dangling_link, link, hard_link, pipe, device };

/// What lies at `path`, with `victim` behind it; false where it cannot be made here. Hard links to another's
/// files are those of a kernel that allows them (fs.protected_hardlinks=0): root makes the same here.
bool set_trap(Trap trap, const fs::path& path, const fs::path& victim, const fs::path& nowhere) {
  switch (trap) {
    case Trap::dangling_link:
      check_as(as_other_user([&] { fs::create_symlink(nowhere, path); }));
      return true;
    case Trap::link:
      check_as(as_other_user([&] { fs::create_symlink(victim, path); }));
      return true;
    case Trap::hard_link:
      fs::create_hard_link(victim, path);
      return true;
    case Trap::pipe:
      check_as(as_other_user([&] { require(mkfifo(path.c_str(), 0666) == 0, "mkfifo"); }));
      return true;
    case Trap::device:
      return mknod(path.c_str(), S_IFCHR | 0666, makedev(1, 3)) == 0;
  }
  return false;
}

TEST_CASE("links, pipes and devices in place of a database, its WAL, shared memory or journal are refused") {
  CODEWAKE_NEEDS_OTHER_USER();
  for (const Trap trap : {Trap::dangling_link, Trap::link, Trap::hard_link, Trap::pipe, Trap::device}) {
    for (const std::string suffix : kSuffixes) {
      CAPTURE(static_cast<int>(trap));
      CAPTURE(suffix);
      const SharedFolder folder;
      const TemporaryFolder own;
      const fs::path victim = own.write("victim", "");
      if (!set_trap(trap, folder / ("events.sqlite" + suffix), victim, own / "nowhere")) continue;
      if (!suffix.empty()) folder.write("events.sqlite", "");
      CHECK(contains(refused(folder / "events.sqlite"),
                     "events.sqlite" + suffix + (trap == Trap::hard_link ? " has other names" : " is ")));
      CHECK(read_file(victim).empty());
      CHECK_FALSE(fs::exists(own / "nowhere"));
    }
  }
}

/// What another user swaps, without an end, while root opens a database.
struct Swaps {
  std::atomic<int> count{0};
  std::atomic<bool> stop{false};
};

/// In memory that a child shares.
struct SharedSwaps {
  SharedSwaps()
      : swaps(new (mmap(nullptr, sizeof(Swaps), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0))
                  Swaps) {}
  SharedSwaps(const SharedSwaps&) = delete;
  SharedSwaps& operator=(const SharedSwaps&) = delete;
  ~SharedSwaps() { munmap(swaps, sizeof(Swaps)); }
  Swaps* swaps;
};

/// At `path`: a link out of the folder, nothing, a thing of the user's own, nothing, …; where root has made
/// something there, it stays.
void swap_for_ever(const fs::path& path, const fs::path& outside, bool is_folder, Swaps& swaps) {
  const fs::path own = path.string() + ".own", link = path.string() + ".link";
  while (!swaps.stop) {
    if (is_folder) {
      mkdir(own.c_str(), 0777);
    } else {
      std::fclose(std::fopen(own.c_str(), "w"));
    }
    static_cast<void>(symlink(outside.c_str(), link.c_str()));
    std::rename(link.c_str(), path.c_str());
    std::remove(path.c_str());
    std::rename(own.c_str(), path.c_str());
    std::error_code ignored;
    fs::remove_all(path, ignored);
    ++swaps.count;
  }
}

void open_while_swapped(const std::string& swapped, const std::string& target, bool is_folder) {
  const SharedFolder folder;
  const TemporaryFolder outside;
  const fs::path file = folder / target;
  const SharedSwaps shared;
  const pid_t attacker = start_child([&] {
    become_other_user();
    swap_for_ever(folder / swapped, is_folder ? outside.path() : outside / "made", is_folder, *shared.swaps);
  });
  constexpr int kLeastSwaps = 1'000, kLeastOpened = 300;
  for (int opened = 0; opened < kLeastOpened || shared.swaps->count < kLeastSwaps; ++opened) {
    SqliteStore store({dsn_of(file), "synchronous=off", "busy_timeout=1ms"});
    for (const auto& call : std::vector<std::function<void()>>{[&] { store.insert_app("ours", {}); },
                                                               [&] { store.get_apps(); }}) {
      try {
        call();
      } catch (const StoreError&) {
      }
    }
    store.shutdown(std::chrono::seconds(1));
    if (!fs::is_empty(outside.path())) break;
    for (const char* suffix : kSuffixes) unlink((folder.path() / (target + suffix)).c_str());
    for (fs::path made = file.parent_path(); is_folder && made != folder.path(); made = made.parent_path())
      rmdir(made.c_str());
  }
  shared.swaps->stop = true;
  CHECK(wait_for(attacker) == 0);
  CHECK(fs::is_empty(outside.path()));
}

TEST_CASE("a folder that is swapped for a link while root opens a database leads root nowhere else") {
  CODEWAKE_NEEDS_OTHER_USER();
  open_while_swapped("folder", "folder/events.sqlite", true);
}

TEST_CASE("a folder that is swapped for a link while root makes a folder in it leads root nowhere else") {
  CODEWAKE_NEEDS_OTHER_USER();
  open_while_swapped("folder", "folder/below/events.sqlite", true);
}

TEST_CASE("a database that is swapped for a link while root opens it leads root nowhere else") {
  CODEWAKE_NEEDS_OTHER_USER();
  open_while_swapped("events.sqlite", "events.sqlite", false);
}

TEST_CASE("a WAL that is swapped for a link while root opens the database leads root nowhere else") {
  CODEWAKE_NEEDS_OTHER_USER();
  open_while_swapped("events.sqlite-wal", "events.sqlite", false);
}

TEST_CASE("root writes into no folder that another user or group can write or rename") {
  CODEWAKE_NEEDS_OTHER_USER();
  const SharedFolder folder;
  check_as(as_other_user([&] { fs::create_directory(folder / "theirs"); }));
  CHECK(contains(refused(folder / "theirs" / "events.sqlite"), "theirs belongs to the user 65534"));
  CHECK(contains(refused(folder / "theirs" / "below" / "events.sqlite"), "theirs belongs to the user 65534"));
  CHECK(fs::is_empty(folder / "theirs"));
  const TemporaryFolder own;
  check_as(as_other_user([&] { fs::create_symlink(own.path(), folder / "link"); }));
  CHECK(contains(refused(folder / "link" / "events.sqlite"), "link belongs to the user 65534"));
  CHECK(fs::is_empty(own.path()));
  for (const mode_t mode : {0777u, 0770u}) {
    fs::create_directory(folder / "open");
    chmod((folder / "open").c_str(), mode);
    CHECK(contains(refused(folder / "open" / "events.sqlite"), "open can be written by "));
    CHECK(fs::is_empty(folder / "open"));
  }
}

TEST_CASE("root writes to no file that another user or a group can write, unless the group is named") {
  CODEWAKE_NEEDS_OTHER_USER();
  const TemporaryFolder folder;
  const fs::path file = folder / "events.sqlite";
  SqliteStore({dsn_of(file), "mode=0660", "group=" + std::to_string(kTeam)}).insert_app("app", {});
  CHECK(contains(refused(file), "can be written by its group"));
  CHECK(refused(file, {"group=" + std::to_string(kTeam)}) == "");
  chmod(file.c_str(), 0666);
  CHECK(contains(refused(file, {"group=" + std::to_string(kTeam)}), "can be written by all users"));
}

TEST_CASE(
    "an ordinary user writes to another user's database where that user is known, not where all can write") {
  CODEWAKE_NEEDS_OTHER_USER();
  const TemporaryFolder outer;
  chmod(outer.path().c_str(), 0755);
  const auto make = [&](const std::string& name, mode_t mode) {
    fs::create_directory(outer / name);
    REQUIRE(chown((outer / name).c_str(), kThirdUser, kTeam) == 0);
    chmod((outer / name).c_str(), 0700);
    check_as(in_child([&] {
      become(kThirdUser);
      SqliteStore(dsn_of(outer / name / "events.sqlite")).insert_app("theirs", {});
      chmod((outer / name / "events.sqlite").c_str(), 0666);
    }));
    chmod((outer / name).c_str(), mode);
  };
  make("known", 0770);
  make("sticky", 01777);
  make("open", 0777);
  check_as(in_child([&] {
    become(kOtherUser);
    require(refused(outer / "known" / "events.sqlite").empty(), "it is written");
    require(contains(refused(outer / "sticky" / "events.sqlite"), "belongs to another user"), "sticky");
    require(SqliteStore(dsn_of(outer / "sticky" / "events.sqlite")).get_apps().size() == 1, "it is read");
    require(contains(refused(outer / "open" / "events.sqlite"), "open can be written by all users"), "open");
  }));
}

TEST_CASE("the members of a group share a database, in a folder that all can write too") {
  CODEWAKE_NEEDS_OTHER_USER();
  for (const mode_t mode : {0770u, 0777u | S_ISVTX}) {
    CAPTURE(mode);
    const TemporaryFolder outer;
    chmod(outer.path().c_str(), 0755);
    const fs::path folder = outer / "team", file = folder / "events.sqlite";
    fs::create_directory(folder);
    REQUIRE(chown(folder.c_str(), 0, kTeam) == 0);
    chmod(folder.c_str(), mode);
    const std::vector<std::string> parameters = {dsn_of(file), "mode=0660", "group=" + std::to_string(kTeam)};
    const auto write_as = [&](uid_t user, bool is_left_open) {
      return in_child([&, user, is_left_open] {
        become(user);
        umask(077);
        SqliteStore store(parameters);
        store.insert_app("app of " + std::to_string(user), {});
        if (is_left_open) std::_Exit(0);
      });
    };
    check_as(write_as(kThirdUser, true));
    for (const char* suffix : {"", "-wal", "-shm"}) {
      struct stat status {};
      REQUIRE(stat((file.string() + suffix).c_str(), &status) == 0);
      CHECK(status.st_gid == kTeam);
      CHECK((status.st_mode & 07777) == 0660);
    }
    check_as(write_as(kOtherUser, true));
    CHECK(Database(file).number("SELECT count(*) FROM apps") == 2);
    chmod(file.c_str(), 0666);
    CHECK(contains(write_as(kOtherUser, true).err, "can be written by all users"));
  }
}

TEST_CASE("a linked folder of this user's own is followed, a linked database is not") {
  const TemporaryFolder folder;
  fs::create_directory(folder / "real");
  fs::create_directory_symlink("real", folder / "link");
  CHECK(refused(folder / "link" / "events.sqlite") == "");
  CHECK(fs::exists(folder / "real" / "events.sqlite"));
  fs::create_symlink("real/events.sqlite", folder / "linked.sqlite");
  CHECK(contains(refused(folder / "linked.sqlite"), "is a symbolic link; name the file that it leads to"));
}

TEST_CASE("a database, its WAL and its shared memory are for their owner alone, whatever the umask") {
  struct Case {
    std::vector<std::string> more;
    std::string mode;
  };
  for (const mode_t mask : {0000u, 0022u, 0077u, 0777u}) {
    for (const Case& each : {Case{{}, "0600"}, Case{{"mode=0640"}, "0640"}, Case{{"mode=664"}, "0664"},
                             Case{{"group=" + std::to_string(getegid())}, "0640"}}) {
      CAPTURE(mask);
      CAPTURE(each.mode);
      const TemporaryFolder folder;
      const fs::path file = folder / "events.sqlite";
      check_as(in_child([&] {
        umask(mask);
        std::vector<std::string> parameters = {dsn_of(file)};
        parameters.insert(parameters.end(), each.more.begin(), each.more.end());
        SqliteStore store(parameters);
        store.insert_app("app", {});
        for (const char* suffix : {"", "-wal", "-shm"})
          require(file_mode(file.string() + suffix) == each.mode, suffix + file_mode(file.string() + suffix));
      }));
    }
  }
}

TEST_CASE("a database that is there keeps its mode") {
  const TemporaryFolder folder;
  const fs::path file = folder / "events.sqlite";
  Database(file).exec("PRAGMA user_version = 0; CREATE TABLE other(id)");
  chmod(file.c_str(), 0644);
  SqliteStore({dsn_of(file), "mode=0600"}).insert_app("app", {});
  CHECK(file_mode(file) == "0644");
}

}  // namespace
}  // namespace codewake::testing
