// The PostgreSQL store without a queue: how fast it commits.
#include <unistd.h>

#include <cstddef>
#include <span>
#include <string>

#include "bench/batches.hpp"
#include "bench/passes.hpp"
#include "bench/postgres_peer.hpp"

namespace codewake::cli::bench {

Json postgres_commit(const Json& request) {
  constexpr const char* kModule = "code_wake_postgres_store";
  constexpr const char* kClass = "PostgresStore";
  const auto count = request.at("events").get<std::size_t>();
  const auto url = request.at("postgres").get<std::string>();
  const bool by_copy = request.at("by_copy");
  const std::string pid = std::to_string(::getpid());
  const PostgresSchema our_schema(url, "codewake_bench_ours_" + pid);
  const PostgresSchema peer_schema(url, "codewake_bench_peer_" + pid);
  Ours ours(kModule, kClass, our_schema.url(), request);
  // The store makes the peer's tables, too.
  const Id process = Ours(kModule, kClass, peer_schema.url(), request).process();
  PostgresPeer peer(peer_schema.url(), process);

  const auto write_peer = [&](std::span<const BatchEvent> events, std::span<const Digest> digests) {
    by_copy ? peer.copy(events, digests) : peer.insert(events, digests);
  };
  const BothSeconds seconds =
      write_in_turns(count, ours, request.at("batch"), write_peer, request.at("peer_batch"));
  return {{"ours", static_cast<double>(count) / seconds.ours},
          {"peer", static_cast<double>(count) / seconds.peer}};
}

}  // namespace codewake::cli::bench
