// What a transaction appends to the WAL, written a hundred KiB at a time.
//
// SQLite writes each page of the WAL by itself, and its header of 24 bytes before it: two calls of the system
// for each of the hundreds of pages of a batch. Here they are kept until the buffer is full, or the page that
// ends the transaction has come: then all are written before SQLite goes on, and an error is that of this
// last write. So whatever is committed lies where it would have lain without this.
//
// And a checkpoint is busy where the index in shared memory is about another WAL than the connection's, which
// was deleted or has come in its place: SQLite would write the wrong frames into the database.
#pragma once

namespace codewake::internal {

/// The name of the VFS that does so, for connections that write: the usual one of Unix beneath. Null,
/// which SQLite takes for the usual one, where that is another. Thread-safe.
const char* vfs_with_wal_buffer() noexcept;

/// SQLite forgets it, until it is asked for again. No connection may use it. Thread-safe.
void unregister_wal_buffer() noexcept;

}  // namespace codewake::internal
