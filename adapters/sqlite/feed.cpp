#include "feed.hpp"

#include <SQLiteCpp/Exception.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <string_view>

#include "codewake/time.hpp"
#include "codewake/trace_event.hpp"
#include "trace_columns.hpp"

namespace codewake::internal {
namespace {

enum class Shown { events, data, traces };

/// The two lower-case digits of each byte, one behind the other.
constexpr std::array<char, 512> kDigitPairs = [] {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::array<char, 512> pairs{};
  for (std::size_t i = 0; i < 256; ++i) {
    pairs[2 * i] = kDigits[i >> 4];
    pairs[2 * i + 1] = kDigits[i & 15];
  }
  return pairs;
}();

struct Module {
  sqlite3_vtab base;  // first: SQLite's part
  const Feed* feed;
};

/// Stands on an event or trace event, and in the table of data on one of its attributes.
struct Cursor {
  sqlite3_vtab_cursor base;  // first: SQLite's part
  const Feed* feed;
  std::size_t event;
  std::size_t attribute;
  sqlite3_int64 row;
};

Cursor& own(sqlite3_vtab_cursor* cursor) {
  return *reinterpret_cast<Cursor*>(cursor);
}

const char* looks_of(Shown shown) {
  switch (shown) {
    case Shown::events:
      return "CREATE TABLE feed(when_ts, process_id, digest, stacktrace_id)";
    case Shown::data:
      return "CREATE TABLE feed(\"key\", val, event_id)";
    case Shown::traces:
      break;
  }
  return "CREATE TABLE feed(" CODEWAKE_TRACE_COLUMNS ")";
}

template <Shown kShown>
int connect(sqlite3* connection, void* feed, int, const char* const*, sqlite3_vtab** table, char**) {
  const int code = sqlite3_declare_vtab(connection, looks_of(kShown));
  if (code != SQLITE_OK) return code;
  auto* module = new (std::nothrow) Module{{}, static_cast<const Feed*>(feed)};
  if (module == nullptr) return SQLITE_NOMEM;
  *table = &module->base;
  return SQLITE_OK;
}

int disconnect(sqlite3_vtab* table) {
  delete reinterpret_cast<Module*>(table);
  return SQLITE_OK;
}

int best_index(sqlite3_vtab*, sqlite3_index_info*) {
  return SQLITE_OK;
}

int open(sqlite3_vtab* table, sqlite3_vtab_cursor** opened) {
  auto* cursor = new (std::nothrow) Cursor{{}, reinterpret_cast<const Module*>(table)->feed, 0, 0, 0};
  if (cursor == nullptr) return SQLITE_NOMEM;
  *opened = &cursor->base;
  return SQLITE_OK;
}

int close(sqlite3_vtab_cursor* cursor) {
  delete reinterpret_cast<Cursor*>(cursor);
  return SQLITE_OK;
}

void skip_events_without_data(Cursor& cursor) {
  const auto events = cursor.feed->batch->events;
  while (cursor.event < events.size() && cursor.attribute >= events[cursor.event].data.size()) {
    ++cursor.event;
    cursor.attribute = 0;
  }
}

template <Shown kShown>
int filter(sqlite3_vtab_cursor* base, int, const char*, int, sqlite3_value**) {
  Cursor& cursor = own(base);
  cursor.event = cursor.attribute = 0;
  cursor.row = 0;
  if constexpr (kShown == Shown::data) skip_events_without_data(cursor);
  return SQLITE_OK;
}

template <Shown kShown>
int next(sqlite3_vtab_cursor* base) {
  Cursor& cursor = own(base);
  ++cursor.row;
  if constexpr (kShown == Shown::data) {
    ++cursor.attribute;
    skip_events_without_data(cursor);
  } else {
    ++cursor.event;
  }
  return SQLITE_OK;
}

template <Shown kShown>
int at_end(sqlite3_vtab_cursor* base) {
  const Cursor& cursor = own(base);
  const Batch& batch = *cursor.feed->batch;
  return cursor.event >= (kShown == Shown::traces ? batch.trace_events.size() : batch.events.size());
}

int row_id(sqlite3_vtab_cursor* base, sqlite3_int64* row) {
  *row = own(base).row;
  return SQLITE_OK;
}

// A null pointer would be NULL, which an empty text is not.
void result_text(sqlite3_context* context, std::string_view text) {
  sqlite3_result_text64(context, text.data() == nullptr ? "" : text.data(), text.size(), SQLITE_STATIC,
                        SQLITE_UTF8);
}

int event_column(sqlite3_vtab_cursor* base, sqlite3_context* context, int column) {
  const Cursor& cursor = own(base);
  const Feed& feed = *cursor.feed;
  const BatchEvent& event = feed.batch->events[cursor.event];
  switch (column) {
    case 0:
      sqlite3_result_double(context, to_unix_seconds(event.when));
      break;
    case 1:
      sqlite3_result_int64(context, feed.process_ids[event.process]);
      break;
    case 2:
      if (event.has_data) {
        const Digest& digest = feed.digests[cursor.event];
        sqlite3_result_blob(context, digest.data(), static_cast<int>(digest.size()), SQLITE_STATIC);
      }
      break;
    default:
      if (const Id id = feed.stacktrace_ids[cursor.event]; id != 0) sqlite3_result_int64(context, id);
  }
  return SQLITE_OK;
}

int data_column(sqlite3_vtab_cursor* base, sqlite3_context* context, int column) {
  const Cursor& cursor = own(base);
  const Feed& feed = *cursor.feed;
  const AttributeView& attribute = feed.batch->events[cursor.event].data[cursor.attribute];
  switch (column) {
    case 0:
      result_text(context, attribute.key);
      break;
    case 1:
      if (attribute.value) result_text(context, *attribute.value);
      break;
    default:
      sqlite3_result_int64(context, feed.first_event_id + static_cast<sqlite3_int64>(cursor.event));
  }
  return SQLITE_OK;
}

template <std::size_t kSize>
void result_id(sqlite3_context* context, const std::array<char, kSize>& id) {
  sqlite3_result_text(context, id.data(), static_cast<int>(kSize), SQLITE_STATIC);
}

// Without a result it is NULL.
void result_text_or_null(sqlite3_context* context, std::string_view text) {
  if (!text.empty()) result_text(context, text);
}

/// `column` counts in kTraceColumns.
void result_head(sqlite3_context* context, const Feed& feed, std::size_t at, int column) {
  const BatchTraceEvent& event = feed.batch->trace_events[at];
  const Feed::TraceIds& ids = feed.trace_ids[at];
  switch (column) {
    case 0:
      return result_id(context, ids.event);
    case 1:
      return result_id(context, ids.trace);
    case 2:
      return result_id(context, ids.span);
    case 3:
      if (!event.upstream_span_id.empty()) result_id(context, ids.upstream);
      return;
    case 4:
      if (!event.parent_id.empty()) result_id(context, ids.parent);
      return;
    case 5:
      return sqlite3_result_int64(context, feed.process_ids[event.process]);
    case 6:
      return sqlite3_result_double(context, to_unix_seconds(event.when));
    case 7:
      if (event.duration) sqlite3_result_double(context, to_seconds(*event.duration));
      return;
    case 8:
      return result_text(context, to_string(event.kind));
    default:
      if (event.access) result_text(context, to_string(*event.access));
  }
}

void result_rest(sqlite3_context* context, const BatchTraceEvent& event, int column) {
  const TraceEventTexts<std::string_view>& texts = event.texts;
  switch (column) {
    case 10:
      return result_text(context, texts.name);
    case 11:
      return result_text_or_null(context, texts.file);
    case 12:
      if (event.line != 0) sqlite3_result_int64(context, event.line);
      return;
    case 13:
      return result_text(context, texts.service);
    case 14:
      return result_text(context, texts.instance);
    case 15:
      return result_text(context, texts.environment);
    case 16:
      return result_text(context, texts.execution);
    case 17:
      return result_text(context, texts.thread);
    case 18:
      return sqlite3_result_int64(context, static_cast<sqlite3_int64>(event.step));
    case 19:
      return result_text_or_null(context, texts.data);
    case 20:
      return result_text_or_null(context, texts.clock);
    default:
      return result_text_or_null(context, texts.locks);
  }
}

int trace_column(sqlite3_vtab_cursor* base, sqlite3_context* context, int column) {
  const Cursor& cursor = own(base);
  constexpr int kFirstOfRest = 10;
  if (column < kFirstOfRest) {
    result_head(context, *cursor.feed, cursor.event, column);
  } else {
    result_rest(context, cursor.feed->batch->trace_events[cursor.event], column);
  }
  return SQLITE_OK;
}

template <Shown kShown>
constexpr sqlite3_module make_module() {
  sqlite3_module module{};
  module.xConnect = &connect<kShown>;  // without xCreate it is there by its name alone
  module.xBestIndex = &best_index;
  module.xDisconnect = &disconnect;
  module.xOpen = &open;
  module.xClose = &close;
  module.xFilter = &filter<kShown>;
  module.xNext = &next<kShown>;
  module.xEof = &at_end<kShown>;
  module.xColumn = kShown == Shown::events ? &event_column
                   : kShown == Shown::data ? &data_column
                                           : &trace_column;
  module.xRowid = &row_id;
  return module;
}

constexpr sqlite3_module kEvents = make_module<Shown::events>();
constexpr sqlite3_module kData = make_module<Shown::data>();
constexpr sqlite3_module kTraces = make_module<Shown::traces>();

template <std::size_t kBytes, std::size_t kSize>
void write_id(const std::array<std::uint8_t, kBytes>& bytes, std::array<char, kSize>& text) {
  static_assert(kSize == 2 * kBytes || kSize == 2 * kBytes + 4);
  constexpr bool kIsUuid = kSize != 2 * kBytes;
  char* to = text.data();
  for (std::size_t i = 0; i < kBytes; ++i) {
    if (kIsUuid && (i == 4 || i == 6 || i == 8 || i == 10)) *to++ = '-';
    std::memcpy(to, &kDigitPairs[2 * std::size_t{bytes[i]}], 2);
    to += 2;
  }
}

}  // namespace

void Feed::write_trace_ids() {
  trace_ids.resize(batch->trace_events.size());
  TraceIds* ids = trace_ids.data();
  for (const BatchTraceEvent& event : batch->trace_events) {
    write_id(event.id.bytes, ids->event);
    write_id(event.trace_id.bytes, ids->trace);
    write_id(event.span_id.bytes, ids->span);
    write_id(event.upstream_span_id.bytes, ids->upstream);
    write_id(event.parent_id.bytes, ids->parent);
    ++ids;
  }
}

void register_feed(sqlite3* connection, const Feed* feed) {
  void* client = const_cast<Feed*>(feed);
  int code = sqlite3_create_module(connection, "codewake_feed_events", &kEvents, client);
  if (code == SQLITE_OK) code = sqlite3_create_module(connection, "codewake_feed_data", &kData, client);
  if (code == SQLITE_OK) code = sqlite3_create_module(connection, "codewake_feed_traces", &kTraces, client);
  if (code != SQLITE_OK) throw SQLite::Exception(connection, code);
}

}  // namespace codewake::internal
