// A batch, shown to SQLite as two tables to select from.
//
// One `INSERT … SELECT … FROM feed` runs all of a batch inside SQLite's virtual machine: more than twice as
// fast as a prepared statement that is bound and stepped for each row.
#pragma once

#include <sqlite3.h>

#include <vector>

#include "codewake/event.hpp"
#include "codewake/records.hpp"

namespace codewake::internal {

/// What the tables codewake_feed_events(id, when_ts, process_id, digest, stacktrace_id) and
/// codewake_feed_data(id, key, val, event_id) show; borrowed by them for the run of a statement.
struct Feed {
  const Batch* batch = nullptr;
  std::vector<Id> process_ids;     ///< of the batch's processes
  std::vector<Id> stacktrace_ids;  ///< of the batch's events; 0 is none
  Id first_event_id = 0;
  Id first_data_id = 0;
};

/// Makes the two tables on a connection. `feed` must outlive it. Throws SQLite::Exception.
void register_feed(sqlite3* connection, const Feed* feed);

}  // namespace codewake::internal
