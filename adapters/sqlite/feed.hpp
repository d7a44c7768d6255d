// A batch, shown to SQLite as tables to select from.
//
// One `INSERT … SELECT … FROM feed` runs all of a batch inside SQLite's virtual machine: more than twice as
// fast as a prepared statement that is bound and stepped for each row. Virtual tables are sqlite3's own;
// SQLiteCpp has no form for them.
#pragma once

#include <sqlite3.h>

#include <array>
#include <vector>

#include "codewake/digest.hpp"
#include "codewake/event.hpp"
#include "codewake/records.hpp"

namespace codewake::internal {

/// What the tables codewake_feed_events(when_ts, process_id, digest, stacktrace_id), codewake_feed_data(key,
/// val, event_id) and codewake_feed_traces (the columns of trace_events but for its id) show; borrowed by
/// them for the run of a statement. They show no ids: SQLite counts on from the last row itself, and then
/// need not look whether a row is there already, which took a quarter of the time.
struct Feed {
  /// The ids of a trace event, as the table has them.
  struct TraceIds {
    std::array<char, 36> event, parent;
    std::array<char, 32> trace;
    std::array<char, 16> span, upstream;
  };

  const Batch* batch = nullptr;
  std::vector<Id> process_ids;      ///< of the batch's processes
  std::vector<Id> stacktrace_ids;   ///< of the batch's events; 0 is none
  std::vector<Digest> digests;      ///< of the batch's events; what stands for one without data is not used
  std::vector<TraceIds> trace_ids;  ///< of the batch's trace events
  Id first_event_id = 0;            ///< the id that the first event is going to get

  /// Writes `trace_ids`.
  void write_trace_ids();
};

/// Makes the tables on a connection. `feed` must outlive it. Throws SQLite::Exception.
void register_feed(sqlite3* connection, const Feed* feed);

}  // namespace codewake::internal
