#include "server.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <utility>

#include "support/child.hpp"

namespace codewake::testing {
namespace {

/// Where `initdb` and `postgres` are; Debian keeps them out of the PATH. Empty where they are not.
std::filesystem::path find_programs() {
  std::vector<std::filesystem::path> folders;
  std::error_code ignored;
  for (const auto& version : std::filesystem::directory_iterator("/usr/lib/postgresql", ignored)) {
    folders.push_back(version.path() / "bin");
  }
  std::sort(folders.rbegin(), folders.rend());
  std::istringstream path(std::getenv("PATH") == nullptr ? "" : std::getenv("PATH"));
  for (std::string folder; std::getline(path, folder, ':');) folders.emplace_back(folder);
  for (const auto& folder : folders) {
    if (access((folder / "postgres").c_str(), X_OK) == 0 && access((folder / "initdb").c_str(), X_OK) == 0)
      return folder;
  }
  return {};
}

/// The server refuses to run as root.
const passwd* server_user() {
  if (geteuid() != 0) return nullptr;
  const passwd* user = getpwnam("postgres");
  return user != nullptr ? user : getpwnam("nobody");
}

void wait_until_gone(pid_t process) {
  while (waitpid(process, nullptr, 0) < 0 && errno == EINTR) {
  }
}

}  // namespace

std::string Server::missing() {
  static const std::string reason =
      find_programs().empty() ? "no PostgreSQL server is installed (package postgresql)" : "";
  return reason;
}

std::string Server::missing_disk() {
  const ChildResult tried = in_child([] {
    if (unshare(CLONE_NEWNS) != 0 || mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        mount("tmpfs", "/tmp", "tmpfs", 0, "size=1m") != 0) {
      std::_Exit(1);
    }
  });
  return tried.exit_code == 0 ? "" : "no file systems may be mounted here";
}

Server& Server::instance() {
  static Server server{Setup{}};
  return server;
}

Server::Server(Setup setup) : setup_(std::move(setup)), programs_(find_programs()), owner_(getpid()) {
  initialize();
  start();
}

Server::~Server() {
  if (getpid() == owner_ && process_ > 0) crash();
}

void Server::initialize() {
  give_to_server(folder_.path());
  if (setup_.primary != nullptr) {
    run({"pg_basebackup", "--pgdata=" + (folder_ / "data").string(),
         "--host=" + setup_.primary->socket_folder(), "--username=tester", "--write-recovery-conf",
         "--checkpoint=fast", "--no-sync"});
  } else {
    run({"initdb", "--pgdata=" + (folder_ / "data").string(), "--username=tester", "--auth=trust",
         "--encoding=UTF8", "--locale=C", "--no-sync"});
  }
  // What the server promises for the machine's death costs time, and no test kills the machine.
  std::ofstream(folder_ / "data/postgresql.conf", std::ios::app)
      << "listen_addresses = ''\nunix_socket_directories = '" << socket_folder()
      << "'\nfsync = off\nfull_page_writes = off\nautovacuum = off\nmax_connections = 100\n"
         "shared_buffers = 32MB\ndeadlock_timeout = 100ms\n";
  std::ofstream(folder_ / "data/pg_hba.conf")
      << "local all with_password scram-sha-256\nlocal all all trust\nlocal replication all trust\n";
}

void Server::run(const std::vector<std::string>& command) const {
  const std::string log = command.front() + ".log";
  const pid_t program = spawn(command, log);
  int status = 0;
  while (waitpid(program, &status, 0) < 0 && errno == EINTR) {
  }
  if (status != 0) throw std::runtime_error(command.front() + ": " + read_file(folder_ / log));
}

// Nobody but the server's own processes sees it, and it goes with the last of them.
void Server::mount_disk() const {
  const passwd* const user = server_user();
  const std::string options =
      user == nullptr ? setup_.disk
                      : fmt::format("{},mode=700,uid={},gid={}", setup_.disk, user->pw_uid, user->pw_gid);
  if (mkdir(disk().c_str(), 0755) != 0 && errno != EEXIST) std::_Exit(75);
  if (unshare(CLONE_NEWNS) != 0 || mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      mount("tmpfs", disk().c_str(), "tmpfs", 0, options.c_str()) != 0) {
    std::_Exit(76);
  }
}

pid_t Server::spawn(const std::vector<std::string>& command, std::string_view log) const {
  std::vector<std::string> words = command;
  // With its folder: these programs look for each other where argv[0] says that they are.
  words.front() = (programs_ / command.front()).string();
  return start_for_server(words, folder_ / log, [this] {
    if (!setup_.disk.empty()) mount_disk();
  });
}

pid_t start_for_server(const std::vector<std::string>& command, const std::filesystem::path& log,
                       const std::function<void()>& prepare) {
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child < 0) throw std::system_error(errno, std::generic_category(), "fork");
  if (child != 0) return child;
  const int out = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
  const int in = open("/dev/null", O_RDONLY);
  if (out < 0 || in < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0) std::_Exit(71);
  if (prepare) prepare();
  if (const passwd* user = server_user()) {
    if (setgroups(0, nullptr) != 0 || setgid(user->pw_gid) != 0 || setuid(user->pw_uid) != 0) std::_Exit(72);
  }
  // A shell that started the tests in the background has had them ignored.
  for (const int each : {SIGINT, SIGQUIT, SIGTERM}) signal(each, SIG_DFL);
  prctl(PR_SET_PDEATHSIG, SIGQUIT);
  if (chdir("/") != 0) std::_Exit(73);
  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  execv(arguments.front(), arguments.data());
  std::_Exit(74);
}

