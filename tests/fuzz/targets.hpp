// What the fuzzers run on each input, and the replay in the ordinary suite.
#pragma once

#include <string_view>

namespace codewake::testing {

/// Take any bytes. Throw std::logic_error where something does not hold that holds for every input; an input
/// that is refused as it should be is no error.
void fuzz_config(std::string_view input);
void fuzz_dsn(std::string_view input);

/// A piece of a lane: two bytes for lane and position, one whose lowest bit says that checksums are made to
/// fit first, then the records. What is behind the three bytes is read as payloads, too.
void fuzz_records(std::string_view input);
/// The payload of a trace event.
void fuzz_trace_events(std::string_view input);
/// Three lines: traceparent, tracestate, raceway-clock.
void fuzz_headers(std::string_view input);
/// A file of a dead run: a byte whose lowest bit is 1 for the front and 0 for the spill, and whose next says
/// that checksums are made to fit first; then the file.
void fuzz_journal(std::string_view input);
/// A whole folder of a dead run, which is recovered: files one after the other, each as a byte that says
/// which, a byte whose lowest bit says that checksums and the like are made to fit first, two bytes of
/// length, and the content.
void fuzz_run_folder(std::string_view input);
/// An ELF file. Addresses to look up in it are those of its functions, and the last eight bytes.
void fuzz_elf(std::string_view input);
/// Trace events for the analysis, a line each: kind, access, name, execution, step, and the numbers of trace,
/// span, upstream span and parent's line, then microseconds, line of source, locks, data and clock, with tabs
/// between them.
void fuzz_history(std::string_view input);

}  // namespace codewake::testing
