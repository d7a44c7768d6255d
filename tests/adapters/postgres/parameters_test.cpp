#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "adapters/writing.hpp"
#include "codewake/errors.hpp"
#include "codewake/postgres_store.hpp"
#include "server.hpp"
#include "support/skip.hpp"

namespace codewake::testing {
namespace {

std::string config_error(const std::vector<std::string>& parameters) {
  try {
    const PostgresStore store(parameters);
  } catch (const ConfigError& e) {
    CHECK(e.place().key == "store.config");
    return e.what();
  }
  return "";
}

std::string identity_of(const std::string& dsn) {
  return PostgresStore(dsn).identity();
}

/// Sets a variable of the environment, for as long as it lives.
class Variable {
 public:
  Variable(const char* name, const std::string& value) : name_(name) { setenv(name, value.c_str(), 1); }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;
  ~Variable() { unsetenv(name_); }

 private:
  const char* name_;
};

TEST_CASE(
    "parameters of the PostgreSQL store that make no sense are refused, each with what to write instead") {
  CHECK(contains(config_error({}), "no PostgreSQL database is named"));
  CHECK(contains(config_error({"host/db"}), "postgresql://user@host/database"));
  CHECK(contains(config_error({"sqlite:////x"}), "no DSN of a PostgreSQL database"));
  CHECK(contains(config_error({"postgresql://host/a/b"}), "write %2F"));
  CHECK(contains(config_error({"postgresql://host/db?colour=red"}), "\"colour\" is unknown; known are"));
  CHECK(contains(config_error({"postgresql://host/db", "colour=red"}), "\"colour\" is unknown"));
  CHECK(contains(config_error({"postgresql://host/db?sslmode=maybe"}), "write one of disable, allow"));
  CHECK(contains(config_error({"postgresql://host/db?connect_timeout=soon"}), "is no number"));
  CHECK(contains(config_error({"postgresql://host/db?client_encoding=LATIN1"}), "always UTF8"));
  for (const char* duration : {"", "soon", "-1s", "1h", "nan", "1e9"}) {
    CAPTURE(duration);
    CHECK(contains(config_error({"postgresql://host/db", std::string("statement_timeout=") + duration}),
                   "is no duration"));
  }
}

TEST_CASE("parameters of the PostgreSQL store that make sense are taken, and nothing is connected to") {
  for (const char* dsn :
       {"postgresql://", "postgres://host", "postgresql://u:p@host:5433/db", "postgresql+psycopg2://host/db",
        "postgresql:///db?host=/var/run/postgresql", "postgresql://[::1]:5432/db?sslmode=verify-full",
        "postgresql://host/db?client_encoding=utf8&statement_timeout=500ms&connect_timeout=3",
        "postgresql://one,two/db?target_session_attrs=read-write"}) {
    CAPTURE(dsn);
    CHECK(config_error({dsn}).empty());
  }
  CHECK(config_error({"postgresql://host/db", "statement_timeout=2m", "sslmode=require"}).empty());
}

TEST_CASE("no message of the PostgreSQL store holds a password") {
  for (const std::vector<std::string>& parameters :
       {std::vector<std::string>{"postgresql://u:s3cr3t@host:port/db"},
        {"postgresql://u:s3cr3t@host/db?colour=red"},
        {"postgresql://u:s3c", "r3t@host/db"},
        {"mysql://u:s3cr3t@host/db"},
        {"postgresql://u@host/a/b?password=s3cr3t"}}) {
    const std::string message = config_error(parameters);
    CHECK(!message.empty());
    CHECK_FALSE(contains(message, "s3cr3t"));
    CHECK_FALSE(contains(message, "r3t@"));
  }
  PostgresStore away("postgresql://u:s3cr3t@127.0.0.1:1/db?sslpassword=s3cr3t");
  CHECK_FALSE(contains(store_error(StoreError::Kind::unavailable, [&] { away.get_apps(); }), "s3cr3t"));
  CHECK_FALSE(contains(away.identity(), "s3cr3t"));
}

TEST_CASE("an identity is host, port and database, whoever asks and however it is written") {
  const std::string identity = identity_of("postgresql://db.example:5432/wake");
  CHECK(identity == identity_of("postgres://u:p@db.example/wake?sslmode=require"));
  CHECK(identity == identity_of("postgresql://other@/wake?host=db.example"));
  CHECK(identity != identity_of("postgresql://db.example:5433/wake"));
  CHECK(identity != identity_of("postgresql://db.example/other"));
  CHECK(identity != identity_of("postgresql://db.example/wake?options=-csearch_path%3Dmine"));
  const Variable host("PGHOST", "db.example"), database("PGDATABASE", "wake");
  CHECK(identity == identity_of("postgresql://"));
}

TEST_CASE("several hosts become libpq's lists of hosts and ports, however they are written") {
  const std::string identity = identity_of("postgresql:///wake?host=one,::1,three&port=5433,,5434");
  CHECK(identity == identity_of("postgresql://one:5433,[::1],three:5434/wake"));
  CHECK(identity_of("postgresql://one,two/wake") == identity_of("postgresql:///wake?host=one,two"));
  CHECK(contains(config_error({"postgresql://one:5432,two:x/wake"}), "the port is not a number"));
}

TEST_CASE("names that need percent-encoding reach the server as they are, and so do passwords") {
  CODEWAKE_NEEDS_SERVER();
  const Database database;
  database.exec("DROP ROLE IF EXISTS \"odd user@/?\"");
  database.exec("CREATE ROLE \"odd user@/?\" LOGIN SUPERUSER PASSWORD 'p:/?%@'");
  const std::string socket = "?host=" + Server::instance().socket_folder();
  PostgresStore store("postgresql://odd%20user%40%2F%3F:p%3A%2F%3F%25%40@/" + database.name() + socket);
  CHECK(store.insert_app("app", {}).app.id == 1);
  CHECK(database.number("SELECT count(*) FROM pg_stat_activity WHERE usename = 'odd user@/?' AND "
                        "application_name = 'codewake'") == 1);
  CHECK(store.shutdown(std::chrono::seconds(5)));
  database.exec("REASSIGN OWNED BY \"odd user@/?\" TO tester; DROP ROLE \"odd user@/?\"");
}

TEST_CASE("a password comes from the DSN, from PGPASSWORD or from a password file, and a wrong one is said") {
  CODEWAKE_NEEDS_SERVER();
  const Database database;
  database.exec("DROP ROLE IF EXISTS with_password");  // for whom the server's pg_hba.conf asks for it
  database.exec("CREATE ROLE with_password LOGIN SUPERUSER PASSWORD 'l0ck'");
  const std::string at = "@/" + database.name() + "?host=" + Server::instance().socket_folder();
  CHECK(PostgresStore("postgresql://with_password:l0ck" + at).get_apps().empty());
  PostgresStore wrong("postgresql://with_password:wr0ng" + at);
  const std::string message = store_error(StoreError::Kind::unavailable, [&] { wrong.get_apps(); });
  CHECK(contains(message, "password authentication failed"));
  CHECK_FALSE(contains(message, "wr0ng"));
  {
    const Variable password("PGPASSWORD", "l0ck");
    CHECK(PostgresStore("postgresql://with_password" + at).get_apps().empty());
  }
  const TemporaryFolder folder;
  const auto file = folder.write("pgpass", "*:*:*:with_password:l0ck\n");
  std::filesystem::permissions(file, std::filesystem::perms::owner_read);
  const Variable passfile("PGPASSFILE", file.string());
  CHECK(PostgresStore("postgresql://with_password" + at).get_apps().empty());
}

}  // namespace
}  // namespace codewake::testing
