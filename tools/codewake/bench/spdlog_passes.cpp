// spdlog's asynchronous logger, the peer of log().
#include "bench/calls.hpp"
#include "bench/passes.hpp"
#include "codewake/errors.hpp"

#ifdef CODEWAKE_BENCH_SPDLOG

#include <fmt/format.h>
#include <spdlog/async.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <cstddef>
#include <memory>
#include <string>

namespace codewake::cli::bench {
namespace {

/// Writes to a file in shared memory, where the journal of log() is, too.
class Peer {
 public:
  Peer() {
    constexpr std::size_t kQueueSlots = 8192 * 16;
    const std::string file = fmt::format("/dev/shm/codewake-bench-{}.log", ::getpid());
    spdlog::init_thread_pool(kQueueSlots, 1);
    logger_ = spdlog::basic_logger_mt<spdlog::async_factory>("bench", file, true);
    ::unlink(file.c_str());  // it stays as long as it is open, and not longer, whatever happens
  }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;
  ~Peer() {
    logger_.reset();
    spdlog::shutdown();
  }

  /// What a trace event says, as text.
  void trace(const Texts::Values& values, int stock) const {
    constexpr const char* kTrace = "4bf92f3577b34da6a3ce929d0e0e4736";
    constexpr const char* kSpan = "00f067aa0ba902b7";
    constexpr const char* kClock =
        "[[\"codewake bench#host-4711#00f067aa0ba902b5\",1],[\"codewake "
        "bench#host-4711#00f067aa0ba902b6\",1],"
        "[\"codewake bench#host-4711#00f067aa0ba902b7\",";
    logger_->info(
        "StateChange variable={} old={} new={} access={} at={}:{} trace={} span={} upstream={} service={} "
        "instance={} environment={} execution={} step={} clock={}{}]] locks={}",
        values.username, stock, stock + 1, "Write", __FILE__, __LINE__, kTrace, kSpan, kSpan,
        "codewake bench", "host-4711", "development", "codewake bench#host-4711#00f067aa0ba902b7", stock,
        kClock, stock, "[\"inventory\"]");
  }

  void operator()(const Texts::Values& values) const {
    logger_->info("reqtype={} username={} target={}", values.reqtype, values.username, values.target);
  }

 private:
  std::shared_ptr<spdlog::logger> logger_;
};

}  // namespace

bool has_spdlog() noexcept {
  return true;
}

Json spdlog_calls(const Json& request) {
  const Texts texts;
  const Peer peer;
  return to_json(
      time_calls(texts, request.at("calls"), 1, [&](const Texts::Values& values) { peer(values); }));
}

Json spdlog_trace_calls(const Json& request) {
  const Texts texts;
  const Peer peer;
  int stock = 0;
  return to_json(time_calls(texts, request.at("calls"), 1,
                            [&](const Texts::Values& values) { peer.trace(values, stock++); }));
}

Json spdlog_burst(const Json& request) {
  const Texts texts;
  const Peer peer;
  return {{"rate", burst(texts, request.at("threads"), request.at("calls"),
                         [&](const Texts::Values& values) { peer(values); })}};
}

}  // namespace codewake::cli::bench

#else

namespace codewake::cli::bench {

bool has_spdlog() noexcept {
  return false;
}

Json spdlog_calls(const Json&) {
  throw Error("this program was built without spdlog");
}

Json spdlog_trace_calls(const Json&) {
  throw Error("this program was built without spdlog");
}

Json spdlog_burst(const Json&) {
  throw Error("this program was built without spdlog");
}

}  // namespace codewake::cli::bench

#endif
