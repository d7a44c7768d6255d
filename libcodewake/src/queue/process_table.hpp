// The processes of a run, by their number in its journal.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "codewake/event.hpp"

namespace codewake::internal {

/// Thread-bound.
class ProcessTable {
 public:
  struct Entry {
    std::optional<ProcessInfo> info;
    Id id = 0;              ///< 0: not stored yet
    bool is_noted = false;  ///< the store remembers the id among this run's positions
  };

  /// From now on each process is recorded as this user's, whatever it says of itself.
  void set_user(std::string name) { user_ = std::move(name); }

  void introduce(std::uint16_t number, ProcessInfo info) {
    if (user_) info.username = user_;
    entries_[number].info = std::move(info);
  }
  void set_id(std::uint16_t number, Id id) { entries_[number].id = id; }
  void note_id(std::uint16_t number, Id id) {
    set_id(number, id);
    entries_[number].is_noted = true;
  }
  /// The store has it no more: it is to be stored again.
  static void forget_id(Entry& entry) noexcept {
    entry.id = 0;
    entry.is_noted = false;
  }
  /// Of a journal whose record of a process was lost.
  void set_stand_in(ProcessInfo info) { stand_in_ = std::move(info); }

  /// Null where it has neither introduced itself nor an id.
  Entry* find_introduced(std::uint16_t number) {
    const auto found = entries_.find(number);
    const bool is_known = found != entries_.end() && (found->second.id != 0 || found->second.info);
    return is_known ? &found->second : nullptr;
  }

  /// The same, with the stand-in for one whose record was lost; null where nothing is known of it.
  Entry* find(std::uint16_t number) {
    if (Entry* const introduced = find_introduced(number)) return introduced;
    if (!stand_in_ || number == 0) return nullptr;
    introduce(number, *stand_in_);
    return &entries_[number];
  }

  /// Whether the store knows a process of this run by the id.
  bool has_id(Id id) const {
    return std::any_of(entries_.begin(), entries_.end(), [id](const auto& e) { return e.second.id == id; });
  }

  std::map<std::uint16_t, Entry>& entries() noexcept { return entries_; }

 private:
  std::map<std::uint16_t, Entry> entries_;
  std::optional<ProcessInfo> stand_in_;
  std::optional<std::string> user_;
};

}  // namespace codewake::internal
