#include "operation_name.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace codewake::analysis;

TEST_CASE("Requests that differ in ids and queries are one operation") {
  CHECK(request_pattern("GET /orders/17") == "GET /orders/{}");
  CHECK(request_pattern("GET /orders/-17/lines/2.5") == "GET /orders/{}/lines/{}");
  CHECK(request_pattern("GET /u/4bf92f35-77b3-4da6-a3ce-929d0e0e4736/x") == "GET /u/{}/x");
  CHECK(request_pattern("GET /b/4bf92f3577b34da6a3ce929d0e0e4736") == "GET /b/{}");
  CHECK(request_pattern("GET /b/DEADBEE7") == "GET /b/{}");
  CHECK(request_pattern("POST http://user:secret@shop:80/orders/1?page=2#top") == "POST /orders/{}");
  CHECK(request_pattern("GET /orders?id=1") == "GET /orders");
}

TEST_CASE("What is no id stays") {
  CHECK(request_pattern("GET /v1/facade/deadbeef/order-17/4bf92f3") ==
        "GET /v1/facade/deadbeef/order-17/4bf92f3");
  CHECK(request_pattern("GET /") == "GET /");
  CHECK(request_pattern("GET /a//b/") == "GET /a//b/");
  CHECK(request_pattern("GET http://shop") == "GET /");
  CHECK(request_pattern("GET ") == "GET /");
  CHECK(request_pattern("/path/1") == "/path/{}");
  CHECK(request_pattern("") == "/");
  CHECK(request_pattern("GET /a/1.2.3/-/.") == "GET /a/1.2.3/-/.");
  CHECK(request_pattern("GET /redirect?to=http://else") == "GET /redirect");
}

TEST_CASE("The host is that of the URL, without whom it is asked for") {
  CHECK(host_of_request("POST http://user:secret@shop:80/orders") == "shop:80");
  CHECK(host_of_request("GET https://shop") == "shop");
  CHECK(host_of_request("GET /orders").empty());
  CHECK(host_of_request("GET /redirect?to=http://else").empty());
  CHECK(host_of_request("").empty());
}

TEST_CASE("A pattern's length has a bound, and no character is cut") {
  for (std::size_t size : {199, 200, 201, 100'000}) {
    const std::string pattern = request_pattern("GET /" + std::string(size, 'x'));
    CHECK(pattern.size() <= kMostPattern + 3);
    CHECK(pattern.starts_with("GET /xxx"));
  }
  std::string umlauts;
  for (int i = 0; i < 200; ++i) umlauts += "ü";
  const std::string cut = request_pattern("GE /" + umlauts);
  CHECK(cut.ends_with("ü…"));
  CHECK(statement_pattern(std::string(100'000, 'x')).size() <= kMostPattern + 3);
  CHECK(statement_pattern(std::string(100'000, ',')).size() <= kMostPattern + 3);
}

TEST_CASE("Statements that differ in their values are one") {
  CHECK(statement_pattern("SELECT * FROM t1 WHERE a = 17 AND b='it''s'") ==
        "SELECT * FROM t1 WHERE a = ? AND b=?");
  CHECK(statement_pattern("SELECT a\n  FROM t\tWHERE x IN (1, 2,3 , 4)") ==
        "SELECT a FROM t WHERE x IN (? , ?)");
  CHECK(statement_pattern("SELECT a FROM t WHERE x IN (?, ?, ?)") == "SELECT a FROM t WHERE x IN (?)");
  CHECK(statement_pattern("SELECT $1, $2") == "SELECT $1, $2");
  CHECK(statement_pattern("SELECT 1.5e10, 0x1F") == "SELECT ?");
  CHECK(statement_pattern("SELECT \"column 1\" FROM t") == "SELECT \"column ?\" FROM t");
  CHECK(statement_pattern("  SELECT 'unfinished") == "SELECT ?");
  CHECK(statement_pattern("").empty());
}

TEST_CASE("A statement's verb is its first word") {
  CHECK(statement_verb(" select * from t") == "SELECT");
  CHECK(statement_verb("INSERT INTO t") == "INSERT");
  CHECK(statement_verb("/* hint */ SELECT").empty());
  CHECK(statement_verb("").empty());
  CHECK(statement_verb(std::string(1000, 'a')).size() == 20);
}
