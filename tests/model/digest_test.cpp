#include "codewake/digest.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/sha256.hpp"
#include "model/bencode.hpp"
#include "support/temporary_folder.hpp"

using codewake::Attribute;
using codewake::AttributeView;
using codewake::digest_of;
using codewake::Frame;
using codewake::to_hex;
using codewake::internal::Bencoder;
using nlohmann::json;

namespace {

void encode(Bencoder& out, const json& value) {
  if (value.is_string()) return out.text(value.get_ref<const std::string&>());
  if (value.is_number_integer()) return out.integer(value.get<std::int64_t>());
  out.begin_list();
  for (const json& element : value) encode(out, element);
  out.end_list();
}

json vectors() {
  return json::parse(
      codewake::testing::read_file(codewake::testing::test_data("reference/digest-vectors.json")));
}

std::string digest_of_event(const json& input) {
  std::vector<AttributeView> data;
  for (const json& pair : input) {
    data.push_back({pair[0].get_ref<const std::string&>(), pair[1].get_ref<const std::string&>()});
  }
  return to_hex(digest_of(data));
}

std::string digest_of_stack(const json& input) {
  std::vector<Frame> frames;
  for (const json& frame : input) {
    frames.push_back({.filename = frame[0], .lineno = frame[1].get<std::uint32_t>(), .src = frame[2]});
  }
  std::ranges::reverse(frames);  // the vectors have the outermost first, the API the innermost
  return to_hex(digest_of(frames));
}

}  // namespace

TEST_CASE("Bencoding and SHA-256 agree with every vector of the older system") {
  const json all = vectors();
  REQUIRE(all.size() == 9);
  for (const json& vector : all) {
    CAPTURE(vector.dump());
    Bencoder out;
    encode(out, vector["input"]);
    CHECK(out.bytes() == vector["bencode"].get<std::string>());
    CHECK(to_hex(codewake::internal::sha256(out.bytes())) == vector["sha256"].get<std::string>());
  }
}

TEST_CASE("Events and stack traces digest as the older system does") {
  int digested = 0;
  for (const json& vector : vectors()) {
    const json& input = vector["input"];
    if (vector["kind"] == "stack") {
      CHECK(digest_of_stack(input) == vector["sha256"].get<std::string>());
      ++digested;
    } else if (std::ranges::all_of(input, [](const json& pair) { return pair[1].is_string(); })) {
      CHECK(digest_of_event(input) == vector["sha256"].get<std::string>());
      ++digested;
    }
  }
  CHECK(digested == 8);  // the ninth has a number as value: here a value is text or NULL
}

TEST_CASE("NULL, the empty text and no attribute digest differently") {
  const AttributeView null{"k", std::nullopt};
  const AttributeView empty{"k", ""};
  CHECK(digest_of({&null, 1}) != digest_of({&empty, 1}));
  CHECK(digest_of({&null, 1}) != digest_of(std::span<const AttributeView>()));
}

TEST_CASE("A large digest leaves nothing behind for the next one") {
  const AttributeView small{"k", "v"};
  const auto before = digest_of({&small, 1});
  const std::string large(1 << 20, 'x');
  const AttributeView big{"k", large};
  CHECK(to_hex(digest_of({&big, 1})).size() == 64);
  CHECK(digest_of({&small, 1}) == before);
}
