#include "pipeline.hpp"

#include <fmt/format.h>
#include <libpq-fe.h>

#include <algorithm>
#include <cstddef>
#include <utility>

#include "wire.hpp"

namespace codewake::internal {
namespace {

/// What the server says of a name that it does not keep, or keeps already.
constexpr std::string_view kUnknownName = "26000", kKnownName = "42P05";

constexpr std::string_view kPrefix = "codewake_";

std::string field(const PGresult* result, int code) {
  const char* const text = PQresultErrorField(result, code);
  return text == nullptr ? "" : text;
}

std::string message_of(const PGresult* result) {
  std::string message = field(result, PG_DIAG_MESSAGE_PRIMARY);
  return message.empty() ? PQresultErrorMessage(result) : message;
}

}  // namespace

void Answer::Clear::operator()(Result* result) const noexcept {
  PQclear(result);
}

int Answer::size() const noexcept {
  return PQntuples(result_.get());
}

std::string_view Answer::bytes(int row, int column) const noexcept {
  return {PQgetvalue(result_.get(), row, column),
          static_cast<std::size_t>(PQgetlength(result_.get(), row, column))};
}

std::int64_t Answer::integer(int row, int column) const noexcept {
  const std::string_view raw = bytes(row, column);
  const std::uint64_t bits = read_big_endian(raw);
  return raw.size() == 4 ? static_cast<std::int32_t>(bits) : static_cast<std::int64_t>(bits);
}

// Dimensions, whether there are NULLs, the type, and for the one dimension its size and first index; then
// each element's length and bytes.
std::vector<std::int64_t> Answer::integers(int row, int column) const {
  constexpr std::size_t kHeader = 20, kElement = 12, kLength = 4;
  std::vector<std::int64_t> integers;
  const std::string_view raw = bytes(row, column);
  for (std::size_t at = kHeader; at + kElement <= raw.size(); at += kElement) {
    integers.push_back(
        static_cast<std::int64_t>(read_big_endian(raw.substr(at + kLength, kElement - kLength))));
  }
  return integers;
}

std::optional<Digest> Answer::digest(int row, int column) const noexcept {
  const std::string_view raw = bytes(row, column);
  Digest digest;
  if (raw.size() != digest.size()) return std::nullopt;
  std::copy(raw.begin(), raw.end(), reinterpret_cast<char*>(digest.data()));
  return digest;
}

std::string_view Answer::command() const noexcept {
  return result_ == nullptr ? "" : PQcmdStatus(result_.get());
}

// A digest of the statement, so that it is the same for every client: where these share the server's
// connections, one goes on with what another has prepared.
const std::string& Pipeline::name_of(const std::string& sql) {
  constexpr std::size_t kDigits = 32;
  std::string& name = names_[sql];
  if (name.empty()) {
    const AttributeView text{.key = sql, .value = std::nullopt};
    name = fmt::format("{}{:.{}}", kPrefix, to_hex(digest_of(std::span(&text, 1))), kDigits);
  }
  return name;
}

void Pipeline::fail_lost(const std::string& message) {
  broken_ = true;
  throw pqxx::broken_connection(watchdog_.reason(message.empty() ? PQerrorMessage(&handle_) : message));
}

Answer Pipeline::checked(Answer::Result* result, const std::string& sql) {
  Answer answer(result);
  switch (PQresultStatus(result)) {
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
    case PGRES_COPY_IN:
      return answer;
    default:
      break;
  }
  const std::string severity = field(result, PG_DIAG_SEVERITY_NONLOCALIZED);
  const std::string sqlstate = field(result, PG_DIAG_SQLSTATE);
  if (sqlstate.empty()) fail_lost(message_of(result));
  if (PQstatus(&handle_) == CONNECTION_BAD || severity == "FATAL" || severity == "PANIC") broken_ = true;
  if (sqlstate == kUnknownName || sqlstate == kKnownName) is_unsure_ = true;
  throw pqxx::sql_error(message_of(result), sql, sqlstate.c_str());
}

void Pipeline::send(std::span<const Statement> statements) {
  const Watchdog::Guard guard(watchdog_, patience_);
  if (PQenterPipelineMode(&handle_) == 0) fail_lost();
  sent_.clear();
  answered_ = 0;
  for (const Statement& statement : statements) send(statement);
  if (PQpipelineSync(&handle_) == 0) fail_lost();
  PQflush(&handle_);  // what goes wrong is for receive(): what the server said before is read first
}

void Pipeline::send(const Statement& statement) {
  const std::vector<Argument>& arguments = statement.arguments.all();
  const int size = static_cast<int>(arguments.size());
  std::vector<const char*> values;
  std::vector<int> lengths, formats;
  for (const Argument& argument : arguments) {
    values.push_back(argument.is_null ? nullptr : argument.bytes.c_str());
    lengths.push_back(static_cast<int>(argument.bytes.size()));
    formats.push_back(argument.is_binary ? 1 : 0);
  }
  Sent& sent = sent_.emplace_back(Sent{.sql = statement.sql, .prepares = {}});
  if (!statement.keep || !keeps_) {
    if (PQsendQueryParams(&handle_, statement.sql.c_str(), size, nullptr, values.data(), lengths.data(),
                          formats.data(), 1) == 0) {
      fail_lost();
    }
    return;
  }
  const std::string& name = name_of(statement.sql);
  if (kept_.insert(name).second) {
    sent.prepares = name;
    if (PQsendPrepare(&handle_, name.c_str(), statement.sql.c_str(), 0, nullptr) == 0) fail_lost();
  }
  if (PQsendQueryPrepared(&handle_, name.c_str(), size, values.data(), lengths.data(), formats.data(), 1) ==
      0)
    fail_lost();
}

// Each statement's results end with a null. Behind the first that fails, the server does nothing and says so.
Answer Pipeline::receive(const std::string& sql, std::exception_ptr& failure) {
  const Watchdog::Guard guard(watchdog_, patience_);
  Answer answer;
  while (PGresult* const result = PQgetResult(&handle_)) {
    if (failure) {
      PQclear(result);
      continue;
    }
    try {
      answer = checked(result, sql);
    } catch (const pqxx::failure&) {
      if (broken_) throw;
      failure = std::current_exception();
    }
  }
  return answer;
}

std::vector<Answer> Pipeline::receive() {
  std::vector<Answer> answers;
  std::exception_ptr failure;
  for (const Sent& sent : sent_) {
    if (!sent.prepares.empty()) {
      receive(sent.sql, failure);
      if (failure) kept_.erase(sent.prepares);
    }
    answers.push_back(receive(sent.sql, failure));
    if (!failure) ++answered_;
  }
  const Watchdog::Guard guard(watchdog_, patience_);
  PGresult* const sync = PQgetResult(&handle_);
  const bool in_step = PQresultStatus(sync) == PGRES_PIPELINE_SYNC;
  PQclear(sync);
  if (!in_step || PQexitPipelineMode(&handle_) == 0) fail_lost();
  if (failure) std::rethrow_exception(failure);
  return answers;
}

std::vector<Answer> Pipeline::run(std::span<const Statement> statements) {
  send(statements);
  return receive();
}

bool Pipeline::begin_by_asking(const Statement& begin) {
  if (!is_unsure_) return false;
  const std::vector<Statement> statements = {
      {begin.sql},
      {"SELECT name FROM pg_prepared_statements WHERE starts_with(name, $1::text)", Arguments(kPrefix)}};
  const std::vector<Answer> answers = run(statements);
  kept_.clear();
  for (int i = 0; i < answers[1].size(); ++i) kept_.emplace(answers[1].bytes(i, 0));
  is_unsure_ = false;
  return true;
}

Answer Pipeline::receive_rest() {
  std::exception_ptr failure;
  Answer last = receive(copies_, failure);
  if (failure) std::rethrow_exception(failure);
  return last;
}

void Pipeline::begin_copies(const std::string& sql) {
  copies_ = sql;
  {
    const Watchdog::Guard guard(watchdog_, patience_);
    if (PQsendQuery(&handle_, sql.c_str()) == 0) fail_lost();
  }
  wait_for_copy();
}

void Pipeline::wait_for_copy() {
  const Watchdog::Guard guard(watchdog_, patience_);
  std::exception_ptr failure;
  while (PGresult* const result = PQgetResult(&handle_)) {
    const bool begins = PQresultStatus(result) == PGRES_COPY_IN;
    try {
      checked(result, copies_);
    } catch (const pqxx::failure&) {
      if (broken_) throw;
      failure = std::current_exception();
    }
    if (begins) return;
  }
  if (failure) std::rethrow_exception(failure);
  fail_lost("the server does not begin to copy");
}

void Pipeline::copy(std::string_view bytes) {
  bool taken = false;
  {
    const Watchdog::Guard guard(watchdog_, patience_);
    taken = PQputCopyData(&handle_, bytes.data(), static_cast<int>(bytes.size())) > 0 &&
            PQstatus(&handle_) == CONNECTION_OK;
  }
  if (taken) return;
  receive_rest();  // why not
  fail_lost();
}

void Pipeline::next_copy() {
  {
    const Watchdog::Guard guard(watchdog_, patience_);
    if (PQputCopyEnd(&handle_, nullptr) <= 0) fail_lost();
  }
  wait_for_copy();
}

Answer Pipeline::end_copies() {
  {
    const Watchdog::Guard guard(watchdog_, patience_);
    if (PQputCopyEnd(&handle_, nullptr) <= 0) fail_lost();
  }
  return receive_rest();
}

}  // namespace codewake::internal
