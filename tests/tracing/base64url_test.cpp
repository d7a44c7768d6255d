#include "base/base64url.hpp"

#include <doctest/doctest.h>

namespace codewake::internal {
namespace {

TEST_CASE("base64url is that of RFC 4648, without padding") {
  CHECK(encode_base64url("") == "");
  CHECK(encode_base64url("f") == "Zg");
  CHECK(encode_base64url("fo") == "Zm8");
  CHECK(encode_base64url("foo") == "Zm9v");
  CHECK(encode_base64url("foobar") == "Zm9vYmFy");
  CHECK(encode_base64url("\xFB\xFF\xFE") == "-__-");
}

TEST_CASE("base64url is read with and without padding, and nothing else is") {
  for (const char* text : {"", "Zg", "Zm8", "Zm9v", "Zm9vYmFy", "-__-"}) {
    CHECK(encode_base64url(decode_base64url(text).value()) == text);
  }
  CHECK(decode_base64url("Zg==") == "f");
  CHECK(decode_base64url("Zm8=") == "fo");
  for (const char* text : {"Z", "Zm9vY", "Zm9v=", "Z===", "Zh", "Zm9", "+//+", "Zm 9v", "Zg=Zg"}) {
    CAPTURE(std::string(text));
    CHECK_FALSE(decode_base64url(text));
  }
}

}  // namespace
}  // namespace codewake::internal
