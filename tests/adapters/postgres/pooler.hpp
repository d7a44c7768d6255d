// A PgBouncer in front of the server, which gives each transaction whichever of its connections is idle.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "server.hpp"
#include "support/temporary_folder.hpp"

namespace codewake::testing {

/// Pools transactions; ends with the object, or the program. For the tests' own thread.
class Pooler {
 public:
  /// Why there can be none; empty where there can.
  static std::string missing();

  /// Waits until it answers. `connections`: how many it has to the server, for each database. `settings`:
  /// more of its own, a line each. Throws std::runtime_error where it does not start.
  Pooler(const Server& server, int connections, std::string_view settings = "");
  Pooler(const Pooler&) = delete;
  Pooler& operator=(const Pooler&) = delete;
  ~Pooler();

  /// `postgresql://…` for a database behind it, with `query` behind the host: `&key=value…`.
  std::string dsn(const Database& database, std::string_view query = "") const;
  /// The same in libpq's words, as another client has it.
  std::string conninfo(std::string_view database) const;

 private:
  TemporaryFolder folder_;
  pid_t process_ = -1;
};

}  // namespace codewake::testing
