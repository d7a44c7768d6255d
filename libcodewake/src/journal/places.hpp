// Where journals lie.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/folder.hpp"

namespace codewake::internal {

/// Where programs of this user that configure no journal may have it, the preferred place first:
/// `/var/lib/code_wake/journal` for root; for others `$XDG_STATE_HOME/code_wake/journal`,
/// `~/.local/state/code_wake/journal`, and `/var/tmp/code_wake-<uid>/journal` for services without a home.
/// Places that another user could have prepared (`why_not_trusted`) are left out: there may be none.
std::vector<std::filesystem::path> default_journal_folders();

/// The first of them, or else the last that there could be: a run that is made there has no disk.
std::filesystem::path default_journal_folder();

/// Where runs that keep their journal in `journal_folder` have their fronts, the preferred place first: in a
/// folder of this user and that journal folder in `/run/code_wake` (root), `/run/user/<uid>/code_wake`
/// (others), or `/dev/shm`.
std::vector<std::filesystem::path> front_roots(const std::filesystem::path& journal_folder);

/// Whether it is a folder as `front_roots` names them: it goes with the last run in it.
bool is_front_root(const std::filesystem::path& root);

/// The first of them that may serve: one below /run where that is memory with room for four times
/// `size_bytes`, or else the one in /dev/shm; none where another user could have prepared it. Throws
/// std::system_error where there is none.
std::filesystem::path choose_front_root(const std::filesystem::path& journal_folder,
                                        std::uint64_t size_bytes);

/// Whether what lies there outlives the program, and all programs of its container or service: not in a pid
/// namespace other than the machine's first, nor in a file system that the machine's first process does not
/// see.
bool outlives_program(const Folder& front_root);

/// Whether a front in this folder on disk costs its writers little, and cannot fail them: not over a network,
/// in a file system of a program, where a page that is written again needs new room, or in memory.
bool keeps_fronts(const Folder& folder) noexcept;

/// Opens it, and makes it where it is missing. Throws std::system_error where there is none.
Folder make_front_root(const std::filesystem::path& journal_folder, std::uint64_t size_bytes);

/// The folders that exist of a journal folder's: itself, then its fronts'. Throws std::system_error where one
/// cannot be looked into; one of another user in the place of a front's is passed over.
std::vector<std::shared_ptr<const Folder>> open_roots(const std::filesystem::path& journal_folder);

/// Whether it is the name of a run, `<host>-<pid>-<start>-<uuid>`: of letters, digits, `.`, `_` and `-` only.
bool is_run_name(const std::string& name);

/// The names of the runs that have a folder of this user in one of these, in order, each once. Throws
/// std::system_error.
std::vector<std::string> runs_in(const std::vector<std::shared_ptr<const Folder>>& roots);

}  // namespace codewake::internal
