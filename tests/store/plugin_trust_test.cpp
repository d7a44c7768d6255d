// What another user's files can make a program load: nothing.
#include <doctest/doctest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "codewake/errors.hpp"
#include "codewake/plugin.hpp"
#include "support/child.hpp"
#include "support/other_user.hpp"
#include "support/skip.hpp"
#include "support/temporary_folder.hpp"

using codewake::find_plugins;
using codewake::load_store;
using codewake::PluginError;
using codewake::PluginFound;
using codewake::testing::become_other_user;
using codewake::testing::ChildResult;
using codewake::testing::in_child;
using codewake::testing::kOtherUser;
using codewake::testing::TemporaryFolder;
using codewake::testing::why_no_other_user;
namespace fs = std::filesystem;

namespace {

fs::path path_of(const char* variable) {
  const char* const path = std::getenv(variable);
  REQUIRE(path != nullptr);
  return path;
}

fs::path marking_plugin() {
  return path_of("CODEWAKE_BAD_PLUGINS") / "libmarking.so";
}

std::string reason_of(const std::string& module, const std::vector<fs::path>& folders) {
  try {
    load_store(module, "Marking", {}, folders);
  } catch (const PluginError& error) {
    return error.reason();
  }
  return "no error";
}

/// A folder of another user's, with a plugin that leaves a mark, and a configuration that names it.
class HostileFolder {
 public:
  HostileFolder() {
    fs::permissions(folder_.path(), fs::perms(0755));
    fs::create_directories(plugin().parent_path());
    fs::create_directory(folder_ / "etc");
    fs::copy_file(marking_plugin(), plugin());
    const std::string text = "store: {adapter: 'marking,Marking', config: x}\nplugins: {path: [" +
                             plugin().parent_path().string() + "]}\n";
    folder_.write("etc/code_wake.conf", text);
    give(folder_.path());
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder_.path()))
      give(entry.path());
  }

  fs::path path() const { return folder_.path(); }
  fs::path plugin() const { return folder_ / "plugins/libmarking.so"; }
  fs::path mark() const { return folder_ / "mark"; }
  bool has_mark() const { return fs::exists(mark()); }

 private:
  static void give(const fs::path& path) {
    if (chown(path.c_str(), kOtherUser, kOtherUser) != 0)
      throw std::system_error(errno, std::generic_category(), path);
  }

  TemporaryFolder folder_;
};

using Variables = std::map<std::string, std::string>;

/// Every way to name the plugin.
std::vector<Variables> attacks(const HostileFolder& folder) {
  const std::string file = folder.plugin().string();
  return {
      {},  // ./etc/code_wake.conf
      {{"CODE_WAKE_RUN", "throws"}},
      {{"CODE_WAKE_CONFIG", (folder.path() / "etc/code_wake.conf").string()}},
      {{"CODE_WAKE_STORE_ADAPTER", file + ",Marking"}},
      {{"CODE_WAKE_STORE_ADAPTER", "./plugins/libmarking.so,Marking"}, {"CODE_WAKE_RUN", "crashes"}},
      {{"CODE_WAKE_STORE_ADAPTER", "marking,Marking"},
       {"CODE_WAKE_PLUGIN_PATH", folder.plugin().parent_path().string()},
       {"CODE_WAKE_RUN", "throws"}},
  };
}

/// A program of root's that others run as root.
class SetuidProgram {
 public:
  SetuidProgram() {
    fs::permissions(folder_.path(), fs::perms(0755));
    fs::copy_file(path_of("CODEWAKE_SETUID_PROGRAM"), path());
    if (chmod(path().c_str(), 04755) != 0) throw std::system_error(errno, std::generic_category(), path());
  }

  fs::path path() const { return folder_ / "setuid"; }

 private:
  TemporaryFolder folder_;
};

/// An adapter as it was built; empty where it was not.
std::string adapter(const std::string& name) {
  std::istringstream folders(path_of("CODE_WAKE_PLUGIN_PATH").string());
  for (std::string folder; std::getline(folders, folder, ':');) {
    const fs::path file = fs::path(folder) / ("lib" + name + ".so");
    if (fs::exists(file)) return file.string();
  }
  return {};
}

