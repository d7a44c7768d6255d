// For tests of a program that uses Traced<T>, TracedMutex, spawn and bind: it has no races.
#pragma once

#include <functional>
#include <stdexcept>
#include <string>

#include "codewake/analysis.hpp"
#include "codewake/tracing.hpp"

namespace codewake::testing {

/// Something was found; `what()` says all of it, as `codewake races` does.
class RacesFound : public std::runtime_error {
 public:
  explicit RacesFound(analysis::RaceReport report);

  const analysis::RaceReport& report() const noexcept { return report_; }

 private:
  analysis::RaceReport report_;
};

/// Runs `program` in a trace of its own, whose events are kept in memory, and looks at them. It finds races
/// that did not come to pass this time, as long as both accesses were made, each in an execution of its own:
/// have threads begun by `spawn` or `bind`. `program` gets the tracer, for what Traced and TracedMutex do not
/// record by themselves; has to have joined its threads when it returns; and should use no other tracer
/// (`Process::instance().tracer()`) meanwhile: what that records is not seen. Throws what `program` throws.
/// Thread-safe. About 1 KiB of memory for an event.
analysis::RaceReport check_races(const std::function<void(Tracer& tracer)>& program);
analysis::RaceReport check_races(const std::function<void()>& program);

/// The same, and throws RacesFound where there is a race, a check with a later act, or a possible deadlock;
/// not for what is only potential.
void expect_no_races(const std::function<void(Tracer& tracer)>& program);
void expect_no_races(const std::function<void()>& program);

}  // namespace codewake::testing
