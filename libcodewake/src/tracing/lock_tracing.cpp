#include <mutex>

#include "base/json_text.hpp"
#include "codewake/traced.hpp"
#include "tracing/lock_clocks.hpp"
#include "tracing/tracer_core.hpp"

namespace codewake::internal {
namespace {

bool is_shared(LockName lock) noexcept {
  return lock.type.ends_with("Read");
}

void record_lock(Execution& execution, TraceKind kind, LockName lock, const SourceLocation& location) {
  execution.core()->record(execution, {.kind = kind, .name = lock.name}, location, [&](std::string& data) {
    data += "\"lock_type\":";
    append_json_string(data, lock.type);
  });
}

}  // namespace

std::shared_ptr<LockClock> make_lock_clock() {
  return std::make_shared<LockClock>();
}

void lock_acquired(LockClock& clock, LockName lock, const SourceLocation& location) {
  Execution* const execution = current_execution;
  if (execution == nullptr) return;
  const std::lock_guard guard(execution->mutex());
  clock.take(*execution, is_shared(lock));
  execution->add_lock(lock.name);
  record_lock(*execution, TraceKind::lock_acquire, lock, location);
}

void lock_released(LockClock& clock, LockName lock, const SourceLocation& location) {
  Execution* const execution = current_execution;
  if (execution == nullptr) return;
  const std::lock_guard guard(execution->mutex());
  record_lock(*execution, TraceKind::lock_release, lock, location);
  execution->remove_lock(lock.name);
  clock.leave(execution->clock(), is_shared(lock));
}

namespace {

void record_access(Execution& execution, std::string_view variable, const TraceValue& old_value,
                   const TraceValue& new_value, Access access, const SourceLocation& location) {
  execution.core()->record(execution, {.kind = TraceKind::state_change, .name = variable, .access = access},
                           location, [&](std::string& data) {
                             data += "\"old_value\":";
                             old_value.append_to(data);
                             data += ",\"new_value\":";
                             new_value.append_to(data);
                           });
}

}  // namespace

void accessed(std::string_view variable, const TraceValue& old_value, const TraceValue& new_value,
              Access access, const SourceLocation& location) {
  Execution* const execution = current_execution;
  if (execution == nullptr) return;
  const std::lock_guard guard(execution->mutex());
  record_access(*execution, variable, old_value, new_value, access, location);
}

void operated(LockClock& clock, std::string_view variable, const SourceLocation& location,
              AtomicChange (*operate)(void*), void* context) {
  Execution* const execution = current_execution;
  if (execution == nullptr) {
    operate(context);
    return;
  }
  const std::scoped_lock guard(execution->mutex(), clock.mutex());
  const AtomicChange change = operate(context);
  if (change.access != Access::atomic_write) execution->merge(clock.published());
  record_access(*execution, variable, change.before, change.after, change.access, location);
  if (change.access != Access::atomic_read) clock.publish(execution->clock());
}

}  // namespace codewake::internal
