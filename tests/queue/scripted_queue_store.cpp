#include "queue/scripted_queue_store.hpp"

#include <span>
#include <utility>

namespace codewake::testing {
namespace {

std::string fresh_name() {
  static std::atomic<int> number{0};
  return "storage of a queue " + std::to_string(++number);
}

}  // namespace

ScriptedBackend::ScriptedBackend(const std::string& name, std::shared_ptr<Script> script)
    : MemoryStore({name}), name_(name), script_(std::move(script)) {}

BatchResult ScriptedBackend::write(const Batch& batch) {
  if (script_ != nullptr) script_->before(batch);
  BatchResult result = MemoryStore::write(batch);
  if (script_ != nullptr) script_->after(batch);
  return result;
}

QueueFixture::QueueFixture() : name_(fresh_name()), storage_({name_}) {}

Config::Queue QueueFixture::options() const {
  Config::Queue options;
  options.journal = journal.path();
  options.interval = std::chrono::milliseconds(1);
  return options;
}

std::shared_ptr<ScriptedQueueStore> QueueFixture::make(const Config::Queue& options) const {
  return std::make_shared<ScriptedQueueStore>(options, name_, script);
}

std::vector<std::string> QueueFixture::values(const std::string& key) {
  std::vector<std::string> values;
  for (const EventRecord& event : storage_.get_events_by_data({})) {
    for (const Attribute& attribute : event.data) {
      if (attribute.key == key) values.push_back(attribute.value.value_or("NULL"));
    }
  }
  return values;
}

void introduce(Store& store) {
  store.insert_process({.app_name = "queue"}, false);
}

std::optional<EventRecord> log(Store& store, std::string_view key, Value value, bool sync) {
  const AttributeArgument argument(key, value);
  return store.insert_event({.data = std::span(&argument, 1)}, sync);
}

std::vector<std::string> numbers(int from, int count) {
  std::vector<std::string> numbers;
  for (int i = from; i < from + count; ++i) numbers.push_back(std::to_string(i));
  return numbers;
}

}  // namespace codewake::testing
