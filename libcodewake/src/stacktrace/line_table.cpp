#include "stacktrace/line_table.hpp"

#include <dwarf.h>

#include <algorithm>
#include <array>
#include <utility>

#include "stacktrace/unwind/table_reader.hpp"

namespace codewake::internal {
namespace {

constexpr std::uint32_t kWideLength = 0xFFFF'FFFF;  // the length follows, and offsets have eight bytes
constexpr std::size_t kMostFiles = 1u << 16;
constexpr std::size_t kMostPathBytes = 4096;
constexpr std::size_t kMostNameBytes = 8u << 20;  // of all folders and files
constexpr std::size_t kMostFormats = 16;

TableReader reader_of(std::string_view bytes) {
  const auto begin = reinterpret_cast<std::uintptr_t>(bytes.data());
  return {begin, begin + bytes.size()};
}

std::string_view text_at(std::string_view section, std::uint64_t offset) {
  if (offset >= section.size()) return {};
  const std::string_view rest = section.substr(offset, kMostPathBytes);
  return rest.substr(0, std::min(rest.find('\0'), rest.size()));
}

std::string_view take_text(TableReader& in) {
  const char* const begin = reinterpret_cast<const char*>(in.at());
  const std::string_view text = text_at({begin, in.end() - in.at()}, 0);
  in.skip(text.size() + 1);
  return in.failed() ? std::string_view() : text;
}

/// What a table begins with.
struct Header {
  bool is_wide = false;  // offsets have eight bytes
  std::uint16_t version = 0;
  std::uint8_t step_bytes = 1;     // of the shortest instruction
  std::uint8_t steps_at_once = 1;  // of a word of several instructions
  std::int8_t line_base = 0;
  std::uint8_t line_range = 1;
  std::uint8_t first_special = 1;
  std::array<std::uint8_t, 256> operands{};  // of the standard operation of this number
};

std::uint64_t take_offset(TableReader& in, bool is_wide) {
  return is_wide ? in.take<std::uint64_t>() : in.take<std::uint32_t>();
}

/// Reads the names of folders and files.
class NameReader {
 public:
  NameReader(const LineSections& sections, const Header& header, TableReader& in)
      : sections_(sections), header_(header), in_(in) {}

  std::vector<std::string> files() {
    if (header_.version >= 5) {
      folders_ = names();
      return names();
    }
    folders_.emplace_back();  // the unit's own
    for (std::string_view folder; !(folder = take_text(in_)).empty() && folders_.size() < kMostFiles;)
      folders_.emplace_back(folder);
    std::vector<std::string> files(1);  // the first is number one
    for (std::string_view file; !(file = take_text(in_)).empty() && files.size() < kMostFiles;) {
      const std::uint64_t folder = in_.take_uleb();
      in_.take_uleb();  // when it was changed
      in_.take_uleb();  // its size
      files.push_back(path_of(file, folder));
    }
    return files;
  }

 private:
  using Format = std::pair<std::uint64_t, std::uint64_t>;  // what it is, and in which form

  // The first time of folders, the second time of files, which are in those.
  std::vector<std::string> names() {
    std::vector<Format> formats(in_.take<std::uint8_t>());
    for (Format& format : formats) {
      format.first = in_.take_uleb();
      format.second = in_.take_uleb();
    }
    const std::uint64_t count = in_.take_uleb();
    std::vector<std::string> names;
    if (formats.size() > kMostFormats) return in_.fail(), names;
    while (names.size() < count && !in_.is_at_end() && names.size() < kMostFiles) {
      std::string_view name;
      std::uint64_t folder = 0;
      for (const auto& [what, form] : formats) {
        if (what == DW_LNCT_path) {
          name = take_name(form);
        } else if (what == DW_LNCT_directory_index) {
          folder = take_number(form);
        } else {
          skip(form);
        }
      }
      names.push_back(path_of(name, folder));
    }
    return names;
  }

