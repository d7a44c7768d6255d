#include "process/process_tracer.hpp"

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "codewake/plugin.hpp"
#include "tracing/tracer_core.hpp"

namespace codewake::internal {
namespace {

using Deadline = std::chrono::steady_clock::time_point;

std::chrono::nanoseconds left_until(Deadline deadline) {
  return std::max<std::chrono::nanoseconds>(deadline - std::chrono::steady_clock::now(),
                                            std::chrono::nanoseconds(0));
}

std::vector<std::string> server_of(const Config::Tracing& options) {
  using std::chrono::milliseconds;
  std::vector<std::string> parameters = {
      *options.endpoint, "batch_size=" + std::to_string(options.batch_size),
      "flush_interval=" + std::to_string(std::chrono::ceil<milliseconds>(options.flush_interval).count()) +
          "ms"};
  if (options.api_key) parameters.push_back("api_key=" + *options.api_key);
  return parameters;
}

}  // namespace

Tracer& ProcessTracer::get(const ProcessInfo& info) {
  const std::lock_guard lock(mutex_);
  if (tracer_ != nullptr) return *tracer_;
  const Config::Tracing& options = config_.tracing;
  TracerOptions said{.service_name = options.service_name.value_or(info.app_name),
                     .instance_id = options.instance_id.value_or(""),
                     .environment = options.environment.value_or(info.env_name.value_or("development")),
                     .debug = options.debug};
  std::shared_ptr<TracerCore> core;
  if (options.endpoint) {
    auto server =
        load_store("code_wake_raceway_store", "RacewayQueueStore", server_of(options), config_.plugin_path);
    server->insert_process(info, false);
    core = std::make_shared<TracerCore>(std::move(server), std::move(said));
  } else {
    core = std::make_shared<TracerCore>(store_, std::move(said), before_event_);
  }
  tracer_.reset(new Tracer(std::move(core)));
  return *tracer_;
}

std::shared_ptr<Store> ProcessTracer::own_store() const {
  const std::lock_guard lock(mutex_);
  return tracer_ != nullptr && tracer_->store() != store_ ? tracer_->store() : nullptr;
}

bool ProcessTracer::flush(Deadline deadline) const {
  const std::shared_ptr<Store> own = own_store();
  return own == nullptr || own->flush(left_until(deadline));
}

bool ProcessTracer::shutdown(Deadline deadline) const {
  const std::shared_ptr<Store> own = own_store();
  return own == nullptr || own->shutdown(left_until(deadline));
}

}  // namespace codewake::internal
