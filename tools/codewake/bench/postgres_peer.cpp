#include "bench/postgres_peer.hpp"

#include <fmt/format.h>

#include "bench/passes.hpp"
#include "codewake/errors.hpp"
#include "codewake/time.hpp"
#include "codewake/visible.hpp"

#ifdef CODEWAKE_BENCH_POSTGRES

#include <libpq-fe.h>

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace codewake::cli::bench {
namespace {

/// Numbers as the server wants them: the highest byte first.
template <class T>
void put(std::string& to, T number) {
  for (std::size_t i = sizeof number; i-- > 0;) to.push_back(static_cast<char>(number >> (8 * i)));
}

void put_field(std::string& to, std::string_view bytes) {
  put(to, static_cast<std::uint32_t>(bytes.size()));
  to += bytes;
}

void put_field(std::string& to, std::int64_t number) {
  put(to, std::uint32_t{sizeof number});
  put(to, static_cast<std::uint64_t>(number));
}

void put_null(std::string& to) {
  put(to, ~std::uint32_t{0});
}

std::int64_t bits_of(Time when) {
  return std::bit_cast<std::int64_t>(to_unix_seconds(when));
}

std::string_view bytes_of(const Digest& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

class Database {
 public:
  explicit Database(const std::string& url) : handle_(PQconnectdb(url.c_str())) {
    if (PQstatus(handle_) != CONNECTION_OK) {
      const std::string message = PQerrorMessage(handle_);
      PQfinish(handle_);
      throw Error(fmt::format("PostgreSQL: {}", message));
    }
    exec("SET client_min_messages = error");
  }
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;
  ~Database() { PQfinish(handle_); }

  PGconn* handle() const noexcept { return handle_; }
  void check(PGresult* result) const {
    const ExecStatusType status = PQresultStatus(result);
    PQclear(result);
    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_COPY_IN) return;
    throw Error(fmt::format("PostgreSQL: {}", PQerrorMessage(handle_)));
  }
  void exec(const std::string& sql) const { check(PQexec(handle_, sql.c_str())); }

  void copy(const char* sql, const std::string& rows) const {
    constexpr std::size_t kPiece = 64 << 10;
    exec(sql);
    for (std::size_t at = 0; at < rows.size(); at += kPiece) {
      const std::string_view piece = std::string_view(rows).substr(at, kPiece);
      if (PQputCopyData(handle_, piece.data(), static_cast<int>(piece.size())) != 1) {
        throw Error(fmt::format("PostgreSQL: {}", PQerrorMessage(handle_)));
      }
    }
    PQputCopyEnd(handle_, nullptr);
    while (PGresult* const result = PQgetResult(handle_)) check(result);
  }

 private:
  PGconn* handle_;
};

/// A statement's parameters, all in binary.
template <std::size_t kCount>
class Parameters {
 public:
  void bind(std::size_t place, std::string_view bytes) {
    values_[place] = bytes.data();
    lengths_[place] = static_cast<int>(bytes.size());
  }
  /// `space` holds the number until the statement is run.
  void bind(std::size_t place, std::int64_t number, std::string& space) {
    space.clear();
    put(space, static_cast<std::uint64_t>(number));
    bind(place, space);
  }
  void run(const Database& database, const char* name) const {
    std::array<int, kCount> formats;
    formats.fill(1);
    database.check(
        PQexecPrepared(database.handle(), name, kCount, values_.data(), lengths_.data(), formats.data(), 1));
  }

 private:
  std::array<const char*, kCount> values_{};
  std::array<int, kCount> lengths_{};
};

}  // namespace

class PostgresPeer::Impl {
 public:
  Impl(const std::string& url, Id process) : process_(process), database_(url) {
    database_.check(PQprepare(database_.handle(), "event",
                              "INSERT INTO events(id, when_ts, process_id, digest) VALUES($1, $2, $3, $4)", 0,
                              nullptr));
    database_.check(PQprepare(database_.handle(), "attribute",
                              "INSERT INTO events_data(id, \"key\", val, event_id) VALUES($1, $2, $3, $4)", 0,
                              nullptr));
  }

  void copy(std::span<const BatchEvent> events, std::span<const Digest> digests) {
    constexpr std::string_view kHeader("PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0", 19);
    constexpr std::uint16_t kEnd = 0xffff;
    event_rows_ = kHeader;
    attribute_rows_ = kHeader;
    for (std::size_t i = 0; i < events.size(); ++i) {
      const std::int64_t id = next_event_++;
      put(event_rows_, std::uint16_t{5});
      put_field(event_rows_, id);
      put_field(event_rows_, bits_of(events[i].when));
      put_field(event_rows_, process_);
      put_field(event_rows_, bytes_of(digests[i]));
      put_null(event_rows_);
      for (const AttributeView& attribute : events[i].data) {
        put(attribute_rows_, std::uint16_t{4});
        put_field(attribute_rows_, next_attribute_++);
        put_field(attribute_rows_, attribute.key);
        put_field(attribute_rows_, attribute.value.value());
        put_field(attribute_rows_, id);
      }
    }
    put(event_rows_, kEnd);
    put(attribute_rows_, kEnd);
    database_.exec("BEGIN");
    database_.copy("COPY events(id, when_ts, process_id, digest, stacktrace_id) FROM STDIN (FORMAT binary)",
                   event_rows_);
    database_.copy("COPY events_data(id, \"key\", val, event_id) FROM STDIN (FORMAT binary)",
                   attribute_rows_);
    database_.exec("COMMIT");
  }

  void insert(std::span<const BatchEvent> events, std::span<const Digest> digests) {
    database_.exec("BEGIN");
    for (std::size_t i = 0; i < events.size(); ++i) {
      const std::int64_t id = next_event_++;
      Parameters<4> event;
      event.bind(0, id, spaces_[0]);
      event.bind(1, bits_of(events[i].when), spaces_[1]);
      event.bind(2, process_, spaces_[2]);
      event.bind(3, bytes_of(digests[i]));
      event.run(database_, "event");
      for (const AttributeView& attribute : events[i].data) {
        Parameters<4> row;
        row.bind(0, next_attribute_++, spaces_[1]);
        row.bind(1, attribute.key);
        row.bind(2, attribute.value.value());
        row.bind(3, id, spaces_[0]);
        row.run(database_, "attribute");
      }
    }
    database_.exec("COMMIT");
  }

 private:
  const Id process_;
  Database database_;
  std::int64_t next_event_ = 1;
  std::int64_t next_attribute_ = 1;
  std::string event_rows_, attribute_rows_;
  std::array<std::string, 3> spaces_;
};

bool has_postgres() noexcept {
  return true;
}

PostgresSchema::PostgresSchema(const std::string& database_url, const std::string& name)
    : database_url_(database_url),
      name_(name),
      url_(fmt::format("{}{}options=-csearch_path%3D{}%20-csynchronous_commit%3Doff", database_url,
                       database_url.find('?') == std::string::npos ? '?' : '&', name)) {
  Database(database_url).exec(fmt::format("CREATE SCHEMA {}", name));
}

PostgresSchema::~PostgresSchema() {
  try {
    Database(database_url_).exec(fmt::format("DROP SCHEMA {} CASCADE", name_));
  } catch (const Error& error) {
    say_on_stderr({"the schema ", name_, " could not be removed: ", error.what()});
  }
}

PostgresPeer::PostgresPeer(const std::string& url, Id process)
    : impl_(std::make_unique<Impl>(url, process)) {}

PostgresPeer::~PostgresPeer() = default;

void PostgresPeer::copy(std::span<const BatchEvent> events, std::span<const Digest> digests) {
  impl_->copy(events, digests);
}

void PostgresPeer::insert(std::span<const BatchEvent> events, std::span<const Digest> digests) {
  impl_->insert(events, digests);
}

}  // namespace codewake::cli::bench

#else

namespace codewake::cli::bench {
namespace {

[[noreturn]] void refuse() {
  throw Error("this program was built without libpq");
}

}  // namespace

class PostgresPeer::Impl {};

bool has_postgres() noexcept {
  return false;
}

PostgresSchema::PostgresSchema(const std::string&, const std::string&) {
  refuse();
}

PostgresSchema::~PostgresSchema() = default;

PostgresPeer::PostgresPeer(const std::string&, Id) {
  refuse();
}

PostgresPeer::~PostgresPeer() = default;

void PostgresPeer::copy(std::span<const BatchEvent>, std::span<const Digest>) {
  refuse();
}

void PostgresPeer::insert(std::span<const BatchEvent>, std::span<const Digest>) {
  refuse();
}

}  // namespace codewake::cli::bench

#endif
