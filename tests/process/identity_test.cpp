#include <doctest/doctest.h>
#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>

#include "codewake/process.hpp"
#include "codewake/time.hpp"
#include "memory_store.hpp"
#include "support/child.hpp"

using codewake::Process;
using codewake::testing::ChildResult;
using codewake::testing::in_child;
using codewake::testing::MemoryStore;

namespace {

// The record of a process made with these options, printed by a child.
ChildResult recorded(codewake::ProcessOptions options) {
  return in_child([&] {
    options.store = std::make_shared<MemoryStore>();
    Process& process = Process::instance(options);
    const auto record = process.store()->get_process_by_id(process.id().value());
    fmt::print(
        "app={} vsn={} env={} pid_is_mine={} exe={} user={} host_given={} recent={}\n", record->app.name,
        record->app_vsn ? record->app_vsn->vsn : "-", record->environment ? record->environment->name : "-",
        record->pid == getpid(), record->exe_path.value_or("-"), record->username.value_or("-"),
        !record->fqdn.value_or("").empty(), codewake::now() - record->run_ts < std::chrono::seconds(30));
  });
}

}  // namespace

TEST_CASE("A process records who it is, with the executable's path as the app's name") {
  const std::string exe = std::filesystem::read_symlink("/proc/self/exe");
  const ChildResult child = recorded({});
  CHECK(child.exit_code == 0);
  CHECK(child.err == "");
  CHECK(child.out.starts_with("app=" + exe + " vsn=- env=- pid_is_mine=true exe=" + exe + " user="));
  CHECK(child.out.ends_with(" host_given=true recent=true\n"));
}

TEST_CASE("Options name the app, its version and the environment") {
  const ChildResult child = recorded({.app_name = "my_app", .app_vsn = "1.2.3", .env_name = "production"});
  CHECK(child.exit_code == 0);
  CHECK(child.out.starts_with("app=my_app vsn=1.2.3 env=production "));
}

TEST_CASE("An empty version and an empty environment count as none") {
  const ChildResult child = recorded({.app_name = "my_app", .app_vsn = "", .env_name = ""});
  CHECK(child.exit_code == 0);
  CHECK(child.out.starts_with("app=my_app vsn=- env=- "));
}

TEST_CASE("Text of the process that is no UTF-8 is made fit") {
  const ChildResult child = recorded({.app_name = "bad\xFFname"});
  CHECK(child.exit_code == 0);
  CHECK(child.out.starts_with("app=bad\uFFFDname "));
}
