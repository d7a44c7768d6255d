#include "queue/modules_note.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <utility>

#include "base/json_text.hpp"
#include "stacktrace/symbolizer.hpp"

namespace codewake::internal {
namespace {

using Json = nlohmann::json;
using Limits = ModulesNoteLimits;

bool is_build_id(std::string_view text) {
  return text.size() <= Limits::kBuildIdDigits &&
         text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

bool is_within_limits(const Module& module) {
  return module.path.size() <= Limits::kPathBytes && is_build_id(module.build_id);
}

std::string entry_of(const Module& module) {
  std::string entry =
      fmt::format(R"({{"base":{},"begin":{},"end":{})", module.base, module.begin, module.end);
  if (module.since != 0) entry += fmt::format(R"(,"since":{})", module.since);
  if (module.until != Module::kLoaded) entry += fmt::format(R"(,"until":{})", module.until);
  entry += R"(,"build_id":)";
  append_json_string(entry, module.build_id);
  entry += R"(,"path":)";
  append_json_string(entry, module.path);
  return entry + '}';
}

// Takes the modules out of the text as it is read: whatever else is there is never in memory as a whole. Each
// function's result is whether reading goes on.
class ModulesReader final : public Json::json_sax_t {
 public:
  bool null() override { return add_other(); }
  bool boolean(bool) override { return add_other(); }
  bool number_integer(number_integer_t) override { return add_other(); }
  bool number_float(number_float_t, const string_t&) override { return add_other(); }
  bool binary(binary_t&) override { return add_other(); }

  bool number_unsigned(number_unsigned_t value) override {
    if (depth_ == kEntry && key_ == "base") return add(base_, value);
    if (depth_ == kEntry && key_ == "begin") return add(begin_, value);
    if (depth_ == kEntry && key_ == "end") return add(end_, value);
    if (depth_ == kEntry && key_ == "since") return add(since_, value);
    if (depth_ == kEntry && key_ == "until") return add(until_, value);
    return add_other();
  }

  bool string(string_t& value) override {
    if (depth_ == kEntry && key_ == "path") return add(path_, value);
    if (depth_ == kEntry && key_ == "build_id") return add(build_id_, value);
    return add_other();
  }

  bool key(string_t& value) override {
    if (depth_ == kEntry) key_ = value.size() <= kLongestKey ? value : string_t();
    return true;
  }

  bool start_array(std::size_t) override { return add_other() && ++depth_ <= Limits::kDepth; }
  bool end_array() override {
    --depth_;
    return true;
  }

  bool start_object(std::size_t) override {
    if (depth_ == 0 || !add_other()) return false;  // the note is an array
    if (++depth_ == kEntry) *this = ModulesReader(std::move(modules_));
    return depth_ <= Limits::kDepth;
  }
  bool end_object() override {
    if (depth_-- == kEntry) end_entry();
    return !is_full();
  }

  bool parse_error(std::size_t, const std::string&, const Json::exception&) override { return false; }

  bool is_full() const { return modules_.size() >= Limits::kModules; }
  std::vector<Module> take() { return std::move(modules_); }

  ModulesReader() = default;

 private:
  static constexpr std::size_t kEntry = 2;  // the depth within an entry
  static constexpr std::size_t kLongestKey = 16;

  explicit ModulesReader(std::vector<Module> modules) : depth_(kEntry), modules_(std::move(modules)) {}

  template <class Field, class Value>
  bool add(Field& field, Value&& value) {
    field = std::forward<Value>(value);
    return true;
  }

  // A value of another kind than the key's.
  bool add_other() {
    if (depth_ != kEntry) return true;
    if (key_ == "path") path_.reset();
    if (key_ == "build_id") build_id_.reset();
    if (key_ == "base") base_.reset();
    if (key_ == "begin") begin_.reset();
    if (key_ == "end") end_.reset();
    if (key_ == "since") since_.reset();
    if (key_ == "until") until_.reset();
    return true;
  }

  void end_entry() {
    if (!path_ || !build_id_ || !base_ || !begin_ || !end_) return;  // its frames are of an unknown module
    Module module;
    module.path = std::move(*path_);
    module.build_id = std::move(*build_id_);
    module.base = *base_;
    module.begin = *begin_;
    module.end = *end_;
    // Where it is not said, it was there all the time.
    constexpr std::uint64_t kMost = Module::kLoaded;
    module.since = static_cast<std::uint32_t>(std::min(since_.value_or(0), kMost));
    module.until = static_cast<std::uint32_t>(std::min(until_.value_or(kMost), kMost));
    if (!is_within_limits(module)) return;
    module.identity = module.identify();
    modules_.push_back(std::move(module));
  }

  std::size_t depth_ = 0;
  string_t key_;
  std::optional<std::string> path_;
  std::optional<std::string> build_id_;
  std::optional<std::uint64_t> base_;
  std::optional<std::uint64_t> begin_;
  std::optional<std::uint64_t> end_;
  std::optional<std::uint64_t> since_;
  std::optional<std::uint64_t> until_;
  std::vector<Module> modules_;
};

}  // namespace

std::string write_modules(const std::vector<Module>& loaded, const std::vector<Module>& gone) {
  std::string note = "[";
  std::size_t count = 0;
  for (const std::vector<Module>* const modules : {&loaded, &gone}) {
    for (const Module& module : *modules) {
      if (!is_within_limits(module)) continue;
      const std::string entry = entry_of(module);
      if (++count > Limits::kModules || note.size() + entry.size() + 2 > Limits::kTextBytes) break;
      if (note.size() > 1) note += ',';
      note += entry;
    }
  }
  return note + "]";
}

void ModulesNote::keep(const Folder& folder) noexcept try {
  if (!modules_.refresh() && is_written_) return;
  is_written_ = true;
  const std::string temporary = std::string(kModulesFile) + ".new";
  static_cast<void>(folder.remove_file(temporary));  // where it stays, the next line fails
  if (folder.write_new_file(temporary, write_modules(modules_.all(), modules_.gone()), false)) return;
  static_cast<void>(folder.rename(temporary, kModulesFile));  // where it fails, stacks say less
} catch (const std::exception&) {
}

std::vector<Module> read_modules(const std::string& note) {
  if (note.size() > Limits::kTextBytes) return {};
  ModulesReader reader;
  if (!Json::sax_parse(note, &reader) && !reader.is_full()) return {};
  return reader.take();
}

Stacktrace stack_of(const CapturedStack& stack, const std::vector<Module>& modules) {
  return Stacktrace(symbolize(stack.addresses, modules, stack.epoch));
}

}  // namespace codewake::internal
