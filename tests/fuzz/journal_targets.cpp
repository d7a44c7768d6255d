#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "base/crc32c.hpp"
#include "codewake/stacktrace.hpp"
#include "fuzz/journal_repair.hpp"
#include "fuzz/targets.hpp"
#include "journal/dead_journal.hpp"
#include "journal/event_codec.hpp"
#include "journal/format.hpp"
#include "journal/lane.hpp"
#include "journal/record_scanner.hpp"
#include "support/temporary_folder.hpp"

namespace codewake::testing {
namespace {

using namespace codewake::internal;

void require(bool holds, const char* what) {
  if (!holds) throw std::logic_error(what);
}

void check_payload(std::span<const char> payload) {
  DecodedEvent event;
  if (decode_event(payload, event)) {
    for (const AttributeArgument& attribute : event.data) {
      char buffer[Value::kMaxNumberLength];
      require(attribute.value.to_text(buffer).size() <= payload.size() + sizeof buffer,
              "a value is too long");
    }
    std::optional<Stacktrace> stack;
    if (event.has_stacktrace && event.frames) stack.emplace(*event.frames);
    const EventInput again{
        .process_id = event.process_id,
        .data = event.has_data ? std::optional(std::span<const AttributeArgument>(event.data)) : std::nullopt,
        .when = event.when,
        .stacktrace = stack ? &*stack : nullptr,
        .trace = event.trace ? &*event.trace : nullptr};
    std::string encoded(encoded_size(again) + kEncodingSlack, '\0');
    char* const end = encode_event(again, encoded.data(), encoded.data() + encoded.size());
    require(end != nullptr, "an event does not fit where it should");
    encoded.resize(static_cast<std::size_t>(end - encoded.data()));
    DecodedEvent twice;
    require(decode_event(encoded, twice), "an event cannot be written again");
    require(twice.data.size() == (event.has_data ? event.data.size() : 0),
            "an event differs when written again");
  }
  if (const auto process = decode_process(payload)) {
    require(decode_process(encode_process(*process)) == process, "a process differs when written again");
  }
}

// Lanes go on, and never back.
class Order {
 public:
  void add(const Record& record) {
    require(record.next_position - record.position == record.header.length_bytes,
            "a record's end is not its end");
    const auto [last, is_first] = ends_.try_emplace(record.lane, record.next_position);
    if (is_first) return;
    require(record.position >= last->second, "a record comes twice, or too late");
    last->second = record.next_position;
  }

 private:
  std::map<std::uint32_t, std::uint64_t> ends_;
};

}  // namespace

void fuzz_records(std::string_view input) {
  if (input.size() < 3) return;
  const auto lane = static_cast<unsigned char>(input[0]);
  const std::uint64_t position = std::uint64_t{8} * static_cast<unsigned char>(input[1]);
  const bool repair = (input[2] & 1) != 0;
  input.remove_prefix(3);
  std::vector<std::uint64_t> words((input.size() + 7) / 8);
  if (!input.empty()) std::memcpy(words.data(), input.data(), input.size());
  const std::span bytes(reinterpret_cast<char*>(words.data()), input.size());
  if (repair) repair_records(bytes, lane, position);
  check_payload({input.data(), input.size()});
  RecordScanner scanner(bytes, lane, position);
  Order order;
  std::uint64_t read = 0;
  while (const auto record = scanner.peek()) {
    order.add(*record);
    require(record->payload.data() >= bytes.data() &&
                record->payload.data() + record->payload.size() <= bytes.data() + bytes.size(),
            "a payload lies outside of the bytes");
    check_payload(record->payload);
    read += record->header.length_bytes;
    scanner.pop();
  }
  require(read + scanner.skipped_bytes() + scanner.torn_bytes() <= bytes.size(),
          "more was read than there is");
}

void fuzz_journal(std::string_view input) {
  static const TemporaryFolder folder;
  static const std::filesystem::path run = folder / "run";
  if (input.empty()) return;
  const bool is_front = (input[0] & 1) != 0;
  const bool repair = (input[0] & 2) != 0;
  std::string bytes(input.substr(1));
  if (repair && is_front) repair_front(bytes);
  if (repair && !is_front) repair_spill(bytes);
  std::filesystem::create_directory(run);
  std::filesystem::remove(run / "front");
  std::filesystem::remove(run / "spill-000001");
  std::ofstream(run / (is_front ? "front" : "spill-000001"), std::ios::binary) << bytes;
  const auto root = std::make_shared<const Folder>(Folder::open(folder.path()));
  const auto journal = DeadJournal::take_over({root}, "run");
  require(journal != nullptr, "a folder without an owner is not taken over");
  journal->open();
  Order order;
  std::size_t left = bytes.size() / sizeof(RecordHeader) + 1;
  journal->collect([&](const TakenRecord& record) {
    require(left-- != 0, "there are more records than bytes");
    order.add(record);
    std::string content;
    if ((record.header.flags & kExternal) != 0) {
      require(static_cast<bool>(journal->read_external(record, content)), "a file is read that there is not");
    }
    check_payload(record.payload);
    return true;
  });
  require(journal->is_at_end(), "something is left behind the end");
}

}  // namespace codewake::testing
