#include "codewake/dsn.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "codewake/errors.hpp"

using codewake::ConfigError;
using codewake::Dsn;
using codewake::parse_dsn;

namespace {

std::string error_of(std::string_view text) {
  try {
    parse_dsn(text);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

std::string message(std::string_view shown, std::string_view problem) {
  return "store.config: DSN '" + std::string(shown) + "': " + std::string(problem) +
         "; expected scheme://user:password@host:port/path?key=value, such as sqlite:////absolute/path or "
         "postgresql://user@host/database";
}

struct Case {
  std::string_view text;
  std::string_view shown;
  std::string_view problem;
};

void check(const std::vector<Case>& cases) {
  for (const Case& each : cases) {
    CAPTURE(each.text);
    CHECK(error_of(each.text) == message(each.shown, each.problem));
  }
}

}  // namespace

TEST_CASE("SQLite's DSNs name a file, absolute or relative, or memory") {
  CHECK(parse_dsn("sqlite:////tmp/some_file.sqlite") ==
        Dsn{.scheme = "sqlite", .path = "/tmp/some_file.sqlite"});
  CHECK(parse_dsn("sqlite:///some_file.sqlite") == Dsn{.scheme = "sqlite", .path = "some_file.sqlite"});
  CHECK(parse_dsn("sqlite:///:memory:") == Dsn{.scheme = "sqlite", .path = ":memory:"});
  CHECK(parse_dsn("sqlite:///../up/to file") == Dsn{.scheme = "sqlite", .path = "../up/to file"});
  CHECK(parse_dsn("sqlite://") == Dsn{.scheme = "sqlite"});
  CHECK(parse_dsn("sqlite:///") == Dsn{.scheme = "sqlite"});
  CHECK(parse_dsn("sqlite:///a@b:c") == Dsn{.scheme = "sqlite", .path = "a@b:c"});
}

TEST_CASE("A DSN with everything has all its parts, decoded") {
  const Dsn dsn =
      parse_dsn("postgresql+psycopg2://us%3Aer:p%40ss@db.example:5432/my%20db?sslmode=require&a=b%26c");
  CHECK(dsn.scheme == "postgresql+psycopg2");
  CHECK(dsn.user == "us:er");
  CHECK(dsn.password == "p@ss");
  CHECK(dsn.host == "db.example");
  CHECK(dsn.port == 5432);
  CHECK(dsn.path == "my db");
  CHECK(dsn.query == std::vector<std::pair<std::string, std::string>>{{"sslmode", "require"}, {"a", "b&c"}});
}

TEST_CASE("Each part of a DSN may be missing") {
  CHECK(parse_dsn("p://h") == Dsn{.scheme = "p", .host = "h"});
  CHECK(parse_dsn("p://h/") == Dsn{.scheme = "p", .host = "h"});
  CHECK(parse_dsn("p://u@h") == Dsn{.scheme = "p", .user = "u", .host = "h"});
  CHECK(parse_dsn("p://u:@h") == Dsn{.scheme = "p", .user = "u", .password = "", .host = "h"});
  CHECK(parse_dsn("p://:w@h") == Dsn{.scheme = "p", .password = "w", .host = "h"});
  CHECK(parse_dsn("p://u:w@/d") == Dsn{.scheme = "p", .user = "u", .password = "w", .path = "d"});
  CHECK(parse_dsn("p://u:w:x@h") == Dsn{.scheme = "p", .user = "u", .password = "w:x", .host = "h"});
  CHECK(parse_dsn("p://:1/d") == Dsn{.scheme = "p", .port = 1, .path = "d"});
  CHECK(parse_dsn("p://h:65535") == Dsn{.scheme = "p", .host = "h", .port = 65535});
  CHECK(parse_dsn("p://h?a=b") == Dsn{.scheme = "p", .host = "h", .query = {{"a", "b"}}});
  CHECK(parse_dsn("p://h/d?") == Dsn{.scheme = "p", .host = "h", .path = "d"});
}

TEST_CASE("The scheme is in lower case, whatever was written") {
  CHECK(parse_dsn("PostgreSQL+Psycopg2://h").scheme == "postgresql+psycopg2");
  CHECK(parse_dsn("my_db.v-1://h").scheme == "my_db.v-1");
}

TEST_CASE("A host may be an IPv6 address in brackets, or the folder of a socket") {
  CHECK(parse_dsn("p://[::1]/d") == Dsn{.scheme = "p", .host = "::1", .path = "d"});
  CHECK(parse_dsn("p://u:w@[2001:db8::7]:5432/d") ==
        Dsn{.scheme = "p", .user = "u", .password = "w", .host = "2001:db8::7", .port = 5432, .path = "d"});
  CHECK(parse_dsn("p://[fe80::1%25eth0]").host == "fe80::1%eth0");
  CHECK(parse_dsn("p://[::ffff:127.0.0.1]").host == "::ffff:127.0.0.1");
  CHECK(parse_dsn("p://%2Fvar%2Frun/d").host == "/var/run");
}

TEST_CASE("A query keeps its order, repeated keys and empty values; a plus is a space") {
  using Query = std::vector<std::pair<std::string, std::string>>;
  CHECK(parse_dsn("p://?b=1&a=2&b=3").query == Query{{"b", "1"}, {"a", "2"}, {"b", "3"}});
  CHECK(parse_dsn("p://?a=&b").query == Query{{"a", ""}, {"b", ""}});
  CHECK(parse_dsn("p://?a=b=c").query == Query{{"a", "b=c"}});
  CHECK(parse_dsn("p://?a+b=c+d%2Be").query == Query{{"a b", "c d+e"}});
  CHECK(parse_dsn("p://?a=/x?y").query == Query{{"a", "/x?y"}});
  CHECK(parse_dsn("p://u+v:w+x@h/y+z") ==
        Dsn{.scheme = "p", .user = "u+v", .password = "w+x", .host = "h", .path = "y+z"});
}

TEST_CASE("Any byte but NUL may be encoded, in either case") {
  CHECK(parse_dsn("sqlite:///%ff%FF%0a%C3%A9").path == "\xFF\xFF\n\xC3\xA9");
  CHECK(parse_dsn("sqlite:///\xC3\xA9").path == "\xC3\xA9");
}

TEST_CASE("What is no DSN is an error that shows the form") {
  check({
      {"", "", "it has no ://"},
      {"/tmp/x.sqlite", "/tmp/x.sqlite", "it has no ://"},
      {"sqlite:/tmp/x", "sqlite:/tmp/x", "it has no ://"},
      {"://h", "://h", "what stands before :// is not a scheme"},
      {"1a://h", "1a://h", "what stands before :// is not a scheme"},
      {" p://h", " p://h", "what stands before :// is not a scheme"},
      {"p q://h", "p q://h", "what stands before :// is not a scheme"},
      {"a,b://h", "a,b://h", "what stands before :// is not a scheme"},
      {"p://h\n", "p://h\\x0a", "it holds a control character; percent-encode it"},
      {std::string_view("p://h\0", 6), "p://h\u2400", "it holds a control character; percent-encode it"},
      {"p://h\x7f", "p://h\\x7f", "it holds a control character; percent-encode it"},
      {"p://?a=1&=2", "p://?a=1&=2", "a name is missing in the query"},
      {"p://?a=1&", "p://?a=1&", "a name is missing in the query"},
      {"p://?a&&b", "p://?a&&b", "a name is missing in the query"},
  });
}

TEST_CASE("Several hosts stand as they are written, each with its port") {
  for (const char* hosts : {"one,two", "one:5432,two:5433", "[::1]:5432,two,[fe80::7]", ",two", "one,"}) {
    CAPTURE(hosts);
    const Dsn dsn{.scheme = "p", .user = "u", .host = hosts, .path = "d"};
    CHECK(parse_dsn("p://u@" + std::string(hosts) + "/d") == dsn);
    CHECK(dsn.to_display() == "p://u@" + std::string(hosts) + "/d");
  }
  CHECK(parse_dsn("p://one%2Ftwo,three").host == "one/two,three");
  CHECK(parse_dsn("p://one%2Ctwo%3Athree").to_display() == "p://one%2Ctwo%3Athree");
}

TEST_CASE("A bad port or host is an error") {
  const std::string_view port =
      "the port is not a number from 1 to 65535; write %3A and %2F for : and / in a password";
  check({
      {"p://h:", "p://h:", port},
      {"p://h:/d", "p://h:/d", port},
      {"p://h:0", "p://h:0", port},
      {"p://h:65536", "p://h:65536", port},
      {"p://h:-1", "p://h:-1", port},
      {"p://h:+1", "p://h:+1", port},
      {"p://h:x", "p://h:x", port},
      {"p://h: 1", "p://h: 1", port},
      {"p://h:1:2", "p://h:1:2", port},
      {"p://h:%31", "p://h:%31", port},
      {"p://::1", "p://::1", port},
      {"p://h,i:x", "p://h,i:x", port},
      {"p://h:,i", "p://h:,i", port},
      {"p://[::1]:", "p://[::1]:", port},
      {"p://u:a/b@h", "p://u:***@h", port},
      {"p://[::1", "p://[::1", "the bracket before the host is not closed"},
      {"p://[]", "p://[]", "what stands in brackets is not an IPv6 address"},
      {"p://[localhost]", "p://[localhost]", "what stands in brackets is not an IPv6 address"},
      {"p://[127.0.0.1]", "p://[127.0.0.1]", "what stands in brackets is not an IPv6 address"},
      {"p://[::1]5432", "p://[::1]5432", "something other than a port stands behind the IPv6 address"},
      {"p://u:a@b@h", "p://u:***@h", "it has more than one @; write %40 for one in a password"},
  });
}

TEST_CASE(
    "A % that is not followed by two hexadecimal digits is an error in every part, and so is a NUL byte") {
  const auto percent = [](const std::string& part) {
    return "a % in the " + part + " is not followed by two hexadecimal digits; write %25 for %";
  };
  const auto nul = [](const std::string& part) { return "the " + part + " holds a NUL byte; remove it"; };
  CHECK(error_of("p://%u@h") == message("p://%u@h", percent("user")));
  CHECK(error_of("p://u:50%@h") == message("p://u:***@h", percent("password")));
  CHECK(error_of("p://h%4") == message("p://h%4", percent("host")));
  CHECK(error_of("p://h/%4G") == message("p://h/%4G", percent("path")));
  CHECK(error_of("p://h/%G4") == message("p://h/%G4", percent("path")));
  CHECK(error_of("p://?%=1") == message("p://?%=1", percent("query")));
  CHECK(error_of("p://?a=100%") == message("p://?a=100%", percent("query")));
  CHECK(error_of("p://%00@h") == message("p://%00@h", nul("user")));
  CHECK(error_of("p://u:%00@h") == message("p://u:***@h", nul("password")));
  CHECK(error_of("p://%00") == message("p://%00", nul("host")));
  CHECK(error_of("p:///a%00") == message("p:///a%00", nul("path")));
  CHECK(error_of("p://?a=%00") == message("p://?a=%00", nul("query")));
}

TEST_CASE("A DSN that is shown hides its secrets") {
  CHECK(parse_dsn("postgresql://u:hush@h:5432/d?sslmode=require&sslpassword=hush&token=hush").to_display() ==
        "postgresql://u:***@h:5432/d?sslmode=require&sslpassword=***&token=***");
  CHECK(parse_dsn("redis://:hush@h").to_display() == "redis://:***@h");
}

TEST_CASE("A DSN that is shown reads back as the same where it holds no secret") {
  for (const char* text :
       {"sqlite://", "sqlite:////tmp/x.sqlite", "sqlite:///:memory:", "sqlite:///a%20b%3Fc%23%25?x=y",
        "postgresql+psycopg2://u%40v@h:5432/d?a=b%26c&d=", "p://[::1]:80/d", "p://[fe80::1%25eth0]",
        "p://g%3Ah", "p://%2Fvar%2Frun/d", "p:///%FF%0A", "p://?a+b=c%2Bd&e", "p:///\xC3\xA9"}) {
    CAPTURE(text);
    const Dsn dsn = parse_dsn(text);
    CHECK(parse_dsn(dsn.to_display()) == dsn);
  }
  CHECK(parse_dsn("sqlite:////tmp/x.sqlite").to_display() == "sqlite:////tmp/x.sqlite");
  CHECK(parse_dsn("sqlite:///:memory:").to_display() == "sqlite:///:memory:");
  CHECK(parse_dsn("p://[::1]:80/d").to_display() == "p://[::1]:80/d");
}
