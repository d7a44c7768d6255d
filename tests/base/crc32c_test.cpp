#include "base/crc32c.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "support/skip.hpp"

using namespace codewake::internal;

namespace {

std::uint32_t crc_of(const std::string& bytes) {
  return crc32c(bytes.data(), bytes.size());
}

}  // namespace

TEST_CASE("CRC32C gives the sums of RFC 3720") {
  CHECK(crc_of("") == 0);
  CHECK(crc_of("123456789") == 0xE3069283u);
  CHECK(crc_of("a") == 0xC1D04330u);
  CHECK(crc_of(std::string(32, '\0')) == 0x8A9136AAu);
  CHECK(crc_of(std::string(32, '\xFF')) == 0x62A8AB43u);
  std::string rising, falling;
  for (char c = 0; c < 32; ++c) {
    rising += c;
    falling += static_cast<char>(31 - c);
  }
  CHECK(crc_of(rising) == 0x46DD794Eu);
  CHECK(crc_of(falling) == 0x113FDB5Cu);
}

TEST_CASE("The processor's CRC32C and the table's are the same") {
  if (!has_hardware_crc()) CODEWAKE_SKIP("this processor has no instruction for it");
  std::mt19937_64 random(1);
  for (int i = 0; i < 2000; ++i) {
    const std::uint64_t word = random();
    const auto state = static_cast<std::uint32_t>(random());
    REQUIRE(HardwareCrc::add(state, word) == SoftwareCrc::add(state, word));
  }
  std::vector<std::uint64_t> words;
  for (std::size_t count = 0; count < 100; ++count) {
    CHECK(add_words<HardwareCrc>(~0u, words.data(), count) ==
          add_words<SoftwareCrc>(~0u, words.data(), count));
    words.push_back(random());
  }
}

TEST_CASE("Whole words give the same sum as their bytes, wherever they lie") {
  const std::string bytes = "8 bytes and 8 more, and so on; not aligned to anything at all...";
  for (std::size_t offset = 0; offset < 8; ++offset) {
    for (std::size_t words = 0; words * 8 + offset <= bytes.size(); ++words) {
      const std::string copy = bytes.substr(offset, words * 8);
      CHECK(~crc32c_words(~0u, bytes.data() + offset, words) == crc_of(copy));
    }
  }
}
