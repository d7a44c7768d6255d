// What is measured in a process of its own, so that nothing of one measurement is left in the next: Process
// is there once in a program, and so are a logger's pool of threads and an allocator's memory.
//
// A pass takes its request and gives its result as JSON. Each throws Error, or what it calls throws.
#pragma once

#include <string>

#include "json.hpp"

namespace codewake::cli::bench {

/// Which peers this program was built with.
bool has_spdlog() noexcept;
bool has_quill() noexcept;
bool has_sqlite() noexcept;
bool has_postgres() noexcept;

/// Whether the library walks stacks itself here, and not by the C++ runtime.
bool walks_stacks() noexcept;

/// The file of the C++ runtime that is loaded; empty where that is not libstdc++.so.6. Preloaded, it comes
/// ahead of this library: then each `throw` goes to it, as in a program without the library.
std::string path_of_runtime();

/// Does what `request["pass"]` names.
Json run_pass(const Json& request);

/// `calls`; `together`, how many come one behind the other before a pause, 1 where it is not said;
/// `holds_database`, for a committer that cannot write meanwhile; `median`, `p99`, `p999` in ns, and `lost`,
/// `stored_meanwhile` of the first. Process is configured by the environment.
Json log_calls(const Json& request);
Json spdlog_calls(const Json& request);
Json quill_calls(const Json& request);

/// `calls`, `threads`; `rate` in calls a second, and `lost` of the first.
Json log_burst(const Json& request);
Json spdlog_burst(const Json& request);
Json quill_burst(const Json& request);

/// `seconds`, `threads`, `rate` in events a second of all threads, `database`: the file that Process records
/// into; `lost`, `memory_mib`, `rate`.
Json log_sustained(const Json& request);

/// The same of track_state_change, with a clock of three components and a lock; the peer writes the same
/// fields.
Json trace_calls(const Json& request);
Json spdlog_trace_calls(const Json& request);

/// `calls`; `outside_ns` of a call outside of traces, `headers_ns` of headers that are made and read again,
/// with eight components.
Json trace_costs(const Json& request);

/// `events`, `batch`, `folder`, `plugin_path`; `ours` and `peer` in events a second.
Json sqlite_commit(const Json& request);

/// `events`, `batch`, `folder`, `plugin_path`; `ours` in trace events a second.
Json sqlite_trace_commit(const Json& request);

/// `events`, `folder`, `plugin_path`; `seconds` to find the races in a database of so many, `memory_mib` at
/// most, and `trace_ms` for one trace among them, of `trace_events`.
Json race_analysis(const Json& request);

/// `events`, `batch`, `plugin_path`; `rate` in trace events a second, with each batch answered by a server on
/// loopback before the next.
Json raceway_write(const Json& request);

/// `events`, `folder`, `plugin_path`; `rate` from the first call to the last answer, and `lost`. Until the
/// pass has ended, `folder` has the file kSinkNote with the port of the server.
Json raceway_queue(const Json& request);
inline constexpr const char* kSinkNote = "sink.port";

/// `events`, `batch`, `peer_batch`, `by_copy` or else by single rows, `postgres`: a database's URL,
/// `plugin_path`; `ours` and `peer` in events a second.
Json postgres_commit(const Json& request);

/// `events`, `rounds`, `folder` or `postgres`, `plugin_path`; the times of each query, in ms: `lookup`,
/// `page`, `page_pair`, `page_app`, `page_env`, `exceptions`, `exceptions_app`.
Json sqlite_queries(const Json& request);
Json postgres_queries(const Json& request);

/// `calls`; `ours` and `peer` in ns, for 20 frames.
Json capture_stack(const Json& request);

/// `calls`, `hooked`: whether the throw hook must be in force, or must not, `recorded`: whether it takes the
/// stack; `median` in ns of a throw that is caught two frames up, with twenty frames and more below that.
Json throw_exceptions(const Json& request);

/// `frames`: addresses, all different; `cold_ms` for all of them, `known_ns` for a frame that was asked for
/// before, `with_line`: which part of the frames has a line.
Json symbolize_frames(const Json& request);

/// `frames`: addresses, all different; `memory_mib`, the most that it took meanwhile.
Json symbolize_memory(const Json& request);

}  // namespace codewake::cli::bench
