#include "text.hpp"

#include <doctest/doctest.h>

#include <clocale>
#include <string>

using codewake::cli::display_width;
using codewake::cli::fitting_prefix;
using codewake::cli::quoted_where_needed;

TEST_CASE("A value is quoted only where it could not be told from its surroundings") {
  CHECK(quoted_where_needed("order") == "order");
  CHECK(quoted_where_needed("C:\\new") == "C:\\new");
  CHECK(quoted_where_needed("a=b") == "a=b");
  CHECK(quoted_where_needed("a=b", true) == "\"a=b\"");
  CHECK(quoted_where_needed("") == "\"\"");
  CHECK(quoted_where_needed("NULL") == "\"NULL\"");
  CHECK(quoted_where_needed("two words") == "\"two words\"");
  CHECK(quoted_where_needed("say \"hi\"\\") == "\"say \\\"hi\\\"\\\\\"");
  CHECK(quoted_where_needed("a\nb") == "\"a\\nb\"");
}

TEST_CASE("Width counts columns, not bytes") {
  std::setlocale(LC_CTYPE, "C.UTF-8");
  CHECK(display_width("order") == 5);
  CHECK(display_width("ключ") == 4);
  CHECK(display_width("漢字") == 4);
  CHECK(display_width("e\u0301") == 1);
}

TEST_CASE("A prefix fits and never cuts a character") {
  std::setlocale(LC_CTYPE, "C.UTF-8");
  CHECK(fitting_prefix("order", 5) == "order");
  CHECK(fitting_prefix("order", 4) == "orde");
  CHECK(fitting_prefix("order", 0) == "");
  CHECK(fitting_prefix("漢字", 3) == "漢");
  CHECK(fitting_prefix("ключ", 2) == "кл");
  CHECK(fitting_prefix("e\u0301x", 1) == "e\u0301");
}