  std::string path_of(std::string_view name, std::uint64_t folder) {
    std::string path;
    if (!name.starts_with('/') && folder < folders_.size() && !folders_[folder].empty()) {
      path = folders_[folder];
      if (folder != 0 && !path.starts_with('/') && !folders_[0].empty()) path = folders_[0] + "/" + path;
      path += '/';
    }
    path += name;
    name_bytes_ += path.size();
    if (name_bytes_ > kMostNameBytes) in_.fail();
    return path;
  }

  std::string_view take_name(std::uint64_t form) {
    switch (form) {
      case DW_FORM_string:
        return take_text(in_);
      case DW_FORM_line_strp:
        return text_at(sections_.line_strings, take_offset(in_, header_.is_wide));
      case DW_FORM_strp:
        return text_at(sections_.strings, take_offset(in_, header_.is_wide));
      default:
        in_.fail();
        return {};
    }
  }

  std::uint64_t take_number(std::uint64_t form) {
    switch (form) {
      case DW_FORM_data1:
        return in_.take<std::uint8_t>();
      case DW_FORM_data2:
        return in_.take<std::uint16_t>();
      case DW_FORM_data4:
        return in_.take<std::uint32_t>();
      case DW_FORM_data8:
        return in_.take<std::uint64_t>();
      case DW_FORM_udata:
        return in_.take_uleb();
      default:
        in_.fail();
        return 0;
    }
  }

  void skip(std::uint64_t form) {
    switch (form) {
      case DW_FORM_data16:
        return in_.skip(16);
      case DW_FORM_block:
        return in_.skip(in_.take_uleb());
      case DW_FORM_string:
      case DW_FORM_line_strp:
      case DW_FORM_strp:
        return static_cast<void>(take_name(form));
      default:
        static_cast<void>(take_number(form));
    }
  }

  const LineSections& sections_;
  const Header& header_;
  TableReader& in_;
  std::vector<std::string> folders_;
  std::size_t name_bytes_ = 0;
};

/// Runs the program that a table is written as.
class LineProgram {
 public:
  LineProgram(const Header& header, TableReader in, const std::function<bool(std::uint64_t)>& is_code)
      : header_(header), in_(in), is_code_(is_code) {}

  std::vector<LineRow> rows() {
    while (!in_.is_at_end()) {
      const auto operation = in_.take<std::uint8_t>();
      if (operation >= header_.first_special) {
        const unsigned special = operation - header_.first_special;
        advance(special / header_.line_range);
        row_.line +=
            static_cast<std::uint32_t>(header_.line_base + static_cast<int>(special % header_.line_range));
        add_row();
      } else if (operation == 0) {
        run_extended();
      } else {
        run_standard(operation);
      }
    }
    end_sequence();
    std::stable_sort(rows_.begin(), rows_.end(), [](const LineRow& a, const LineRow& b) {
      return std::pair(a.address, !a.is_end) < std::pair(b.address, !b.is_end);
    });
    return std::move(rows_);
  }

 private:
  static constexpr LineRow kFirst{.line = 1, .file = 1};

  void advance(std::uint64_t steps) {
    const std::uint64_t all = step_ + steps;
    row_.address += header_.step_bytes * (all / header_.steps_at_once);
    step_ = all % header_.steps_at_once;
  }

  void add_row() { rows_.push_back(row_); }

  void end_sequence() {
    if (sequence_ < rows_.size() && !is_code_(rows_[sequence_].address)) rows_.resize(sequence_);
    sequence_ = rows_.size();
    row_ = kFirst;
    step_ = 0;
  }

  void run_standard(std::uint8_t operation) {
    switch (operation) {
      case DW_LNS_copy:
        return add_row();
      case DW_LNS_advance_pc:
        return advance(in_.take_uleb());
      case DW_LNS_advance_line:
        row_.line += static_cast<std::uint32_t>(in_.take_sleb());
        return;
      case DW_LNS_set_file:
        row_.file = static_cast<std::uint32_t>(std::min<std::uint64_t>(in_.take_uleb(), UINT32_MAX));
        return;
      case DW_LNS_const_add_pc:
        return advance((255u - header_.first_special) / header_.line_range);
      case DW_LNS_fixed_advance_pc:
        row_.address += in_.take<std::uint16_t>();
        step_ = 0;
        return;
      default:  // says nothing of lines, or is of a later version
        for (unsigned i = 0; i < header_.operands[operation]; ++i) in_.take_uleb();
    }
  }

