#include "stored_frames.hpp"

#include <algorithm>
#include <limits>
#include <optional>
#include <string_view>
#include <utility>

#include "codewake/digest.hpp"
#include "codewake/stacktrace.hpp"
#include "reader.hpp"

namespace codewake::internal {
namespace {

constexpr std::string_view kUnresolved =
    "length(s.digest) = 32 AND EXISTS (SELECT 1 FROM stackframes f WHERE f.stacktrace_id = s.id AND "
    "f.\"module\" <> '' AND f.\"build_id\" <> '' AND (f.lineno = 0 OR coalesce(f.\"function\", '') = ''))";

std::optional<std::string_view> not_empty(const std::string& text) {
  return text.empty() ? std::nullopt : std::optional<std::string_view>(text);
}

std::optional<Id> find_stacktrace(Connection& connection, const Digest& digest) {
  Query query(connection, "SELECT id FROM stacktraces WHERE digest = ?", digest);
  return query.step() ? std::optional<Id>(query.integer(0)) : std::nullopt;
}

}  // namespace

std::unordered_map<Id, std::vector<Frame>> frames_of(Connection& connection, const SchemaState& schema,
                                                     const std::string& ids) {
  const std::string_view added = schema.version < 1
                                     ? "NULL, NULL, NULL, NULL"
                                     : "f.\"function\", f.\"module\", f.\"build_id\", f.\"offset\"";
  std::unordered_map<Id, std::vector<Frame>> frames;
  Query query(connection,
              "SELECT f.stacktrace_id, f.filename, f.lineno, f.src, " + std::string(added) +
                  " FROM json_each(?) wanted CROSS JOIN stackframes f ON f.stacktrace_id = wanted.value "
                  "ORDER BY f.id DESC",
              ids);
  while (query.step()) {
    constexpr std::int64_t kLastLine = std::numeric_limits<std::uint32_t>::max();
    const auto line = static_cast<std::uint32_t>(std::clamp<std::int64_t>(query.integer(2), 0, kLastLine));
    frames[query.integer(0)].push_back({query.text(1), line, query.text(3), query.text(4), query.text(5),
                                        query.text(6), static_cast<std::uint64_t>(query.integer(7))});
  }
  return frames;
}

void insert_frames(Connection& connection, Id stacktrace, std::span<const Frame> frames) {
  for (auto frame = frames.rbegin(); frame != frames.rend(); ++frame) {  // the outermost has the lowest id
    std::optional<std::int64_t> offset;
    if (!frame->module.empty()) offset = static_cast<std::int64_t>(frame->offset);
    Query(connection,
          "INSERT INTO stackframes(stacktrace_id, filename, lineno, src, \"function\", \"module\", "
          "\"build_id\", "
          "\"offset\") VALUES(?, ?, ?, ?, ?, ?, ?, ?)",
          stacktrace, frame->filename, frame->lineno, frame->src, not_empty(frame->function),
          not_empty(frame->module), not_empty(frame->build_id), offset)
        .run();
  }
}

std::vector<StacktraceRecord> stacktraces_to_symbolize(Connection& connection, const SchemaState& schema,
                                                       Id after, std::size_t limit) {
  std::vector<StacktraceRecord> stacktraces;
  if (schema.version < 1) return stacktraces;
  constexpr std::size_t kMost = std::numeric_limits<Id>::max();
  std::vector<Id> ids;
  {
    Query query(connection,
                "SELECT s.id, s.digest FROM stacktraces s WHERE s.id > ? AND " + std::string(kUnresolved) +
                    " ORDER BY s.id LIMIT ?",
                after, std::clamp<std::size_t>(limit, 1, kMost));
    while (query.step()) {
      ids.push_back(query.integer(0));
      stacktraces.push_back({ids.back(), query.digest(1).value(), {}});
    }
  }
  std::unordered_map<Id, std::vector<Frame>> frames = frames_of(connection, schema, to_json(ids));
  for (StacktraceRecord& stacktrace : stacktraces) stacktrace.frames = std::move(frames[stacktrace.id]);
  return stacktraces;
}

std::uint64_t count_to_symbolize(Connection& connection, const SchemaState& schema) {
  if (schema.version < 1) return 0;
  Query query(connection, "SELECT count(*) FROM stacktraces s WHERE " + std::string(kUnresolved));
  query.step();
  return static_cast<std::uint64_t>(query.integer(0));
}

FramesReplaced replace_frames(Connection& connection, const std::vector<StacktraceRecord>& stacktraces) {
  FramesReplaced result;
  for (const StacktraceRecord& stacktrace : stacktraces) {
    if (find_stacktrace(connection, stacktrace.digest) != stacktrace.id) continue;
    const Stacktrace fit(stacktrace.frames);
    const Digest digest = digest_of(fit.frames());
    const Id holder = find_stacktrace(connection, digest).value_or(stacktrace.id);
    Query(connection, "DELETE FROM stackframes WHERE stacktrace_id = ?", stacktrace.id).run();
    if (holder != stacktrace.id) {
      Query(connection, "UPDATE events SET stacktrace_id = ? WHERE stacktrace_id = ?", holder, stacktrace.id)
          .run();
      Query(connection, "DELETE FROM stacktraces WHERE id = ?", stacktrace.id).run();
      ++result.merged;
    } else {
      Query(connection, "UPDATE stacktraces SET digest = ? WHERE id = ?", digest, stacktrace.id).run();
      insert_frames(connection, stacktrace.id, fit.frames());
      ++result.replaced;
    }
  }
  return result;
}

}  // namespace codewake::internal
