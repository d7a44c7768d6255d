// The file `account` of a run on disk: how much the front in memory held, for a recoverer that finds the
// disk's part of the run alone. FORMAT.md describes it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <system_error>
#include <utility>

#include "base/folder.hpp"
#include "base/held_file.hpp"

namespace codewake::internal {

struct Account {
  std::uint64_t accepted = 0;  ///< events
  std::uint64_t settled = 0;   ///< of these, those that are stored, rejected, or lost and counted
  std::uint64_t lost = 0;      ///< events that were not accepted
  std::uint64_t reported = 0;  ///< of these, those that a stored event reports

  bool operator==(const Account&) const = default;
};

/// The writer. Thread-bound.
class AccountFile {
 public:
  static constexpr const char* kFile = "account";

  explicit AccountFile(std::shared_ptr<const Folder> folder) noexcept : folder_(std::move(folder)) {}

  /// Writes what has changed, in one system call; the file is made by the first. Does not block beyond that.
  std::error_code write(const Account& account);

  /// The front ends well: its absence says nothing from here on.
  void remove() noexcept;

 private:
  std::shared_ptr<const Folder> folder_;
  HeldFile file_;
  std::optional<Account> written_;
};

/// Empty where there is none, or it is damaged. Throws std::system_error where it cannot be read.
std::optional<Account> read_account(const Folder& folder);

}  // namespace codewake::internal
