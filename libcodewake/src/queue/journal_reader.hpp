// The process that reads another user's journals: it has become that user for good.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

#include "queue/journal_source.hpp"
#include "queue/reader_channel.hpp"

namespace codewake::internal {

/// A user of the machine.
struct JournalOwner {
  uid_t user = 0;
  gid_t group = 0;
  std::string name = {};           ///< the number, where the user has none
  std::string home = {};           ///< may be empty
  std::vector<gid_t> groups = {};  ///< all that the user is in
};

/// Starts that process. It reads the owner's journals in `folder` and in the owner's default folders. It ends
/// with the other end of the channel. The caller waits for `pid`. Throws std::system_error.
struct StartedReader {
  pid_t pid = 0;
  FileDescriptor process{-1};  ///< of pidfd_open(2); none on old kernels
  ReaderChannel channel;
};
StartedReader start_journal_reader(const JournalOwner& owner, const std::filesystem::path& folder);

}  // namespace codewake::internal