/// Runs a program in the folder, with these variables.
ChildResult run(const fs::path& program, const HostileFolder& folder, const Variables& variables,
                bool as_other_user, const std::vector<std::string>& arguments = {}) {
  return in_child([&] {
    for (const char* name :
         {"CODE_WAKE_PLUGIN_PATH", "CODE_WAKE_CONFIG", "CODE_WAKE_STORE_ADAPTER", "CODE_WAKE_STORE_CONFIG"})
      unsetenv(name);
    for (const auto& [name, value] : variables) setenv(name.c_str(), value.c_str(), 1);
    setenv("CODEWAKE_TEST_MARK", folder.mark().c_str(), 1);
    fs::current_path(folder.path());
    if (as_other_user) become_other_user();
    std::vector<char*> words = {const_cast<char*>(program.c_str())};
    for (const std::string& argument : arguments) words.push_back(const_cast<char*>(argument.c_str()));
    words.push_back(nullptr);
    execv(program.c_str(), words.data());
    throw std::system_error(errno, std::generic_category(), program);
  });
}

}  // namespace

TEST_CASE("A setuid program loads nothing that the user who starts it can name") {
  if (const std::string reason = why_no_other_user(); !reason.empty()) CODEWAKE_SKIP(reason);
  const SetuidProgram setuid_program;
  const fs::path setuid = setuid_program.path();
  const fs::path plain = setuid.parent_path() / "plain";
  fs::copy_file(path_of("CODEWAKE_SETUID_PROGRAM"), plain);
  REQUIRE(chmod(plain.c_str(), 0755) == 0);
  const HostileFolder folder;
  if (!run(setuid, folder, {}, true).out.starts_with("secure: 1\n"))
    CODEWAKE_SKIP("setuid means nothing on this file system (nosuid)");
  for (const Variables& variables : attacks(folder)) {
    const ChildResult result = run(setuid, folder, variables, true);
    CAPTURE(result.out);
    CHECK(result.out.starts_with("secure: 1\n"));
    CHECK_FALSE(folder.has_mark());
  }
  // The attacks work in the other user's own programs, where they are none.
  for (const Variables& variables : attacks(folder)) {
    const ChildResult result = run(plain, folder, variables, true);
    CAPTURE(result.out);
    if (!result.out.starts_with("secure: 0\n")) CODEWAKE_SKIP("the other user cannot read the library here");
    CHECK(folder.has_mark());
    fs::remove(folder.mark());
  }
}

TEST_CASE("In a setuid program, libpq and libcurl do not obey the user who starts it") {
  if (const std::string reason = why_no_other_user(); !reason.empty()) CODEWAKE_SKIP(reason);
  struct {
    const char* module;
    const char* class_name;
    const char* parameter;
    const char* variable;
  } const ways[] = {
      {"code_wake_postgres_store", "PostgresStore", "postgresql://127.0.0.1:1/d", "PGSSLKEY"},
      {"code_wake_postgres_store", "PostgresStore", "postgresql://127.0.0.1:1/d", "PGSERVICEFILE"},
      {"code_wake_raceway_store", "RacewayStore", "http://127.0.0.1:1", "SSLKEYLOGFILE"},
      {"code_wake_raceway_store", "RacewayStore", "http://127.0.0.1:1", "http_proxy"},
  };
  const SetuidProgram program;
  const HostileFolder folder;
  for (const auto& way : ways) {
    const std::string module = adapter(way.module);
    if (module.empty()) CODEWAKE_SKIP(std::string(way.module) + " is not built");
    const ChildResult result =
        run(program.path(), folder, {{way.variable, "x"}}, true, {module, way.class_name, way.parameter});
    CAPTURE(result.out);
    if (!result.out.starts_with("secure: 1\n"))
      CODEWAKE_SKIP("setuid means nothing on this file system (nosuid)");
    CHECK(result.out.find(std::string("would obey the variable ") + way.variable) != std::string::npos);
  }
}

