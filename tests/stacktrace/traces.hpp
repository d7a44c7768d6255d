// Looking at stack traces in tests.
#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "codewake/stacktrace.hpp"
#include "codewake/throw_hook.hpp"

namespace codewake::testing {

/// Records throws for as long as it lives.
class Recording {
 public:
  explicit Recording(std::size_t max_frames = Stacktrace::kDefaultFrames) { record_throws(true, max_frames); }
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;
  ~Recording() { record_throws(false); }
};

/// The first frame, from the innermost, whose function's name contains `function`; null where there is none.
inline const Frame* find_frame(const Stacktrace& trace, std::string_view function) {
  const std::vector<Frame>& frames = trace.frames();
  const auto found = std::find_if(frames.begin(), frames.end(), [&](const Frame& frame) {
    return frame.function.find(function) != std::string::npos;
  });
  return found == frames.end() ? nullptr : &*found;
}

/// The innermost frame. A sanitizer's runtime, which wraps __cxa_throw too, is passed over.
inline Frame innermost(const std::optional<Stacktrace>& trace) {
  if (!trace) return {};
  for (const Frame& frame : trace->frames()) {
    if (frame.module.find("san.so") == std::string::npos) return frame;
  }
  return {};
}

/// One line for each frame: what doctest shows of a trace that is not as expected.
inline std::string to_text(const Stacktrace& trace) {
  std::string text;
  for (const Frame& frame : trace.frames()) {
    text +=
        frame.function + " " + frame.filename + ":" + std::to_string(frame.lineno) + " " + frame.src + "\n";
  }
  return text;
}

}  // namespace codewake::testing
