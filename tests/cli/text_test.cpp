#include "text.hpp"

#include <doctest/doctest.h>

#include <clocale>
#include <string>

using codewake::cli::display_width;
using codewake::cli::fitting_prefix;
using codewake::cli::quoted_where_needed;
using codewake::cli::visible;

TEST_CASE("Plain and international text is shown as it is") {
  for (const char* text : {"", "order", "a=b c", "ключ", "☃", "😀", "e\u0301", "back\\slash"}) {
    CHECK(visible(text) == text);
  }
}

TEST_CASE("What a terminal would act on is made visible") {
  CHECK(visible("a\nb\tc\rd") == "a\\nb\\tc\\rd");
  CHECK(visible("\x1b[31mred\x07\x7f") == "\\x1b[31mred\\x07\\x7f");
  CHECK(visible(std::string("nul\0nul", 7)) == "nul\\x00nul");
  CHECK(visible("\u009b31m") == "\\u009b31m");
  CHECK(visible("\u202eevil\u2066\ufeff\u2028") == "\\u202eevil\\u2066\\ufeff\\u2028");
}

TEST_CASE("Bytes that are not UTF-8 are shown as bytes") {
  CHECK(visible("raw\xff") == "raw\\xff");
  CHECK(visible("\xc0\xaf") == "\\xc0\\xaf");
  CHECK(visible("\xed\xa0\x80") == "\\xed\\xa0\\x80");
  CHECK(visible("\xf4\x90\x80\x80") == "\\xf4\\x90\\x80\\x80");
  CHECK(visible("cut \xe2\x98") == "cut \\xe2\\x98");
}

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
