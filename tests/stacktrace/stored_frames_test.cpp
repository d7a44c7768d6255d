// Frames that were stored when too little was known of them, resolved once a debug file is there.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "codewake/frame.hpp"
#include "codewake/stacktrace.hpp"
#include "place_programs.hpp"
#include "stacktrace/symbolizer.hpp"
#include "support/skip.hpp"

namespace codewake::testing {
namespace {

namespace fs = std::filesystem;
using internal::Symbolizer;

/// Of each place of a stripped program the frame that is stored where there is no debug file.
std::vector<Frame> unresolved_frames(const Stripped& stripped) {
  std::vector<Frame> frames;
  for (const Place& place : stripped.places) {
    Frame& frame = frames.emplace_back();
    frame.filename = frame.module = stripped.program.string();
    frame.src = fmt::format("+0x{:x}", place.address);
    frame.build_id = stripped.build_id;
    frame.offset = place.address;
  }
  return frames;
}

/// What the program itself would have stored with its debug information.
std::vector<Frame> expected_frames(const Stripped& stripped) {
  std::vector<Frame> frames;
  for (const Place& place : stripped.places) {
    for (Frame frame : frames_at(module_of(stripped.original), place.address)) {
      frame.module = stripped.program.string();
      frames.push_back(frame);
    }
  }
  return frames;
}

/// A debug file that is put aside, and comes back.
class PutAside {
 public:
  explicit PutAside(const fs::path& file) : file_(file), aside_(file.string() + ".aside") {
    fs::rename(file_, aside_);
  }
  void come_back() const { fs::rename(aside_, file_); }

 private:
  fs::path file_;
  fs::path aside_;
};

}  // namespace

TEST_CASE("Stored frames are resolved by a debug file that came later, by its link or its build-id") {
  const std::string id = module_of(place_programs("-O2").front()).build_id;
  for (const std::string& debug_file :
       {std::string("program.debug"), "root/.build-id/" + id.substr(0, 2) + "/" + id.substr(2) + ".debug"}) {
    CAPTURE(debug_file);
    const Stripped stripped(debug_file);
    if (!stripped.works) CODEWAKE_SKIP("objcopy does not work here");
    const PutAside debug(stripped.folder / debug_file);
    const std::vector<Frame> stored = unresolved_frames(stripped);
    for (std::size_t i = 0; i < stored.size(); ++i) {
      CHECK(frames_at(module_of(stripped.program), stripped.places[i].address, stripped.options()) ==
            std::vector{stored[i]});
    }
    CHECK(Symbolizer(stripped.stored_options()).resolve_stored(stored) == stored);
    debug.come_back();
    const std::vector<Frame> resolved = Symbolizer(stripped.stored_options()).resolve_stored(stored);
    CHECK(resolved == expected_frames(stripped));
    CHECK(resolved.size() > stored.size());  // functions were inlined
    CHECK(Symbolizer(stripped.stored_options()).resolve_stored(resolved) == resolved);
  }
}

TEST_CASE("Of stored frames the known ones stay as they are, whatever their files tell now") {
  const Stripped stripped("program.debug");
  if (!stripped.works) CODEWAKE_SKIP("objcopy does not work here");
  const std::vector<Frame> stored = unresolved_frames(stripped);
  Frame known = stored[0];
  known.filename = "elsewhere.cpp";
  known.lineno = 7;
  known.function = "known()";
  Frame without_build_id = stored[0];
  without_build_id.build_id.clear();
  Frame of_another_build = stored[0];
  of_another_build.build_id[0] = of_another_build.build_id[0] == '0' ? '1' : '0';
  Frame without_module = stored[0];
  without_module.module.clear();
  Frame nowhere = stored[0];
  nowhere.offset = UINT64_MAX;
  Frame line_without_function = known;
  line_without_function.function.clear();
  line_without_function.offset = UINT64_MAX;
  for (const Frame& frame :
       {known, without_build_id, of_another_build, without_module, nowhere, line_without_function, Frame()}) {
    CAPTURE(frame.offset);
    CHECK(Symbolizer(stripped.stored_options()).resolve_stored(std::vector{frame, frame}) ==
          std::vector{frame, frame});
  }
}

TEST_CASE("A stored function that calls itself stays as deep as it was") {
  const Stripped stripped("program.debug");
  if (!stripped.works) CODEWAKE_SKIP("objcopy does not work here");
  const std::vector<Frame> stored = unresolved_frames(stripped);
  for (std::size_t place = 0; place < stored.size(); ++place) {
    const std::vector<Frame> once =
        Symbolizer(stripped.stored_options()).resolve_stored(std::vector{stored[place]});
    REQUIRE_FALSE(once.empty());
    std::vector<Frame> expected;
    for (int i = 0; i < 3; ++i) expected.insert(expected.end(), once.begin(), once.end());
    const std::vector<Frame> deep(3, stored[place]);
    CHECK(Symbolizer(stripped.stored_options()).resolve_stored(deep) == expected);
    CHECK(Symbolizer(stripped.stored_options()).resolve_stored(expected) == expected);
  }
}

TEST_CASE("symbolize says whether anything has changed, and leaves no more frames than a stack trace has") {
  const Stripped stripped("program.debug");
  if (!stripped.works) CODEWAKE_SKIP("objcopy does not work here");
  const std::vector<Frame> stored = unresolved_frames(stripped);
  std::vector<Frame> frames;
  const std::vector<std::string> sources = {place_sources()};
  CHECK_FALSE(symbolize(frames, sources));
  frames = stored;
  CHECK(symbolize(frames, sources));
  CHECK(frames == expected_frames(stripped));
  CHECK_FALSE(symbolize(frames, sources));
  frames.clear();
  while (frames.size() < Stacktrace::kMaxFrames) frames.insert(frames.end(), stored.begin(), stored.end());
  frames.resize(Stacktrace::kMaxFrames);
  CHECK(symbolize(frames));
  CHECK(frames.size() == Stacktrace::kMaxFrames);
  CHECK(std::ranges::all_of(frames, [](const Frame& frame) { return frame.lineno != 0; }));
}

}  // namespace codewake::testing
