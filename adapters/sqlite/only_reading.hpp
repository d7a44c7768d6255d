// Files of another user, which SQLite opens for reading alone.
#pragma once

namespace codewake::internal {

/// The name of a VFS that opens each file for reading alone and makes none, also no WAL, which the usual one
/// makes for a connection that only reads. Temporary files without a name are made as usual. Null where
/// SQLite has no usual VFS. Thread-safe.
const char* vfs_that_only_reads() noexcept;

/// SQLite forgets it, until it is asked for again. No connection may use it. Thread-safe.
void unregister_only_reading() noexcept;

}  // namespace codewake::internal
