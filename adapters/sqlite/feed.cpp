#include "feed.hpp"

#include <SQLiteCpp/Exception.h>

#include <new>
#include <string_view>

#include "codewake/time.hpp"

namespace codewake::internal {
namespace {

struct Module {
  sqlite3_vtab base;  // first: SQLite's part
  const Feed* feed;
};

/// Stands on an event, and in the table of data on one of its attributes.
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

template <bool kData>
int connect(sqlite3* connection, void* feed, int, const char* const*, sqlite3_vtab** table, char**) {
  const int code = sqlite3_declare_vtab(
      connection, kData ? "CREATE TABLE feed(\"key\", val, event_id)"
                        : "CREATE TABLE feed(when_ts, process_id, digest, stacktrace_id)");
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

template <bool kData>
int filter(sqlite3_vtab_cursor* base, int, const char*, int, sqlite3_value**) {
  Cursor& cursor = own(base);
  cursor.event = cursor.attribute = 0;
  cursor.row = 0;
  if constexpr (kData) skip_events_without_data(cursor);
  return SQLITE_OK;
}

template <bool kData>
int next(sqlite3_vtab_cursor* base) {
  Cursor& cursor = own(base);
  ++cursor.row;
  if constexpr (kData) {
    ++cursor.attribute;
    skip_events_without_data(cursor);
  } else {
    ++cursor.event;
  }
  return SQLITE_OK;
}

int at_end(sqlite3_vtab_cursor* base) {
  const Cursor& cursor = own(base);
  return cursor.event >= cursor.feed->batch->events.size();
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

template <bool kData>
constexpr sqlite3_module make_module() {
  sqlite3_module module{};
  module.xConnect = &connect<kData>;  // without xCreate it is there by its name alone
  module.xBestIndex = &best_index;
  module.xDisconnect = &disconnect;
  module.xOpen = &open;
  module.xClose = &close;
  module.xFilter = &filter<kData>;
  module.xNext = &next<kData>;
  module.xEof = &at_end;
  module.xColumn = kData ? &data_column : &event_column;
  module.xRowid = &row_id;
  return module;
}

constexpr sqlite3_module kEvents = make_module<false>();
constexpr sqlite3_module kData = make_module<true>();

}  // namespace

void register_feed(sqlite3* connection, const Feed* feed) {
  void* client = const_cast<Feed*>(feed);
  int code = sqlite3_create_module(connection, "codewake_feed_events", &kEvents, client);
  if (code == SQLITE_OK) code = sqlite3_create_module(connection, "codewake_feed_data", &kData, client);
  if (code != SQLITE_OK) throw SQLite::Exception(connection, code);
}

}  // namespace codewake::internal
