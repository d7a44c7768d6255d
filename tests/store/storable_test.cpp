#include "store/storable.hpp"

#include <doctest/doctest.h>

#include <optional>
#include <string>
#include <vector>

#include "codewake/attributes.hpp"

using codewake::AttributeArgument;
using codewake::AttributeView;
using codewake::internal::StorableAttributes;

TEST_CASE("Fit text is borrowed, everything else is held") {
  const std::string text = "fit";
  const std::vector<AttributeArgument> arguments{
      {"k", text}, {"bad\xFF", "nul\0byte"}, {"n", 12.5}, {"none", nullptr}, {"c", '\xFF'}};
  const StorableAttributes storable(arguments);
  const auto views = storable.views();
  REQUIRE(views.size() == 5);
  CHECK(views[0].value->data() == text.data());
  CHECK(views[1] == AttributeView{"bad\uFFFD", "nul"});  // a C string ends at its NUL
  CHECK(views[2] == AttributeView{"n", "12.5"});
  CHECK(views[3] == AttributeView{"none", std::nullopt});
  CHECK(views[4] == AttributeView{"c", "\uFFFD"});
}

TEST_CASE("Every text of a process is made fit") {
  const codewake::ProcessInfo fit = codewake::internal::to_storable({.app_name = "a\xFF",
                                                                     .app_vsn = "v\xFF",
                                                                     .env_name = "e\xFF",
                                                                     .username = "u\xFF",
                                                                     .fqdn = "f\xFF",
                                                                     .exe_path = std::string("x\0y", 3)});
  CHECK(fit.app_name == "a\uFFFD");
  CHECK(fit.app_vsn == "v\uFFFD");
  CHECK(fit.env_name == "e\uFFFD");
  CHECK(fit.username == "u\uFFFD");
  CHECK(fit.fqdn == "f\uFFFD");
  CHECK(fit.exe_path == "x\u2400y");
}