  void run_extended() {
    const std::uint64_t size = in_.take_uleb();
    if (size == 0 || size > in_.end() - in_.at()) return in_.fail();
    TableReader operands(in_.at(), in_.at() + size);
    in_.skip(size);
    switch (operands.take<std::uint8_t>()) {
      case DW_LNE_end_sequence:
        // Of no code: in the order of addresses they would come behind the end.
        while (rows_.size() > sequence_ && rows_.back().address >= row_.address) rows_.pop_back();
        if (rows_.size() == sequence_) return end_sequence();
        row_.is_end = true;
        add_row();
        return end_sequence();
      case DW_LNE_set_address:
        row_.address = size == 1 + sizeof(std::uint32_t) ? operands.take<std::uint32_t>()
                                                         : operands.take<std::uint64_t>();
        step_ = 0;
        return;
      default:
        return;
    }
  }

  const Header& header_;
  TableReader in_;
  const std::function<bool(std::uint64_t)>& is_code_;
  std::vector<LineRow> rows_;
  std::size_t sequence_ = 0;  // where the one that goes on begins
  LineRow row_ = kFirst;
  std::uint64_t step_ = 0;  // within a word of several instructions
};

// Up to the names; where the program begins is the result.
std::uintptr_t read_header(TableReader& in, Header& header) {
  header.version = in.take<std::uint16_t>();
  if (header.version < 2 || header.version > 5) in.fail();
  if (header.version >= 5) in.skip(2);  // the sizes of an address, and of a segment's
  const std::uint64_t bytes = take_offset(in, header.is_wide);
  const std::uintptr_t program = bytes > in.end() - in.at() ? in.end() : in.at() + bytes;
  header.step_bytes = in.take<std::uint8_t>();
  if (header.version >= 4) header.steps_at_once = in.take<std::uint8_t>();
  in.skip(1);  // whether rows begin statements
  header.line_base = in.take<std::int8_t>();
  header.line_range = in.take<std::uint8_t>();
  header.first_special = in.take<std::uint8_t>();
  if (header.steps_at_once == 0 || header.line_range == 0 || header.first_special == 0) in.fail();
  for (unsigned i = 1; i < header.first_special; ++i) header.operands[i] = in.take<std::uint8_t>();
  return program;
}

}  // namespace

std::optional<std::uint64_t> line_table_bytes(std::string_view lines, std::uint64_t offset) {
  if (offset > lines.size()) return std::nullopt;
  TableReader in = reader_of(lines.substr(offset));
  std::uint64_t bytes = in.take<std::uint32_t>();
  if (bytes == kWideLength) bytes = in.take<std::uint64_t>();
  return in.failed() || bytes > in.end() - in.at() ? std::nullopt : std::optional(bytes);
}

std::optional<LineTable> read_line_table(const LineSections& sections, std::uint64_t offset,
                                         const std::function<bool(std::uint64_t)>& is_code) {
  const auto bytes = line_table_bytes(sections.lines, offset);
  if (!bytes) return std::nullopt;
  Header header;
  TableReader all = reader_of(sections.lines.substr(offset));
  header.is_wide = all.take<std::uint32_t>() == kWideLength;
  if (header.is_wide) all.skip(sizeof(std::uint64_t));
  TableReader in(all.at(), all.at() + *bytes);
  const std::uintptr_t program = read_header(in, header);
  if (in.failed()) return std::nullopt;
  LineTable table;
  TableReader names(in.at(), program);
  table.files = NameReader(sections, header, names).files();
  table.rows = LineProgram(header, TableReader(program, in.end()), is_code).rows();
  return table;
}

}  // namespace codewake::internal
