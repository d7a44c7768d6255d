// SQLite's failures, as StoreError.
#pragma once

#include <SQLiteCpp/Exception.h>

#include <string>
#include <string_view>

#include "codewake/errors.hpp"

namespace codewake::internal {

/// Says what was being done to which database, what SQLite said with its extended code, and what to do about
/// it.
StoreError to_store_error(const SQLite::Exception& failure, const std::string& path, std::string_view doing);

StoreError out_of_memory(const std::string& path, std::string_view doing);

/// Somebody else was in the way: the same transaction, begun again, may well succeed.
bool is_transient(const SQLite::Exception& failure) noexcept;

/// The disk failed, so that what a failed COMMIT left behind is not known.
bool is_io_error(const SQLite::Exception& failure) noexcept;

/// The files do not hold what they should.
bool is_damage(const SQLite::Exception& failure) noexcept;

}  // namespace codewake::internal
