// quill's logger, the peer of log() on the hot path.
#include "bench/calls.hpp"
#include "bench/passes.hpp"
#include "codewake/errors.hpp"

#ifdef CODEWAKE_BENCH_QUILL

#include <quill/Backend.h>
#include <quill/Frontend.h>
#include <quill/LogMacros.h>
#include <quill/Logger.h>
#include <quill/sinks/FileSink.h>

#include <string>

namespace codewake::cli::bench {
namespace {

/// Frontend, backend and sink are as quill has them by default. The file lies beside the database of log().
class Peer {
 public:
  explicit Peer(const std::string& folder) {
    quill::BackendOptions options;
    options.error_notifier = [](const std::string&) {};  // it reports each queue that grows on stderr
    quill::Backend::start(options);
    logger_ = quill::Frontend::create_or_get_logger(
        "bench", quill::Frontend::create_or_get_sink<quill::FileSink>(folder + "/quill.log"));
  }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;
  ~Peer() { quill::Backend::stop(); }

  void operator()(const Texts::Values& values) const {
    LOG_INFO(logger_, "reqtype={} username={} target={}", values.reqtype, values.username, values.target);
  }

 private:
  quill::Logger* logger_ = nullptr;
};

}  // namespace

bool has_quill() noexcept {
  return true;
}

Json quill_calls(const Json& request) {
  const Texts texts;
  const Peer peer(request.at("folder"));
  return to_json(time_calls(texts, request.at("calls"), request.value("together", 1),
                            [&](const Texts::Values& values) { peer(values); }));
}

Json quill_burst(const Json& request) {
  const Texts texts;
  const Peer peer(request.at("folder"));
  return {{"rate", burst(texts, request.at("threads"), request.at("calls"),
                         [&](const Texts::Values& values) { peer(values); })}};
}

}  // namespace codewake::cli::bench

#else

namespace codewake::cli::bench {

bool has_quill() noexcept {
  return false;
}

Json quill_calls(const Json&) {
  throw Error("this program was built without quill");
}

Json quill_burst(const Json&) {
  throw Error("this program was built without quill");
}

}  // namespace codewake::cli::bench

#endif
