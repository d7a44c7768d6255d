#include <doctest/doctest.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

#include "codewake/sqlite_store.hpp"
#include "support.hpp"
#include "support/child.hpp"
#include "support/skip.hpp"
#include "support/temporary_folder.hpp"

namespace codewake::testing {
namespace {

using std::chrono::seconds;

/// As doctest's macros are for the test's own process.
void require(bool holds, const std::string& what) {
  if (!holds) throw std::runtime_error(what);
}

std::string unavailable(const std::function<void()>& work) {
  try {
    work();
  } catch (const StoreError& e) {
    require(e.kind() == StoreError::Kind::unavailable, std::string("not unavailable: ") + e.what());
    return e.what();
  }
  throw std::runtime_error("no StoreError");
}

void become_nobody() {
  if (geteuid() == 0)
    require(setresgid(65534, 65534, 65534) == 0 && setresuid(65534, 65534, 65534) == 0, "setresuid");
}

void require_no_traces(SqliteStore& store) {
  require(store.get_trace_events({}).events.empty(), "trace events");
  require(store.get_traces({}).empty(), "traces");
  require(store.get_events_of_trace(TraceId::make(), 10).empty(), "events of a trace");
}

/// For everybody to read, nobody to write.
void make_read_only(const std::filesystem::path& path) {
  using std::filesystem::perms;
  const perms read = perms::owner_read | perms::group_read | perms::others_read;
  const perms search = perms::owner_exec | perms::group_exec | perms::others_exec;
  std::filesystem::permissions(path, std::filesystem::is_directory(path) ? read | search : read);
}

/// Runs where the folder is on a disk of its own with room for `size`; not at all where that is not allowed.
bool on_small_disk(const std::filesystem::path& folder, const std::string& size,
                   const std::function<void()>& work) {
  const ChildResult result = in_child([&] {
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        mount("none", folder.c_str(), "tmpfs", 0, ("size=" + size).c_str()) != 0) {
      std::_Exit(77);
    }
    work();
  });
  if (result.exit_code == 77) return false;
  INFO(result.err);
  CHECK(result.exit_code == 0);
  return true;
}

TEST_CASE("A program that closes descriptors which it does not know keeps its own files and loses no event") {
  const TemporaryFolder folder;
  const auto file = folder / "events.sqlite";
  const ChildResult child = in_child([&] {
    SqliteStore store(dsn_of(file));
    const std::vector<std::string> values(100, "value");
    write_events(store, "app", "before", values);
    require(store.get_events({.limit = 10000}).events.size() == 100, "before");
    for (int fd = STDERR_FILENO + 1; fd < 1024; ++fd) close(fd);
    std::vector<int> own;
    for (int i = 0; i < 20; ++i) {
      own.push_back(open((folder / ("own" + std::to_string(i))).c_str(), O_RDWR | O_CREAT, 0600));
    }
    for (int i = 0; i < 20; ++i) write_events(store, "app", "after", values);
    require(store.get_events({.limit = 10000}).events.size() == 2100, "after");
    store.shutdown(seconds(5));
    for (const int fd : own) {
      struct stat status {};
      require(fstat(fd, &status) == 0, "a file of the program's was closed");
      require(status.st_size == 0, "a file of the program's was written to");
    }
  });
  CHECK(child.err == "");
  CHECK(child.exit_code == 0);
  SqliteStore store(dsn_of(file));
  CHECK(store.get_events({.limit = 10000}).events.size() == 2100);
}

TEST_CASE("a file that is no database is one clear error, and left as it is") {
  const TemporaryFolder folder;
  for (const std::size_t size : {std::size_t{1}, std::size_t{100}, std::size_t{10'000}}) {
    CAPTURE(size);
    const auto file = folder.write("letter.txt", std::string(size, 'x'));
    SqliteStore store(dsn_of(file));
    const std::string message =
        store_error(StoreError::Kind::unavailable, [&] { store.insert_app("app", {}); });
    CHECK(contains(message, file.string()));
    CHECK(contains(message, "file is not a database"));
    CHECK(contains(message, "name another file; this one was left as it is"));
    store_error(StoreError::Kind::unavailable, [&] { store.get_apps(); });
    CHECK(read_file(file) == std::string(size, 'x'));
  }
}

TEST_CASE("missing folders are made for this user alone, and one that cannot be made is one clear error") {
  const TemporaryFolder folder;
  CHECK(SqliteStore(dsn_of(folder / "missing" / "too" / "events.sqlite")).insert_app("app", {}).app.id == 1);
  struct stat made {};
  for (const char* name : {"missing", "missing/too"}) {
    REQUIRE(stat((folder / name).c_str(), &made) == 0);
    CHECK((made.st_mode & 07777) == 0700);
  }
  for (const std::string missing : {"/proc/codewake", "/codewake-nonexistent"}) {
    SqliteStore store("sqlite:///" + missing + "/events.sqlite");
    CHECK(contains(store_error(StoreError::Kind::unavailable, [&] { store.insert_app("app", {}); }),
                   "make the folder " + missing));
    if (missing != "/proc/codewake")
      store_error(StoreError::Kind::unavailable, [&] { static_cast<void>(store.get_apps()); });
    CHECK_FALSE(std::filesystem::exists(missing));
  }
}

/// From now on these system calls of the calling process fail; false where that is not allowed.
bool refuse_calls(std::uint32_t first, std::uint32_t second, std::uint32_t error) {
  const sock_filter filter[] = {
      {BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(seccomp_data, nr)},
      {BPF_JMP | BPF_JEQ | BPF_K, 2, 0, first},
      {BPF_JMP | BPF_JEQ | BPF_K, 1, 0, second},
      {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW},
      {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | error},
  };
  const sock_fprog program{std::size(filter), const_cast<sock_filter*>(filter)};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

TEST_CASE("a database is made on a file system that renames over files alone and has no links") {
  for (const std::uint32_t error : {std::uint32_t{EINVAL}, std::uint32_t{EPERM}, std::uint32_t{ENOSYS}}) {
    const TemporaryFolder folder;
    const ChildResult result = in_child([&] {
      if (!refuse_calls(SYS_renameat2, SYS_linkat, error)) std::_Exit(77);
      SqliteStore(dsn_of(folder / "events.sqlite")).insert_app("app", {});
    });
    if (result.exit_code == 77) CODEWAKE_SKIP("seccomp filters are not allowed here");
    INFO(result.err);
    CHECK(result.exit_code == 0);
    std::size_t files = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder.path())) ++files;
    CHECK(files == 1);
    struct stat made {};
    REQUIRE(stat((folder / "events.sqlite").c_str(), &made) == 0);
    CHECK((made.st_mode & 07777) == 0600);
  }
}

TEST_CASE("a folder in place of the file is one clear error") {
  const TemporaryFolder folder;
  SqliteStore store(dsn_of(folder.path()));
  CHECK(contains(store_error(StoreError::Kind::unavailable, [&] { store.get_apps(); }),
                 folder.path().string()));
}

TEST_CASE("a read-only database can be read, in a folder that can be written and in one that cannot") {
  for (const bool folder_too : {false, true}) {
    CAPTURE(folder_too);
    const TemporaryFolder folder;
    const auto file = folder / "events.sqlite";
    {
      SqliteStore store(dsn_of(file));
      const std::vector<std::string> values = {"one", "two"};
      write_events(store, "app", "key", values);
    }
    make_read_only(file);
    using std::filesystem::perms;
    std::filesystem::permissions(folder.path(), perms::all | perms::sticky_bit);
    if (folder_too) make_read_only(folder.path());
    const std::string before = read_file(file);
    const ChildResult result = in_child([&] {
      become_nobody();
      SqliteStore store(dsn_of(file));
      require(store.get_events_by_data({{"key", "two"}}).size() == 1, "the event is read");
      require(store.get_events({}).events.size() == 2, "the page is read");
      const std::string message = unavailable([&] { store.insert_app("other", {}); });
      require(contains(message, "can only be read") && contains(message, "writable for this user"), message);
      require(store.get_apps().size() == 1, "it is still read");
    });
    INFO(result.err);
    CHECK(result.exit_code == 0);
    CHECK(read_file(file) == before);
  }
}

TEST_CASE("a read-only database of Code Wake for Python can be read without an upgrade") {
  const TemporaryFolder folder;
  const auto file = copy_reference(folder.path());
  make_read_only(file);
  make_read_only(folder.path());
  const std::string before = read_file(file);
  const ChildResult result = in_child([&] {
    become_nobody();
    SqliteStore store(dsn_of(file));
    require(store.get_events_by_data({}).size() == 43, "events");
    require(store.get_events({.where = {{"event", "order"}}, .limit = 10}).events.size() > 0, "where");
    require(store.get_exceptions({}).size() > 0, "exceptions");
    require(store.get_event_by_id(20)->frames.size() > 0, "frames");
    require(store.get_positions("").empty(), "positions");
    require_no_traces(store);
  });
  INFO(result.err);
  CHECK(result.exit_code == 0);
  CHECK(read_file(file) == before);
}

TEST_CASE("a read-only database from before there were traces can be read without an upgrade") {
  const TemporaryFolder folder;
  const auto file = folder / "events.sqlite";
  {
    SqliteStore store(dsn_of(file));
    write_events(store, "app", "key", numbered("v", 2));
  }
  {
    Database database(file);
    make_version_1(database);
  }
  make_read_only(file);
  make_read_only(folder.path());
  const ChildResult result = in_child([&] {
    become_nobody();
    SqliteStore store(dsn_of(file));
    require(store.get_events_by_data({{"key", "v1"}}).size() == 1, "the event is read");
    require(store.get_event_by_id(1).has_value(), "and by its id");
    require_no_traces(store);
    require(store.count_older(now() + std::chrono::hours(1)) == Removed{.events = 2, .processes = 1},
            "count");
  });
  INFO(result.err);
  CHECK(result.exit_code == 0);
}

TEST_CASE("a full disk is unavailable, loses nothing that was stored, and passes") {
  const TemporaryFolder folder;
  // Not right below /tmp, where a mount may be any user's.
  std::filesystem::create_directory(folder / "disk");
  const bool ran = on_small_disk(folder / "disk", "2M", [&] {
    SqliteStore store(dsn_of(folder / "disk/events.sqlite"));
    const std::vector<std::string> values(20, std::string(1'000, 'v'));
    std::size_t stored = 0;
    std::string message;
    while (message.empty() && stored < 1'000) {
      try {
        write_events(store, "app", "key", values);
        ++stored;
      } catch (const StoreError& e) {
        require(e.kind() == StoreError::Kind::unavailable, e.what());
        message = e.what();
      }
    }
    require(stored > 5 && contains(message, "disk is full") && contains(message, "make room on the disk"),
            message);
    require(store.get_events_by_data({{"key", values[0]}}).size() == stored * values.size(),
            "all that was stored is there");
    require(store.get_processes({}).size() == stored, "and no more");
    require(mount("none", (folder / "disk").c_str(), "tmpfs", MS_REMOUNT, "size=64M") == 0, "remount");
    write_events(store, "app", "key", values);
    require(store.get_processes({}).size() == stored + 1, "it goes on");
  });
  if (!ran) CODEWAKE_SKIP("mounting a small file system is not allowed here");
}

TEST_CASE("a file that may not grow is unavailable and loses nothing that was stored") {
  const TemporaryFolder folder;
  const auto file = folder / "events.sqlite";
  const ChildResult result = in_child([&] {
    SqliteStore store(dsn_of(file));
    const std::vector<std::string> small = {"one"};
    write_events(store, "app", "key", small);
    const rlimit limit{1 << 20, RLIM_INFINITY};
    require(setrlimit(RLIMIT_FSIZE, &limit) == 0, "setrlimit");
    const std::vector<std::string> large(2'000, std::string(1'000, 'v'));
    require(contains(unavailable([&] { write_events(store, "app", "key", large); }), "events.sqlite"),
            "message");
    require(store.get_processes({}).size() == 1, "nothing of the batch is there");
    write_events(store, "app", "key", small);
    require(store.get_events_by_data({{"key", "one"}}).size() == 2, "it goes on");
  });
  INFO(result.err);
  CHECK(result.exit_code == 0);
}

TEST_CASE("a lock that another program keeps is unavailable once busy_timeout is over") {
  const TemporaryFolder folder;
  SqliteStore store({dsn_of(folder / "events.sqlite"), "busy_timeout=20ms"});
  store.insert_app("app", {});
  Database other(folder / "events.sqlite");
  other.exec("BEGIN IMMEDIATE");
  const std::string message =
      store_error(StoreError::Kind::unavailable, [&] { store.insert_app("other", {}); });
  CHECK(contains(message, "database is locked"));
  CHECK(contains(message, "busy_timeout"));
  CHECK(store.get_apps().size() == 1);  // reads wait for no writer
  other.exec("COMMIT");
  CHECK(store.insert_app("other", {}).app.id == 2);
}

TEST_CASE("an event of a process that is not there is rejected, and nothing of its batch is stored") {
  SqliteStore store("sqlite:///:memory:");
  const ProcessInfo info{.app_name = "app"};
  const std::vector<BatchProcess> processes = {{.info = &info}, {.id = 4711}};
  const std::vector<BatchEvent> events = {{.process = 0}, {.process = 1}};
  CHECK(contains(store_error(StoreError::Kind::rejected,
                             [&] { store.write({.processes = processes, .events = events}); }),
                 "there is no process 4711"));
  const std::vector<BatchEvent> outside = {{.process = 2}};
  store_error(StoreError::Kind::rejected, [&] { store.write({.processes = processes, .events = outside}); });
  CHECK(store.get_processes({}).empty());
  CHECK(store.get_apps().empty());
  CHECK(store.insert_app("app", {}).app.id == 1);
}

TEST_CASE("rows that another program deletes are not taken for there") {
  const TemporaryFolder folder;
  SqliteStore store(dsn_of(folder / "events.sqlite"));
  const std::vector<std::string> values = {"one"};
  write_events(store, "app", "key", values);
  Database(folder / "events.sqlite")
      .exec("DELETE FROM apps; DELETE FROM app_vsns; DELETE FROM environments; DELETE FROM processes");
  write_events(store, "app", "key", values);
  const auto processes = store.get_processes({});
  REQUIRE(processes.size() == 1);
  CHECK(processes[0].app.name == "app");
  CHECK(processes[0].app_vsn);
  CHECK(processes[0].environment);
}

TEST_CASE("a database that is deleted while it is open is made anew, and not written into the void") {
  const TemporaryFolder folder;
  const auto file = folder / "events.sqlite";
  SqliteStore store(dsn_of(file));
  store.insert_app("before", {});
  CHECK(store.get_apps().size() == 1);
  for (const char* suffix : {"", "-wal", "-shm"}) std::filesystem::remove(file.string() + suffix);
  store.insert_app("after", {});
  CHECK(store.get_apps() == std::vector<AppRecord>{{1, "after"}});
  CHECK(Database(file).number("SELECT count(*) FROM apps WHERE name = 'after'") == 1);
}

TEST_CASE("after shutdown the file is whole and every call is refused") {
  const TemporaryFolder folder;
  SqliteStore store(dsn_of(folder / "events.sqlite"));
  store.insert_app("app", {});
  CHECK(store.shutdown(seconds(5)));
  CHECK_FALSE(std::filesystem::exists(folder / "events.sqlite-wal"));
  CHECK(contains(store_error(StoreError::Kind::unavailable, [&] { store.insert_app("app", {}); }),
                 "shut down"));
  CHECK(contains(store_error(StoreError::Kind::unavailable, [&] { store.get_apps(); }), "shut down"));
  CHECK(store.shutdown(seconds(5)));
}

}  // namespace
}  // namespace codewake::testing
