#include "stored_frames.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "codewake/digest.hpp"
#include "codewake/stacktrace.hpp"
#include "postgres_error.hpp"
#include "row.hpp"

namespace codewake::internal {
namespace {

constexpr std::string_view kUnresolved =
    "length(s.digest) = 32 AND EXISTS (SELECT 1 FROM stackframes f WHERE f.stacktrace_id = s.id AND "
    "f.\"module\" <> '' AND f.\"build_id\" <> '' AND (f.lineno = 0 OR coalesce(f.\"function\", '') = ''))";

std::optional<std::string_view> not_empty(const std::string& text) {
  return text.empty() ? std::nullopt : std::optional<std::string_view>(text);
}

Frame to_frame(const Row& row) {
  constexpr std::int64_t kLastLine = std::numeric_limits<std::uint32_t>::max();
  const auto line = static_cast<std::uint32_t>(std::clamp<std::int64_t>(row.integer(2), 0, kLastLine));
  return {row.text(1),
          line,
          row.text(3),
          row.text(4),
          row.text(5),
          row.text(6),
          static_cast<std::uint64_t>(row.integer(7))};
}

Array to_array(const Digest& digest) {
  Array array(Type::bytea);
  array.add(digest);
  return array;
}

/// Those that are still as they were read. Locked in the order in which writers lock them.
std::set<Id> lock_unchanged(Transaction& transaction, const std::vector<StacktraceRecord>& stacktraces) {
  Array ids(Type::int8), digests(Type::bytea);
  for (const StacktraceRecord& stacktrace : stacktraces) {
    ids.add(stacktrace.id);
    digests.add(stacktrace.digest);
  }
  std::set<Id> unchanged;
  const pqxx::result locked = transaction.run(
      "SELECT s.id FROM stacktraces s JOIN unnest($1::bigint[], $2::bytea[]) AS wanted(id, digest) ON s.id = "
      "wanted.id AND s.digest = wanted.digest ORDER BY s.digest FOR UPDATE OF s",
      Arguments(ids, digests));
  for (const Row row : locked) unchanged.insert(row.integer(0));
  return unchanged;
}

void set_digest(Transaction& transaction, Id stacktrace, const Digest& digest) {
  constexpr std::string_view kIsThere = "23505";
  try {
    transaction.run("UPDATE stacktraces SET digest = ($1::bytea[])[1] WHERE id = $2::bigint",
                    Arguments(to_array(digest), stacktrace));
  } catch (const pqxx::failure& failure) {
    if (sqlstate_of(failure) != kIsThere) throw;
    // Stored by somebody else since it was looked for: the next attempt finds it.
    throw changed_meanwhile(failure.what());
  }
}

}  // namespace

void FrameRows::add(Id stacktrace, std::span<const Frame> frames) {
  for (auto frame = frames.rbegin(); frame != frames.rend(); ++frame) {
    traces_.add(stacktrace);  // the outermost has the lowest id
    files_.add(frame->filename);
    lines_.add(static_cast<std::int64_t>(frame->lineno));
    sources_.add(frame->src);
    functions_.add(not_empty(frame->function));
    modules_.add(not_empty(frame->module));
    build_ids_.add(not_empty(frame->build_id));
    std::optional<std::int64_t> offset;
    if (!frame->module.empty()) offset = static_cast<std::int64_t>(frame->offset);
    offsets_.add(offset);
  }
}

std::optional<Statement> FrameRows::insert() const {
  if (traces_.size() == 0) return std::nullopt;
  return Statement{
      "INSERT INTO stackframes(stacktrace_id, filename, lineno, src, \"function\", \"module\", \"build_id\", "
      "\"offset\") SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::text[], "
      "$5::text[], $6::text[], $7::text[], $8::bigint[])",
      Arguments(traces_, files_, lines_, sources_, functions_, modules_, build_ids_, offsets_)};
}

std::unordered_map<Id, std::vector<Frame>> frames_of(Transaction& transaction, const SchemaState& schema,
                                                     std::span<const Id> ids) {
  const std::string_view added =
      schema.version < 1 ? "NULL, NULL, NULL, NULL" : "\"function\", \"module\", \"build_id\", \"offset\"";
  std::unordered_map<Id, std::vector<Frame>> frames;
  const pqxx::result rows =
      transaction.run(fmt::format("SELECT stacktrace_id, filename, lineno, src, {} FROM stackframes "
                                  "WHERE stacktrace_id = ANY($1::bigint[]) ORDER BY id DESC",
                                  added),
                      Arguments(to_array(ids)));
  for (const Row row : rows) frames[row.integer(0)].push_back(to_frame(row));
  return frames;
}

std::vector<StacktraceRecord> stacktraces_to_symbolize(Transaction& transaction, const SchemaState& schema,
                                                       Id after, std::size_t limit) {
  std::vector<StacktraceRecord> stacktraces;
  if (schema.version < 1) return stacktraces;
  constexpr std::size_t kMost = std::numeric_limits<std::int64_t>::max();
  const pqxx::result rows =
      transaction.run(fmt::format("SELECT s.id, encode(s.digest, 'hex') FROM stacktraces s WHERE s.id > "
                                  "$1::bigint AND {} ORDER BY s.id LIMIT $2::bigint",
                                  kUnresolved),
                      Arguments(after, std::clamp<std::size_t>(limit, 1, kMost)));
  std::vector<Id> ids;
  for (const Row row : rows) {
    ids.push_back(row.integer(0));
    stacktraces.push_back({ids.back(), row.digest(1).value(), {}});
  }
  std::unordered_map<Id, std::vector<Frame>> frames = frames_of(transaction, schema, ids);
  for (StacktraceRecord& stacktrace : stacktraces) stacktrace.frames = std::move(frames[stacktrace.id]);
  return stacktraces;
}

std::uint64_t count_to_symbolize(Transaction& transaction, const SchemaState& schema) {
  if (schema.version < 1) return 0;
  const pqxx::result rows =
      transaction.run(fmt::format("SELECT count(*) FROM stacktraces s WHERE {}", kUnresolved));
  return static_cast<std::uint64_t>(Row(rows.front()).integer(0));
}

FramesReplaced replace_frames(Transaction& transaction, const std::vector<StacktraceRecord>& stacktraces) {
  FramesReplaced result;
  std::set<Id> unchanged = lock_unchanged(transaction, stacktraces);
  for (const StacktraceRecord& stacktrace : stacktraces) {
    if (unchanged.erase(stacktrace.id) == 0) continue;
    const Stacktrace fit(stacktrace.frames);
    const Digest digest = digest_of(fit.frames());
    const pqxx::result found =
        transaction.run("SELECT id FROM stacktraces WHERE digest = ANY($1::bytea[]) FOR KEY SHARE",
                        Arguments(to_array(digest)));
    const Id holder = found.empty() ? stacktrace.id : Row(found.front()).integer(0);
    transaction.run("DELETE FROM stackframes WHERE stacktrace_id = $1::bigint", Arguments(stacktrace.id));
    if (holder != stacktrace.id) {
      transaction.run("UPDATE events SET stacktrace_id = $1::bigint WHERE stacktrace_id = $2::bigint",
                      Arguments(holder, stacktrace.id));
      transaction.run("DELETE FROM stacktraces WHERE id = $1::bigint", Arguments(stacktrace.id));
      ++result.merged;
    } else {
      if (found.empty()) set_digest(transaction, stacktrace.id, digest);
      FrameRows rows;
      rows.add(stacktrace.id, fit.frames());
      if (const auto insert = rows.insert()) transaction.run(insert->sql, insert->arguments);
      ++result.replaced;
    }
  }
  return result;
}

}  // namespace codewake::internal
