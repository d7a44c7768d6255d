#include "handle.hpp"

#include <libpq-fe.h>

#include <vector>

#include "standard_descriptors.hpp"

namespace codewake::internal {
namespace {

void ignore_notice(void*, const PGresult*) {}

}  // namespace

std::map<std::string, std::string> connection_keywords() {
  std::map<std::string, std::string> keywords;
  const std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> options(PQconndefaults(),
                                                                             &PQconninfoFree);
  if (!options) return keywords;
  for (const PQconninfoOption* option = options.get(); option->keyword != nullptr; ++option) {
    keywords.emplace(option->keyword, option->val == nullptr ? "" : option->val);
  }
  return keywords;
}

Connected connect(const PostgresParameters& parameters) {
  std::vector<const char*> keywords, values;
  for (const auto& [keyword, value] : parameters.connection) {
    keywords.push_back(keyword.c_str());
    values.push_back(value.c_str());
  }
  keywords.push_back(nullptr);
  values.push_back(nullptr);
  const StandardDescriptors guard;
  std::unique_ptr<PGconn, decltype(&PQfinish)> made(PQconnectdbParams(keywords.data(), values.data(), 0),
                                                    &PQfinish);
  if (!made) throw pqxx::broken_connection("libpq has no memory left");
  if (PQstatus(made.get()) != CONNECTION_OK) throw pqxx::broken_connection(PQerrorMessage(made.get()));
  PQsetNoticeReceiver(made.get(), &ignore_notice, nullptr);
  Connected connected;
  connected.handle = made.get();
  connected.pqxx = adopt(made.release());
  return connected;
}

std::string server_encoding(const Handle& handle) {
  const char* const encoding = PQparameterStatus(&handle, "server_encoding");
  return encoding == nullptr ? "" : encoding;
}

TransactionState transaction_state(const Handle& handle) noexcept {
  switch (PQtransactionStatus(&handle)) {
    case PQTRANS_IDLE:
      return TransactionState::none;
    case PQTRANS_INTRANS:
      return TransactionState::open;
    case PQTRANS_INERROR:
      return TransactionState::failed;
    default:
      return TransactionState::unknown;
  }
}

}  // namespace codewake::internal
