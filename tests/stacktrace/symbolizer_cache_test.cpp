#include <dlfcn.h>
#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "codewake/frame.hpp"
#include "stacktrace/symbolizer.hpp"

using codewake::Frame;
using codewake::internal::Symbolizer;

namespace {

// Every byte of a large function library is an address of its own.
std::vector<void*> addresses_in_libc(std::size_t count, std::size_t first) {
  const auto base = reinterpret_cast<std::uintptr_t>(dlsym(RTLD_DEFAULT, "qsort"));
  std::vector<void*> addresses;
  for (std::size_t i = 0; i < count; ++i) addresses.push_back(reinterpret_cast<void*>(base + first + i));
  return addresses;
}

}  // namespace

TEST_CASE("A frame that is known already is the same and adds nothing to the cache") {
  Symbolizer symbolizer;
  const std::vector<void*> addresses = addresses_in_libc(100, 1);
  const std::vector<Frame> first = symbolizer.resolve(addresses);
  const std::size_t bytes = symbolizer.cached_bytes();
  CHECK(bytes > 0);
  CHECK(symbolizer.resolve(addresses) == first);
  CHECK(symbolizer.cached_bytes() == bytes);
}

TEST_CASE("The cache stays within its bound, whatever the number of frames") {
  Symbolizer symbolizer;
  std::size_t highest = 0;
  std::size_t bytes = 0;
  // Until the frames that were not used lately have gone once.
  for (std::size_t first = 1; bytes >= highest; first += 1000) {
    REQUIRE(first < 1'000'000);
    highest = bytes;
    CHECK(symbolizer.resolve(addresses_in_libc(1000, first)).size() >= 1000);
    bytes = symbolizer.cached_bytes();
    REQUIRE(bytes <= Symbolizer::kMaxCacheBytes);
  }
  CHECK(highest > Symbolizer::kMaxCacheBytes / 2);
}

TEST_CASE("A symbolizer is idle when nobody uses it") {
  Symbolizer symbolizer;
  symbolizer.resolve(addresses_in_libc(1, 1));
  CHECK(symbolizer.is_idle());
}
