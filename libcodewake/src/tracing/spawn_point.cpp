#include <exception>
#include <mutex>
#include <typeinfo>
#include <utility>

#include "base/json_text.hpp"
#include "base/random.hpp"
#include "codewake/trace_tasks.hpp"
#include "stacktrace/demangle.hpp"
#include "tracing/tracer_core.hpp"

namespace codewake::internal {
namespace {

void append_id(std::string& data, const char* key, const TraceEventId& id) {
  data += key;
  append_json_string(data, to_uuid(id));
}

class SpawnPointOfTrace final : public SpawnPoint {
 public:
  SpawnPointOfTrace(Execution& parent, std::string_view task, const SourceLocation& location)
      : core_(parent.core()), trace_(parent.trace()), task_(task) {
    make_uuid(id_.bytes);
    const std::lock_guard lock(parent.mutex());
    event_ = core_->record(parent, {.kind = TraceKind::async_spawn, .name = task_}, location,
                           [&](std::string& data) { append_id(data, "\"task_id\":", id_); });
    upstream_ = parent.tie().span_id;
    known_ = parent.clock();
  }

  Context begin() override { return core_->begin_child(trace_, upstream_, event_, known_); }

  void end(const Context& context) override {
    const VectorClock clock = context.clock();
    const std::lock_guard lock(mutex_);
    ended_.merge(clock);
  }

  void note_exception(const Context& context, const std::exception* exception) override {
    Execution& execution = *TracerCore::peek(context);
    const std::string type = exception == nullptr ? "unknown" : demangle(typeid(*exception).name());
    const std::lock_guard lock(execution.mutex());
    core_->record(
        execution, {.kind = TraceKind::error, .name = type}, SourceLocation(), [&](std::string& data) {
          data += "\"message\":";
          append_json_string(
              data, exception == nullptr ? "an exception that is no std::exception" : exception->what());
          data += ",\"stack_trace\":[]";
        });
  }

  void join(const SourceLocation& location) override {
    Execution* const execution = current_execution;
    if (execution == nullptr || execution->core() != core_) return;
    VectorClock ended;
    {
      const std::lock_guard lock(mutex_);
      ended = ended_;
    }
    const std::lock_guard lock(execution->mutex());
    execution->merge(ended);
    core_->record(*execution, {.kind = TraceKind::async_await, .name = task_}, location,
                  [&](std::string& data) { append_id(data, "\"future_id\":", id_); });
  }

 private:
  const std::shared_ptr<TracerCore> core_;
  const TraceContext trace_;
  const std::string task_;
  TraceEventId id_, event_;
  SpanId upstream_;
  VectorClock known_;

  std::mutex mutex_;
  VectorClock ended_;
};

}  // namespace

std::shared_ptr<SpawnPoint> SpawnPoint::make(std::string_view task, const SourceLocation& location) {
  Execution* const execution = current_execution;
  if (execution == nullptr) return nullptr;
  return std::make_shared<SpawnPointOfTrace>(*execution, task, location);
}

}  // namespace codewake::internal
