// A real PostgreSQL server for one test program, and a look into its databases without the store.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <pqxx/pqxx>
#include <string>
#include <string_view>
#include <vector>

#include "support/temporary_folder.hpp"

namespace codewake::testing {

/// Listens on a socket in a temporary folder of its own, runs as a user without rights, and ends with the
/// program, however that ends. For the tests' own thread.
class Server {
 public:
  struct Setup {
    const Server* primary = nullptr;  ///< follows this one, until it is promoted
    std::string disk = {};            ///< options of tmpfs, `size=32m`, for the folder disk(); empty: none
  };

  /// The one of this program; started by the first call. Throws std::runtime_error where it does not start.
  static Server& instance();
  /// Why there can be none; empty where there can.
  static std::string missing();
  /// Why there can be none with a disk of its own; empty where there can.
  static std::string missing_disk();

  /// Another one. Throws as `instance`.
  explicit Server(Setup setup);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// The folder of its socket.
  std::string socket_folder() const { return folder_.path().string(); }
  /// The socket itself.
  std::string socket() const { return socket_folder() + "/.s.PGSQL.5432"; }

  /// Waits until it answers.
  void start();
  /// Ends it in order: what is under way is rolled back (a fast shutdown).
  void stop();
  /// Ends it as a crash would: nothing is finished, and the next start recovers (an immediate shutdown).
  void crash();
  /// Has a standby take over as primary.
  void promote();
  /// In its database `postgres`. Throws pqxx::failure with what the server said.
  void exec(const std::string& sql) const;
  /// As the server names it.
  std::string disk() const { return socket_folder() + "/disk"; }
  /// Stops it in place, as a machine that hangs; and lets it go on. Only the processes that are there.
  void freeze(bool frozen);

 private:
  void initialize();
  void end(int signal);
  void mount_disk() const;
  pid_t spawn(const std::vector<std::string>& command, std::string_view log) const;
  void run(const std::vector<std::string>& command) const;

  const Setup setup_;
  TemporaryFolder folder_;
  std::filesystem::path programs_;
  pid_t owner_;
  pid_t process_ = -1;
};

/// Runs a program in a child, as the user without rights that servers run as, with its output at the end of
/// the file `log`; the child ends with this program. `prepare` runs in the child before, as the user that we
/// are. The first word is the program's path. Throws std::system_error.
pid_t start_for_server(const std::vector<std::string>& command, const std::filesystem::path& log,
                       const std::function<void()>& prepare = {});
/// Waits until connections can be made. Throws std::runtime_error with what is in `log` where the process
/// ends before.
void wait_until_it_answers(const std::string& conninfo, pid_t process, const std::filesystem::path& log);
/// Gives a folder to that user.
void give_to_server(const std::filesystem::path& folder);

/// A database of its own for a test case, empty; dropped with the object.
class Database {
 public:
  explicit Database(std::string_view options = "", const Server& server = Server::instance());
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;
  ~Database();

  const std::string& name() const noexcept { return name_; }
  /// `postgresql://…` for it, with `query` behind the host: `&key=value…`.
  std::string dsn(std::string_view query = "") const;

  /// A connection of the test's own, as any other program would have one; made anew after a crash. Every call
  /// throws std::runtime_error with what the server said.
  void exec(const std::string& sql) const;
  /// Every row as text, NULL as "NULL".
  std::vector<std::vector<std::string>> rows(const std::string& sql) const;
  /// The first column of the first row, as an integer.
  std::int64_t number(const std::string& sql) const;
  /// The next call connects anew.
  void disconnect() const { connection_.reset(); }
  /// The same database, on a server that has taken over.
  void move_to(const Server& server) {
    disconnect();
    server_ = &server;
  }

 private:
  const Server* server_;
  std::string name_;
  mutable std::unique_ptr<pqxx::connection> connection_;
};

/// Leaves the test case, or the void function, that it stands in, where there is no server.
#define CODEWAKE_NEEDS_SERVER()                                                               \
  do {                                                                                        \
    if (const std::string missing = ::codewake::testing::Server::missing(); !missing.empty()) \
      CODEWAKE_SKIP(missing);                                                                 \
  } while (false)

}  // namespace codewake::testing
