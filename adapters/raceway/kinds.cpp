#include "kinds.hpp"

#include <algorithm>
#include <cstddef>
#include <iterator>

namespace codewake::internal {
namespace {

using Source = FieldSource;
using Type = FieldType;

constexpr KindField kStateChange[] = {{"variable", Source::name},
                                      {"old_value", Source::data, Type::any},
                                      {"new_value", Source::data, Type::any},
                                      {"location", Source::location},
                                      {"access_type", Source::access}};
constexpr KindField kFunctionCall[] = {{"function_name", Source::name},
                                       {"module", Source::data},
                                       {"args", Source::data, Type::any},
                                       {"file", Source::file},
                                       {"line", Source::line}};
constexpr KindField kFunctionReturn[] = {{"function_name", Source::name},
                                         {"return_value", Source::data, Type::any},
                                         {"file", Source::file},
                                         {"line", Source::line}};
constexpr KindField kAsyncSpawn[] = {{"task_id", Source::data, Type::uuid}, {"spawned_by", Source::name}};
constexpr KindField kAsyncAwait[] = {{"future_id", Source::data, Type::uuid},
                                     {"awaited_at", Source::location}};
constexpr KindField kLock[] = {
    {"lock_id", Source::name}, {"lock_type", Source::data}, {"location", Source::location}};
constexpr KindField kMemoryFence[] = {{"ordering", Source::ordering}, {"location", Source::location}};
constexpr KindField kHttpRequest[] = {{"method", Source::data},
                                      {"url", Source::data},
                                      {"headers", Source::data, Type::headers},
                                      {"body", Source::data, Type::any}};
constexpr KindField kHttpResponse[] = {{"status", Source::data, Type::u16},
                                       {"headers", Source::data, Type::headers},
                                       {"body", Source::data, Type::any},
                                       {"duration_ms", Source::data, Type::u64}};
constexpr KindField kDatabaseQuery[] = {
    {"query", Source::data}, {"database", Source::name}, {"duration_ms", Source::data, Type::u64}};
constexpr KindField kDatabaseResult[] = {{"rows_affected", Source::data, Type::u64}};
constexpr KindField kError[] = {
    {"error_type", Source::name}, {"message", Source::data}, {"stack_trace", Source::data, Type::texts}};
constexpr KindField kCustom[] = {{"name", Source::name}, {"data", Source::data, Type::any}};

// In the order of TraceKind, which begins with 1.
constexpr KindShape kShapes[] = {
    {.name = "StateChange", .fields = kStateChange, .has_location = true},
    {.name = "FunctionCall", .fields = kFunctionCall, .has_location = true},
    {.name = "Custom", .custom = "FunctionReturn", .fields = kFunctionReturn, .has_location = true},
    {.name = "AsyncSpawn", .fields = kAsyncSpawn},
    {.name = "AsyncAwait", .fields = kAsyncAwait, .has_location = true},
    {.name = "LockAcquire", .fields = kLock, .has_location = true},
    {.name = "LockRelease", .fields = kLock, .has_location = true},
    {.name = "MemoryFence", .fields = kMemoryFence, .has_location = true},
    {.name = "HttpRequest", .fields = kHttpRequest},
    {.name = "HttpResponse", .fields = kHttpResponse},
    {.name = "DatabaseQuery", .fields = kDatabaseQuery},
    {.name = "DatabaseResult", .fields = kDatabaseResult},
    {.name = "Error", .fields = kError},
    {.name = "Custom", .fields = kCustom}};
static_assert(std::size(kShapes) == kTraceKinds);

constexpr std::string_view kMemoryOrders[] = {"Relaxed", "Acquire", "Release", "AcqRel", "SeqCst"};

}  // namespace

const KindShape* shape_of(TraceKind kind) noexcept {
  const auto number = static_cast<std::size_t>(kind);
  return number >= 1 && number <= kTraceKinds ? &kShapes[number - 1] : nullptr;
}

bool is_memory_order(std::string_view name) noexcept {
  return std::ranges::find(kMemoryOrders, name) != std::ranges::end(kMemoryOrders);
}

}  // namespace codewake::internal
