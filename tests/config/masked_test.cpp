#include "config/masked.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <string>
#include <vector>

#include "codewake/config.hpp"

using codewake::masked;
using codewake::internal::is_secret_name;
using codewake::internal::on_one_line;
using codewake::internal::shown;

namespace {

struct Case {
  std::string text;
  std::string shown;
};

}  // namespace

TEST_CASE("What holds no secret is shown as it is") {
  for (const char* text : {"", "sqlite:////tmp/x.sqlite", "sqlite:///:memory:",
                           "postgresql://user@host:5432/db?sslmode=require", "http://localhost:8080",
                           "http://[::1]:80/a", "journal_mode=WAL", "passwords", "a=b&c=d", "timeout=5s"}) {
    CHECK(masked(text) == text);
  }
}

TEST_CASE("The password of a URL is masked, however it is written") {
  const std::vector<Case> cases = {
      {"postgresql://user:hush@host:5432/db", "postgresql://user:***@host:5432/db"},
      {"postgresql+psycopg2://u:p%40ss@h/db", "postgresql+psycopg2://u:***@h/db"},
      {"redis://:hush@host", "redis://:***@host"},
      {"http://u:@h", "http://u:***@h"},
      {"http://u:12345@h", "http://u:***@h"},
      {"http://u:a:b@h", "http://u:***@h"},
      {"http://u:a@b@h", "http://u:***@h"},
      {"http://u:a/b@h", "http://u:***@h"},
      {"http://u:1/b@h", "http://u:***@h"},
      {"http://localhost:8080/a@b", "http://localhost:***@b"},
      {"http://u:a?b#c d@h", "http://u:***@h"},
      {"postgresql:///u:hush@h/db", "postgresql:///u:***@h/db"},
      {"u:hush@h", "u:***@h"},
      {"postgresql:/u:hush@h", "postgresql:***@h"},
      {"http://[::1]:80/u:hush@x", "http://[:***@x"},
  };
  for (const Case& each : cases) {
    CAPTURE(each.text);
    CHECK(masked(each.text) == each.shown);
    CHECK(masked(each.shown) == each.shown);
  }
}

TEST_CASE("The values of names for secrets are masked, in a query up to the next &, elsewhere to the end") {
  const std::vector<Case> cases = {
      {"password=hush", "password=***"},
      {"password=hush and more, even & this", "password=***"},
      {"PASSWORD=hush", "PASSWORD=***"},
      {"passwd=hush", "passwd=***"},
      {"pwd=hush", "pwd=***"},
      {"api_key=hush", "api_key=***"},
      {"X-Api-Key=hush", "X-Api-Key=***"},
      {"access_token=hush", "access_token=***"},
      {"client_secret = hush", "client_secret =***"},
      {"host=h password='a b' dbname=d", "host=h password=***"},
      {"http://h/?token=hush&a=b", "http://h/?token=***&a=b"},
      {"http://h/?a=b&sslpassword=hush", "http://h/?a=b&sslpassword=***"},
      {"http://h/?a=b&password=hush;token=hush&c=d&pwd=hush", "http://h/?a=b&password=***&c=d&pwd=***"},
      {"http://u:hush@h/?secret=hush", "http://u:***@h/?secret=***"},
  };
  for (const Case& each : cases) {
    CAPTURE(each.text);
    CHECK(masked(each.text) == each.shown);
    CHECK(masked(each.shown) == each.shown);
  }
}

TEST_CASE("Headers, tokens and what is nested in a parameter are masked") {
  const std::vector<Case> cases = {
      {"Authorization: Basic aHVzaA==", "Authorization: ***"},
      {"header=Authorization: Bearer hush", "header=Authorization: ***"},
      {"header=X-Anything: hush", "header=X-Anything: ***"},
      {"headers=x-api-key=hush,other=hush", "headers=***"},
      {"x-api-key: hush", "x-api-key: ***"},
      {"Cookie: sid=hush", "Cookie: ***"},
      {"the server said: Bearer hush expired", "the server said: Bearer *** expired"},
      {"{\"password\": \"hush\"}", "{\"password\": ***"},
      {"https://hush@host/path", "https://***@host/path"},
      {"https://host/?to=a@b", "https://host/?to=a@b"},
      {"http://h/#access_token=hush&state=x", "http://h/#access_token=***&state=x"},
      {"postgresql://h/d?options=-c%20app.token%3Dhush&a=b",
       "postgresql://h/d?options=-c%20app.token%3D***&a=b"},
      {"postgresql://h/d?options=-c%2520app.token%253dhush&a=b",
       "postgresql://h/d?options=-c%2520app.token%253d***&a=b"},
      {"postgresql://h/d?%70assword=hush&a=b", "postgresql://h/d?%70assword=***&a=b"},
      {"host=h options='-c app.secret=hush' dbname=d", "host=h options='-c app.secret=***"},
      {"proxy=http://u:hush@p", "proxy=http://u:***@p"},
  };
  for (const Case& each : cases) {
    CAPTURE(each.text);
    CHECK(masked(each.text) == each.shown);
    CHECK(masked(each.shown) == each.shown);
  }
}

TEST_CASE("Each name for a secret is masked alone, in a query and in a header") {
  for (const std::string name :
       {"key", "pass", "passwd", "auth", "sig", "access_key", "accessKey", "token", "secret", "api_key",
        "Authorization", "x-amz-signature", "X-Amz-Credential", "private_key", "jwt", "otp", "credentials"}) {
    CAPTURE(name);
    CHECK(masked(name + "=hush") == name + "=***");
    CHECK(masked("http://h/?a=b&" + name + "=hush&c=d") == "http://h/?a=b&" + name + "=***&c=d");
    CHECK(masked(name + ": hush") == name + ": ***");
  }
  for (const char* text :
       {"monkey=banana", "compass=north", "keys=5", "keepalives_idle=30", "design=x", "hotkeys: a"})
    CHECK(masked(text) == text);
}

TEST_CASE("Masking takes time in proportion to the text") {
  std::string text;
  while (text.size() < 200'000) text += ":a=b:%3a";
  const auto began = std::chrono::steady_clock::now();
  CHECK(masked(text) == text);
  CHECK(masked(text + " token" + std::string(1000, ' ') + ": hush") ==
        text + " token" + std::string(1000, ' ') + ": ***");
  CHECK(std::chrono::steady_clock::now() - began < std::chrono::seconds(5));
}

TEST_CASE("A name is one for a secret by its end") {
  CHECK(is_secret_name("password"));
  CHECK(is_secret_name("SSLPassword"));
  CHECK(is_secret_name("apikey"));
  CHECK(is_secret_name("passphrase"));
  CHECK_FALSE(is_secret_name(""));
  CHECK_FALSE(is_secret_name("word"));
  CHECK_FALSE(is_secret_name("token_file"));
}

TEST_CASE("What a message shows stands on one line, in quotes, and is not too long") {
  CHECK(shown("a\nb\tc\x7f") == "'a\\x0ab\\x09c\\x7f'");
  CHECK(shown("u:hush@h") == "'u:***@h'");
  CHECK(on_one_line("caf\xE9") == "caf\uFFFD");
  CHECK(on_one_line(std::string(200, 'a')) == std::string(200, 'a'));
  CHECK(on_one_line(std::string(201, 'a')) == std::string(200, 'a') + "…");
  CHECK(on_one_line(std::string(199, 'a') + "é") == std::string(199, 'a') + "…");
}
