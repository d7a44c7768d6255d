// What another user of the machine can do to a recoverer, and what root can do for others. Each case runs in
// mounts of its own, with `nobody` as the other user.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include "codewake/errors.hpp"
#include "codewake/recovery.hpp"
#include "codewake/stacktrace.hpp"
#include "queue/scripted_queue_store.hpp"
#include "support/other_user.hpp"
#include "support/sanitizers.hpp"
#include "support/skip.hpp"

namespace codewake::testing {
namespace {

namespace fs = std::filesystem;

const std::string kStorage = "storage of two users";
const fs::path kJournal = "/tmp/journals";
const fs::path kVictim = "/tmp/victim";

/// doctest's own checks say nothing in a child.
void require(bool holds, const std::string& what) {
  if (!holds) throw std::runtime_error(what);
}

Config::Queue options(const fs::path& journal = kJournal) {
  Config::Queue options;
  options.journal = journal;
  options.interval = std::chrono::milliseconds(1);
  return options;
}

/// Runs `body` as root, in a child where all users may have journals in kJournal, and root has files in
/// kVictim.
ChildResult with_two_users(const std::function<void()>& body) {
  return in_own_mounts([&] {
    alarm(300);  // a hang ends by this signal, and is seen
    for (const fs::path& folder : {kJournal, kVictim}) fs::create_directory(folder);
    chmod(kJournal.c_str(), 01777);
    std::ofstream(kVictim / "file") << "root's";
    fs::create_directory(kVictim / "folder");
    body();
    require(fs::exists(kVictim / "file") && fs::exists(kVictim / "folder"), "root's files are gone");
    require(std::distance(fs::directory_iterator(kVictim), {}) == 2,
            "something was made beside root's files");
  });
}

#define REQUIRE_TWO_USERS(result)                                          \
  if (!why_no_other_user().empty()) CODEWAKE_SKIP(why_no_other_user());    \
  if ((result).exit_code == kNoMounts)                                     \
    CODEWAKE_SKIP("no file systems may be mounted here: " + (result).err); \
  INFO((result).err);                                                      \
  CHECK((result).exit_code == 0)

/// As the other user, in a process of its own; throws where `body` does.
void as_nobody(const std::function<void()>& body) {
  const pid_t child = start_child([&] {
    become_other_user();
    body();
  });
  require(wait_for(child) == 0, "the other user's process has failed");
}

/// The program of this user logs by `log`, into a store that is away, and is killed.
void leave_journal(bool as_other, const std::function<void(Store&)>& log,
                   const fs::path& journal = kJournal) {
  const pid_t child = start_child([&] {
    if (as_other) become_other_user();
    const auto script = std::make_shared<Script>();
    script->before_write([](const Batch&) { throw StoreError(StoreError::Kind::unavailable, "away"); });
    ScriptedQueueStore store(options(journal), kStorage, script);
    store.insert_process({.app_name = "queue", .username = "root"}, false);
    log(store);
    kill(getpid(), SIGKILL);
  });
  require(wait_for(child) == -SIGKILL, "the program was not killed");
}

void log_numbers(Store& store, int count) {
  for (int i = 0; i < count; ++i) log(store, "n", i);
}

std::vector<JournalRun> recover(bool all_users) {
  ScriptedBackend backend(kStorage);
  return recover_journals(backend, {.all_users = all_users, .journal_folder = kJournal});
}

fs::path front_root_of_nobody() {
  for (const auto& entry : fs::directory_iterator("/dev/shm")) {
    if (entry.path().filename().string().starts_with(fmt::format("code_wake-{}-", kOtherUser)))
      return entry.path();
  }
  throw std::runtime_error("the other user has no front");
}

std::vector<fs::path> runs() {
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(kJournal)) {
    if (entry.path().filename() != "dead") found.push_back(entry.path());
  }
  return found;
}

TEST_CASE("Root recovers its own journals, and leaves those of others alone") {
  if (kThreadSanitized) CODEWAKE_SKIP(kNoForkBesideThreads);
  const auto result = with_two_users([] {
    MemoryStore storage({kStorage});
    leave_journal(false, [](Store& store) { log_numbers(store, 3); });
    leave_journal(true, [](Store& store) { log_numbers(store, 5); });
    const auto found = recover(false);
    require(found.size() == 1 && found[0].state == JournalRun::State::recovered,
            "root's run is not recovered");
    require(found[0].user.empty() && found[0].stored_events == 3, "another user's events are stored");
    require(runs().size() == 1, "another user's journal is gone");
  });
  REQUIRE_TWO_USERS(result);
}

TEST_CASE("Root recovers the journals of all users, each event once, under their owners' names") {
  if (kThreadSanitized) CODEWAKE_SKIP(kNoForkBesideThreads);
  const auto result = with_two_users([] {
    MemoryStore storage({kStorage});
    leave_journal(true, [](Store& store) {
      log_numbers(store, 3000);
      log(store, "large", std::string(200'000, 'l'));
    });
    const auto found = recover(true);
    require(found.size() == 1, fmt::format("{} runs were found", found.size()));
    require(found[0].state == JournalRun::State::recovered, "not recovered: " + found[0].problem);
    require(found[0].user == "nobody", "the user is " + found[0].user);
    require(found[0].stored_events == 3001, fmt::format("{} events are stored", found[0].stored_events));
    const auto events = storage.get_events_by_data({});
    require(events.size() == 3001, "not each event is stored once");
    require(storage.get_process_by_id(events[0].process_id)->username == "nobody",
            "the journal's word was believed");
    require(runs().empty(), "the journal is still there");
    require(recover(true).empty(), "something is left");
  });
  REQUIRE_TWO_USERS(result);
}

TEST_CASE("An id that another user's journal names counts only where the store has it for that run") {
  if (kThreadSanitized) CODEWAKE_SKIP(kNoForkBesideThreads);
  const auto result = with_two_users([] {
    MemoryStore storage({kStorage});
    const Id roots = storage.insert_process({.app_name = "sshd", .username = "root"}, true)->id;
    leave_journal(true, [&](Store& store) {
      const AttributeArgument forged("n", "forged");
      store.insert_event({.process_id = roots, .data = std::span(&forged, 1)}, false);
      store.insert_event({.process_id = roots + 1, .data = std::span(&forged, 1)}, false);
    });
    const auto found = recover(true);
    require(found.size() == 1 && found[0].stored_events == 2, "the events are not stored");
    for (const EventRecord& event : storage.get_events_by_data({})) {
      require(event.process_id != roots, "an event is root's");
      require(storage.get_process_by_id(event.process_id)->username == "nobody",
              "an event is not the owner's");
    }
  });
  REQUIRE_TWO_USERS(result);
}

TEST_CASE("A queue refuses ids that no process has, and goes on") {
  QueueFixture fixture;
  const auto store = fixture.make();
  const AttributeArgument odd("n", "odd");
  for (const Id id : {Id{0}, Id{-1}})
    CHECK_THROWS_AS(store->insert_event({.process_id = id, .data = std::span(&odd, 1)}, false), StoreError);
  introduce(*store);
  log(*store, "n", "even");
  CHECK(store->flush(kLong));
  CHECK(fixture.values() == std::vector<std::string>{"even"});
}

TEST_CASE("A run of another user with the name of a run of root's gets neither its ids nor its positions") {
  if (kThreadSanitized) CODEWAKE_SKIP(kNoForkBesideThreads);
  const auto result = with_two_users([] {
    MemoryStore storage({kStorage});
    leave_journal(true, [](Store& store) { log_numbers(store, 3); });
    const std::string run = runs().at(0).filename();
    // As if root's run of that name had stored something.
    const ProcessInfo info{.app_name = "sshd", .username = "root"};
    const BatchProcess process{.info = &info};
    const std::string of_process = run + "/p1", of_lane = run + "/1";
    const JournalPosition positions[] = {{.segment = of_process, .position = 1, .process = 0},
                                         {.segment = of_lane, .position = 8, .process = 0}};
    const Id roots =
        storage.write({.processes = std::span(&process, 1), .positions = positions}).process_ids.at(0);
    recover(true);
    require(storage.get_positions(run + "/").size() == 2, "root's positions are gone");
    require(storage.get_positions(run + "@").empty(), "the other user's positions stay");
    for (const EventRecord& event : storage.get_events_by_data({}))
      require(event.process_id != roots, "an event is root's");
  });
  REQUIRE_TWO_USERS(result);
}

TEST_CASE(
    "A run of another user with the name of a run of root's keeps no event of root's from being stored") {
  if (kThreadSanitized) CODEWAKE_SKIP(kNoForkBesideThreads);
  const auto result = with_two_users([] {
    MemoryStore storage({kStorage});
    const fs::path elsewhere = "/tmp/elsewhere";
    leave_journal(
        false, [](Store& store) { log_numbers(store, 3); }, elsewhere);
    const fs::path roots = fs::directory_iterator(elsewhere)->path();
    leave_journal(true, [](Store& store) { log_numbers(store, 3000); });
    // Its run takes the name, says the same of itself, and cannot be deleted, so that its positions stay.
    const fs::path theirs = kJournal / roots.filename();
    const fs::path front = front_root_of_nobody();
    fs::rename(fs::directory_iterator(front)->path(), front / roots.filename());
    fs::rename(runs().at(0), theirs);
    for (const fs::path& folder : {theirs, front / roots.filename()}) {
      fs::copy_file(roots / "run.json", folder / "run.json", fs::copy_options::overwrite_existing);
      require(chown((folder / "run.json").c_str(), kOtherUser, kOtherUser) == 0, "chown");
    }
    as_nobody([&] {
      fs::create_directory(theirs / "stays");
      chmod((theirs / "stays").c_str(), 0777);
    });
    const auto found = recover(true);
    require(
        std::any_of(found.begin(), found.end(), [](const JournalRun& r) { return r.stored_events == 3000; }),
        "the fake run is not stored");
    require(!storage.get_positions(theirs.filename().string() + "@").empty(), "its positions are gone");
    ScriptedBackend backend(kStorage);
    const auto own = recover_journals(backend, {.journal_folder = elsewhere});
    require(own.size() == 1 && own[0].stored_events == 3, "root's events are not stored");
  });
  REQUIRE_TWO_USERS(result);
}

TEST_CASE("What root has stored for another user, that user does not store again") {
  if (kThreadSanitized) CODEWAKE_SKIP(kNoForkBesideThreads);
  const auto result = with_two_users([] {
    MemoryStore storage({kStorage});
    leave_journal(true, [](Store& store) { log_numbers(store, 15'000); });
    {
      const auto script = std::make_shared<Script>();
      script->before_write([&](const Batch&) {
        if (script->writes > 1) throw StoreError(StoreError::Kind::unavailable, "away");
      });
      ScriptedBackend backend(kStorage, script);
      recover_journals(backend, {.all_users = true, .journal_folder = kJournal});
    }
    const std::size_t by_root = storage.get_events_by_data({}).size();
    require(by_root != 0 && by_root < 15'000, "root stored all or nothing");
    // The storage is memory of this process, and so the owner is this process from here on.
    if (seteuid(kOtherUser) != 0) throw std::runtime_error("seteuid");
    ScriptedBackend backend(kStorage);
    const auto found = recover_journals(backend, {.journal_folder = kJournal});
    require(found.size() == 1 && found[0].stored_events == 15'000 - by_root, "stored twice, or not at all");
    require(storage.get_events_by_data({}).size() == 15'000, "not each event is stored once");
    if (seteuid(0) != 0) throw std::runtime_error("seteuid");
  });
  REQUIRE_TWO_USERS(result);
}

TEST_CASE("Links in the place of runs, folders and files are not followed") {
  if (kThreadSanitized) CODEWAKE_SKIP(kNoForkBesideThreads);
  const auto result = with_two_users([] {
    MemoryStore storage({kStorage});
    leave_journal(true, [](Store& store) { log_numbers(store, 1); });
    const fs::path front_root = front_root_of_nobody();
    const std::string run = runs().at(0).filename();
    as_nobody([&] {
      fs::rename(front_root / run, front_root / "kept");
      fs::create_directory_symlink(kVictim, front_root / run);
      fs::create_directory_symlink(kVictim, kJournal / ("h-1-1-a-b-c-d-" + run));
      // What root's front root would be, and a run in it.
      const std::string name = front_root.filename().string();
      fs::create_directory_symlink(kVictim, "/dev/shm/code_wake-0" + name.substr(name.rfind('-')));
    });
    for (const bool all_users : {false, true}) {
      for (const JournalRun& found : recover(all_users))
        require(found.stored_events <= 1, "events come from nowhere");
    }
  });
  REQUIRE_TWO_USERS(result);
}

TEST_CASE("Hard links to files of root in another user's journal are neither read nor removed") {
  if (kThreadSanitized) CODEWAKE_SKIP(kNoForkBesideThreads);
  const auto result = with_two_users([] {
    MemoryStore storage({kStorage});
    leave_journal(true, [](Store& store) { log_numbers(store, 1); });
    const fs::path run = runs().at(0);
    // As the other user could, where the system lets users link what they do not own.
    for (const char* name : {"spill-000009", "modules.json.new", "large-1-0"})
      fs::create_hard_link(kVictim / "file", run / name);
    chmod((kVictim / "file").c_str(), 0600);
    const auto found = recover(true);
    require(found.size() == 1 && found[0].state == JournalRun::State::failed,
            "root's file was taken for the run's");
    require(found[0].problem.find("spill-000009") != std::string::npos, found[0].problem);
    require(fs::hard_link_count(kVictim / "file") == 4, "a link is gone");
    fs::remove(run / "spill-000009");
    require(recover(true).at(0).state == JournalRun::State::recovered, "the rest is not recovered");
    std::string content;
    std::getline(std::ifstream(kVictim / "file"), content);
    require(content == "root's" && fs::hard_link_count(kVictim / "file") == 1, "root's file has changed");
  });
  REQUIRE_TWO_USERS(result);
}

TEST_CASE("A folder that is swapped for a link during recovery leads nowhere, a thousand times") {
  if (kThreadSanitized) CODEWAKE_SKIP(kNoForkBesideThreads);
  const auto result = with_two_users([] {
    MemoryStore storage({kStorage});
    leave_journal(true, [](Store& store) { log_numbers(store, 1); });
    const fs::path front_root = front_root_of_nobody();
    const std::string run = runs().at(0).filename();
    const pid_t swapper = start_child([&] {
      become_other_user();
      fs::create_directory_symlink(kVictim, front_root / "link");
      // Each place holds a folder or the link, in turn, until the recoverer has taken the folder away.
      for (int i = 0; i < 1000; ++i) {
        for (const fs::path& place : {front_root / run, kJournal / run}) {
          std::error_code ignored;
          fs::create_directory(place, ignored);
          std::ofstream(place / "spill-000001") << "x";
          fs::rename(place, front_root / "aside", ignored);
          fs::create_directory_symlink(kVictim, place, ignored);
          fs::remove(place, ignored);
          fs::rename(front_root / "aside", place, ignored);
        }
      }
    });
    int status = 0;
    do {
      for (const bool all_users : {false, true}) static_cast<void>(recover(all_users));
    } while (waitpid(swapper, &status, WNOHANG) == 0);
    require(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the swapper has failed");
  });
  REQUIRE_TWO_USERS(result);
}

TEST_CASE("A journal that its owner keeps locked holds no recoverer up") {
  if (kThreadSanitized) CODEWAKE_SKIP(kNoForkBesideThreads);
  const auto result = with_two_users([] {
    MemoryStore storage({kStorage});
    leave_journal(true, [](Store& store) { log_numbers(store, 1); });
    const std::string lock = runs().at(0) / "lock";
    int ready[2];
    require(pipe(ready) == 0, "pipe");
    const pid_t holder = start_child([&] {
      setpgid(0, 0);  // ends with all that it starts
      become_other_user();
      const std::string command =
          fmt::format("flock -n {} sh -c 'echo >&{}; exec sleep 600'", lock, ready[1]);
      std::exit(std::system(command.c_str()));
    });
    char byte = 0;
    require(read(ready[0], &byte, 1) == 1, "the lock is not held");
    const auto found = recover(true);
    require(found.size() == 1 && found[0].state == JournalRun::State::alive, "it was taken");
    require(kill(-holder, SIGKILL) == 0, "what holds the lock is left behind");
  });
  REQUIRE_TWO_USERS(result);
}

TEST_CASE("A program in mounts of its own, where other files have its paths, is recovered from outside") {
  if (kThreadSanitized) CODEWAKE_SKIP(kNoForkBesideThreads);
  const auto result = with_two_users([] {
    MemoryStore storage({kStorage});
    // What the program saw below /tmp is another file for root; /dev/shm and the journal are the same.
    fs::create_directory("/tmp/inside");
    const pid_t child = start_child([] {
      if (unshare(CLONE_NEWNS) != 0 || mount(kVictim.c_str(), "/tmp/inside", nullptr, MS_BIND, nullptr) != 0)
        std::_Exit(1);
      become_other_user();
      const auto script = std::make_shared<Script>();
      script->before_write([](const Batch&) { throw StoreError(StoreError::Kind::unavailable, "away"); });
      ScriptedQueueStore store(options(), kStorage, script);
      store.insert_process({.app_name = "queue"}, false);
      Frame frame;
      frame.module = frame.filename = "/tmp/inside/file";
      const Stacktrace stack(std::vector<Frame>{frame});
      store.insert_event({.stacktrace = &stack}, false);
      kill(getpid(), SIGKILL);
    });
    require(wait_for(child) == -SIGKILL, "the program was not killed");
    const auto found = recover(true);
    require(found.size() == 1 && found[0].stored_events == 1, "not recovered");
    require(storage.get_events({}).events.at(0).frames.at(0).src.empty(), "a file of root's was read");
  });
  REQUIRE_TWO_USERS(result);
}

TEST_CASE("Only root recovers the journals of others") {
  if (!why_no_other_user().empty()) CODEWAKE_SKIP(why_no_other_user());
  const auto result = as_other_user([] {
    MemoryStore store;
    try {
      recover_journals(store, {.all_users = true, .journal_folder = "/nowhere"});
    } catch (const std::system_error& error) {
      require(error.code() == std::errc::operation_not_permitted, error.what());
      return;
    }
    throw std::runtime_error("it was allowed");
  });
  CHECK(result.exit_code == 0);
}

TEST_CASE("A front's place that another user has taken is passed over, and memory below /run comes first") {
  if (kThreadSanitized) CODEWAKE_SKIP(kNoForkBesideThreads);
  const auto result = with_two_users([] {
    MemoryStore storage({kStorage});
    leave_journal(false, [](Store& store) { log_numbers(store, 1); });
    const fs::path place = fs::directory_iterator("/dev/shm")->path();
    require(recover(false).at(0).stored_events == 1, "not recovered from /dev/shm");
    require(!fs::exists(place), "memory's own folder has not gone with the last run");
    as_nobody([&] { fs::create_directory(place); });
    // Root's queue has the disk then, and all that it accepts is recovered.
    leave_journal(false, [](Store& store) { log_numbers(store, 2); });
    require(fs::is_empty(place), "something lies in another user's folder");
    require(recover(false).at(0).stored_events == 2, "not recovered from the disk");
    if (mount("tmpfs", "/run", "tmpfs", 0, "mode=755,size=2g") != 0) std::exit(kNoMounts);
    leave_journal(false, [](Store& store) { log_numbers(store, 3); });
    require(fs::exists("/run/code_wake") && fs::is_empty(place), "the front is not below /run");
    require(recover(false).at(0).stored_events == 3, "not recovered from /run");
  });
  REQUIRE_TWO_USERS(result);
}

}  // namespace
}  // namespace codewake::testing