TEST_CASE("In a setuid program, a database's relative path is refused") {
  if (const std::string reason = why_no_other_user(); !reason.empty()) CODEWAKE_SKIP(reason);
  const std::string module = adapter("code_wake_sqlite_store");
  if (module.empty()) CODEWAKE_SKIP("code_wake_sqlite_store is not built");
  const SetuidProgram program;
  const HostileFolder folder;
  const ChildResult result =
      run(program.path(), folder, {}, true, {module, "SqliteStore", "sqlite:///events.sqlite"});
  CAPTURE(result.out);
  if (!result.out.starts_with("secure: 1\n"))
    CODEWAKE_SKIP("setuid means nothing on this file system (nosuid)");
  CHECK(result.out.find("is relative") != std::string::npos);
  CHECK_FALSE(fs::exists(folder.path() / "events.sqlite"));
}

TEST_CASE("Root's program in another user's folder loads nothing from there") {
  if (const std::string reason = why_no_other_user(); !reason.empty()) CODEWAKE_SKIP(reason);
  const HostileFolder folder;
  for (const Variables& variables : attacks(folder)) {
    const ChildResult result = run(path_of("CODEWAKE_SETUID_PROGRAM"), folder, variables, false);
    CAPTURE(result.out);
    CAPTURE(result.err);
    CHECK((result.out + result.err).find("belongs to the user 65534") != std::string::npos);
    CHECK_FALSE(folder.has_mark());
  }
}

TEST_CASE("A plugin that other users can write is refused before any of its code runs") {
  const TemporaryFolder folder;
  const fs::path file = folder / "libmarking.so";
  fs::copy_file(marking_plugin(), file);
  setenv("CODEWAKE_TEST_MARK", (folder / "mark").c_str(), 1);
  for (const mode_t mode : {0666, 0664, 0646}) {
    REQUIRE(chmod(file.c_str(), mode) == 0);
    const std::string who = (mode & S_IWOTH) != 0 ? "all users" : "its group";
    const std::string reason = "is not loaded: " + file.string() + " can be written by " + who +
                               "; only root and this user may be able to write a plugin and the folders on "
                               "its way";
    CHECK(reason_of(file.string(), {}) == reason);
    CHECK(reason_of("marking", {folder.path()}) == reason);
    const std::vector<PluginFound> found = find_plugins({folder.path()});
    REQUIRE(!found.empty());
    CHECK(found[0].module == "marking");
    CHECK(found[0].problem == reason);
  }
  CHECK_FALSE(fs::exists(folder / "mark"));
  REQUIRE(chmod(file.c_str(), 0644) == 0);
  CHECK(reason_of("marking", {folder.path()}).starts_with("not a Code Wake plugin"));
  CHECK(fs::exists(folder / "mark"));
  unsetenv("CODEWAKE_TEST_MARK");
}

TEST_CASE("A folder that other users can write is passed over, and hides nothing") {
  const TemporaryFolder folder;
  const fs::path open_folder = folder / "open";
  fs::create_directory(open_folder);
  fs::copy_file(marking_plugin(), open_folder / "libmarking.so");
  REQUIRE(chmod(open_folder.c_str(), 0777) == 0);
  CHECK(reason_of("marking", {open_folder})
            .starts_with("no such plugin, tried " + (open_folder / "libmarking.so").string() +
                         " (passed over: " + open_folder.string() + " can be written by all users), "));
  const fs::path good = path_of("CODEWAKE_TEST_PLUGINS");
  fs::copy_file(marking_plugin(), open_folder / "libcode_wake_memory_store.so");
  CHECK(load_store("code_wake_memory_store", "MemoryStore", {}, {open_folder, good}) != nullptr);
  const std::vector<PluginFound> found = find_plugins({open_folder, good});
  const auto is_memory_store = [](const PluginFound& plugin) {
    return plugin.module == "code_wake_memory_store";
  };
  CHECK(std::ranges::count_if(found, is_memory_store) == 2);
}

