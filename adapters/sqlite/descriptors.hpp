// SQLite keeps files open by number, and programs close descriptors that they do not know, as by
// closefrom(3); then the number is soon another file's, and SQLite would write there.
#pragma once

namespace codewake::internal {

/// From now on SQLite, whoever uses it in this process, fails (EBADF) where the descriptor of a file that it
/// has opened is another's, and leaves that open. Once is enough. Thread-safe.
void guard_descriptors();

/// Whether one that SQLite has open is gone, or another file's. Thread-safe.
bool descriptors_are_lost() noexcept;

}  // namespace codewake::internal
