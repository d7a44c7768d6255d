#include "bench/passes.hpp"

#include <fmt/format.h>

#include <array>
#include <string>
#include <string_view>

#include "codewake/errors.hpp"

namespace codewake::cli::bench {
namespace {

struct Pass {
  std::string_view name;
  Json (*run)(const Json& request);
};

constexpr std::array<Pass, 22> kPasses = {{{"log_calls", log_calls},
                                           {"spdlog_calls", spdlog_calls},
                                           {"quill_calls", quill_calls},
                                           {"log_burst", log_burst},
                                           {"spdlog_burst", spdlog_burst},
                                           {"quill_burst", quill_burst},
                                           {"log_sustained", log_sustained},
                                           {"sqlite_commit", sqlite_commit},
                                           {"trace_calls", trace_calls},
                                           {"spdlog_trace_calls", spdlog_trace_calls},
                                           {"trace_costs", trace_costs},
                                           {"sqlite_trace_commit", sqlite_trace_commit},
                                           {"race_analysis", race_analysis},
                                           {"raceway_write", raceway_write},
                                           {"raceway_queue", raceway_queue},
                                           {"sqlite_queries", sqlite_queries},
                                           {"postgres_commit", postgres_commit},
                                           {"postgres_queries", postgres_queries},
                                           {"capture_stack", capture_stack},
                                           {"throw_exceptions", throw_exceptions},
                                           {"symbolize_frames", symbolize_frames},
                                           {"symbolize_memory", symbolize_memory}}};

}  // namespace

Json run_pass(const Json& request) {
  const auto name = request.at("pass").get<std::string>();
  for (const Pass& pass : kPasses) {
    if (pass.name == name) return pass.run(request);
  }
  throw Error(fmt::format("there is no pass {}", name));
}

}  // namespace codewake::cli::bench