TEST_CASE("Another user's plugin is never loaded while its folder comes and goes") {
  if (const std::string reason = why_no_other_user(); !reason.empty()) CODEWAKE_SKIP(reason);
  const TemporaryFolder folder;
  REQUIRE(chmod(folder.path().c_str(), 01777) == 0);
  fs::create_directory(folder / "hers");
  fs::copy_file(marking_plugin(), folder / "hers/libmarking.so");
  REQUIRE(chown((folder / "hers").c_str(), kOtherUser, kOtherUser) == 0);
  const ChildResult result = in_child([&] {
    setenv("CODEWAKE_TEST_MARK", (folder / "mark").c_str(), 1);
    const pid_t other = codewake::testing::start_child([&] {
      become_other_user();
      for (int i = 0; i < 20'000; ++i) {
        fs::rename(folder / "hers", folder / "plugins");
        fs::rename(folder / "plugins", folder / "hers");
      }
      std::_Exit(0);
    });
    int status = 0;
    do {
      reason_of((folder / "plugins/libmarking.so").string(), {});
      reason_of("marking", {folder / "plugins"});
    } while (waitpid(other, &status, WNOHANG) == 0);
    if (status != 0) throw std::runtime_error("no renaming");
  });
  INFO(result.err);
  CHECK(result.exit_code == 0);
  CHECK_FALSE(fs::exists(folder / "mark"));
}

TEST_CASE("A setgid program loads nothing of the user who starts it") {
  if (const std::string reason = why_no_other_user(); !reason.empty()) CODEWAKE_SKIP(reason);
  const SetuidProgram program;
  REQUIRE(chown(program.path().c_str(), 0, 65533) == 0);
  REQUIRE(chmod(program.path().c_str(), 02755) == 0);
  const HostileFolder folder;
  const ChildResult result =
      run(program.path(), folder, {}, true, {folder.plugin().string(), "Marking", "x"});
  CAPTURE(result.out);
  if (!result.out.starts_with("secure: 1\n"))
    CODEWAKE_SKIP("setgid means nothing on this file system (nosuid)");
  CHECK(result.out.find("belongs to the user 65534") != std::string::npos);
  CHECK_FALSE(folder.has_mark());
}

TEST_CASE("Where the library is installed, its plugins count though a group can write to the folder above") {
  const TemporaryFolder installed;
  const fs::path plugins = installed / "lib/codewake";
  fs::create_directories(plugins);
  fs::copy_file(marking_plugin(), plugins / "libmarking.so");
  const fs::path built = codewake::installed_plugin_folder().parent_path();
  for (const fs::directory_entry& file : fs::directory_iterator(built)) {
    if (file.is_regular_file() && file.path().filename().string().starts_with("libcodewake.so"))
      fs::copy_file(file.path(), installed / "lib" / file.path().filename());
  }
  REQUIRE(chmod((installed / "lib").c_str(), 02775) == 0);
  const TemporaryFolder current;
  const auto loads = [&](mode_t mode_of_folder, mode_t mode_of_plugin) {
    REQUIRE(chmod(plugins.c_str(), mode_of_folder) == 0);
    REQUIRE(chmod((plugins / "libmarking.so").c_str(), mode_of_plugin) == 0);
    const ChildResult result = in_child([&] {
      unsetenv("CODE_WAKE_PLUGIN_PATH");
      setenv("LD_LIBRARY_PATH", (installed / "lib").c_str(), 1);
      setenv("CODEWAKE_TEST_MARK", (current / "mark").c_str(), 1);
      const std::string program = path_of("CODEWAKE_SETUID_PROGRAM").string();
      execl(program.c_str(), program.c_str(), "marking", "Marking", "x", nullptr);
      throw std::system_error(errno, std::generic_category(), program);
    });
    INFO(result.out);
    CHECK(result.out.starts_with("secure: 0\n"));
    return fs::remove(current / "mark");
  };
  CHECK(loads(0755, 0755));
  CHECK_FALSE(loads(0775, 0755));
  CHECK_FALSE(loads(0755, 0775));
  CHECK_FALSE(loads(0757, 0755));
}
