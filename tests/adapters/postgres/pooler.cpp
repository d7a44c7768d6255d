#include "pooler.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

namespace codewake::testing {
namespace {

constexpr const char* kProgram = "/usr/sbin/pgbouncer";

}  // namespace

std::string Pooler::missing() {
  return access(kProgram, X_OK) == 0 ? "" : "PgBouncer is not installed (package pgbouncer)";
}

Pooler::Pooler(const Server& server, int connections, std::string_view settings) {
  const auto users = folder_.write("users", "\"tester\" \"\"\n");
  const auto file = folder_.write(
      "pgbouncer.ini",
      fmt::format("[databases]\n* = host={} port=5432\n[pgbouncer]\nlisten_addr =\n"
                  "unix_socket_dir = {}\nlisten_port = 6432\nauth_type = trust\nauth_file = {}\n"
                  "pool_mode = transaction\ndefault_pool_size = {}\n"
                  "{}\n",
                  server.socket_folder(), folder_.path().string(), users.string(), connections, settings));
  give_to_server(folder_.path());
  const auto log = folder_ / "pgbouncer.log";
  process_ = start_for_server({kProgram, file.string()}, log);
  wait_until_it_answers(conninfo("postgres"), process_, log);
}

Pooler::~Pooler() {
  kill(process_, SIGTERM);  // at once: SIGINT would wait for its clients
  while (waitpid(process_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

std::string Pooler::conninfo(std::string_view database) const {
  return fmt::format("host={} port=6432 user=tester dbname={}", folder_.path().string(), database);
}

std::string Pooler::dsn(const Database& database, std::string_view query) const {
  return fmt::format("postgresql://tester@/{}?host={}&port=6432{}", database.name(), folder_.path().string(),
                     query);
}

}  // namespace codewake::testing
