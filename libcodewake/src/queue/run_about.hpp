// Where a run's journal goes, and what it says of itself.
#pragma once

#include <filesystem>

#include "codewake/config.hpp"
#include "codewake/queue_store.hpp"
#include "journal/run_folder.hpp"

namespace codewake::internal {

/// Empty: there are to be no files, by configuration or because the storage is gone with the process itself.
std::filesystem::path journal_folder(const Config::Queue& options, const QueueTarget& target);

/// Of a new run of this process.
RunAbout about_run(const QueueTarget& target);

}  // namespace codewake::internal