void wait_until_it_answers(const std::string& conninfo, pid_t process, const std::filesystem::path& log) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  while (true) {
    try {
      const pqxx::connection connection(conninfo);
      return;
    } catch (const pqxx::failure&) {
      if (waitpid(process, nullptr, WNOHANG) == process || std::chrono::steady_clock::now() > deadline)
        throw std::runtime_error(log.stem().string() + ": " + read_file(log));
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }
}

void give_to_server(const std::filesystem::path& folder) {
  const passwd* const user = server_user();
  if (user != nullptr && chown(folder.c_str(), user->pw_uid, user->pw_gid) != 0)
    throw std::system_error(errno, std::generic_category(), "chown");
}

void Server::start() {
  process_ = spawn({"postgres", "-D", (folder_ / "data").string()}, "server.log");
  wait_until_it_answers(fmt::format("host={} port=5432 user=tester dbname=postgres", socket_folder()),
                        process_, folder_ / "server.log");
}

void Server::stop() {
  end(SIGINT);
}

void Server::crash() {
  end(SIGQUIT);
}

void Server::end(int signal) {
  kill(process_, signal);
  wait_until_gone(process_);
  process_ = -1;
}

void Server::freeze(bool frozen) {
  // Of each of its processes: the server proper and those for the connections.
  std::vector<pid_t> processes = {process_};
  std::ifstream children(fmt::format("/proc/{0}/task/{0}/children", process_));
  for (pid_t child = 0; children >> child;) processes.push_back(child);
  for (const pid_t process : processes) kill(process, frozen ? SIGSTOP : SIGCONT);
}

void Server::promote() {
  run({"pg_ctl", "promote", "--pgdata=" + (folder_ / "data").string()});
}

void Server::exec(const std::string& sql) const {
  pqxx::connection connection(fmt::format("host={} port=5432 user=tester dbname=postgres", socket_folder()));
  pqxx::nontransaction(connection).exec(sql);
}

Database::Database(std::string_view options, const Server& server) : server_(&server) {
  static int made = 0;
  name_ = fmt::format("test_{}_{}", getpid(), made++);
  server.exec(fmt::format("CREATE DATABASE {} TEMPLATE template0 {}", name_, options));
}

Database::~Database() {
  connection_.reset();
  try {
    server_->exec(fmt::format("DROP DATABASE {} WITH (FORCE)", name_));
  } catch (const std::exception&) {
    // It goes with the server.
  }
}

std::string Database::dsn(std::string_view query) const {
  return fmt::format("postgresql://tester@/{}?host={}&port=5432{}", name_, server_->socket_folder(), query);
}

// As a program at a prompt: a transaction lasts from one call to another.
std::vector<std::vector<std::string>> Database::rows(const std::string& sql) const {
  if (!connection_ || !connection_->is_open()) connection_ = std::make_unique<pqxx::connection>(dsn());
  std::vector<std::vector<std::string>> rows;
  for (const pqxx::row& row : pqxx::nontransaction(*connection_).exec(sql)) {
    auto& columns = rows.emplace_back();
    for (const pqxx::field& field : row) columns.emplace_back(field.is_null() ? "NULL" : field.c_str());
  }
  return rows;
}

void Database::exec(const std::string& sql) const {
  rows(sql);
}

std::int64_t Database::number(const std::string& sql) const {
  return std::stoll(rows(sql).at(0).at(0));
}

}  // namespace codewake::testing
