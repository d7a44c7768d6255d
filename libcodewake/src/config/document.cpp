#include "config/document.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yaml-cpp/depthguard.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <set>
#include <sstream>
#include <system_error>
#include <utility>

#include "base/file_descriptor.hpp"
#include "codewake/errors.hpp"
#include "codewake/utf8.hpp"
#include "config/masked.hpp"

// Only sections and keys of the table are looked into, so the depth of the walk is the depth of the table:
// aliases, even those that nest without end, are followed no further.
namespace codewake::internal {
namespace {

constexpr std::size_t kLongestFile = 1 << 20;

std::string reason(int error) {
  return std::generic_category().message(error);
}

// yaml-cpp counts lines and columns from 0, and gives -1 where it knows none.
ConfigError::Place place_at(std::string_view source, const YAML::Mark& mark, std::string_view key = {}) {
  return {std::string(source), mark.line + 1, mark.column + 1, on_one_line(key)};
}

// yaml-cpp takes control characters for text, one of them (U+0004) for the end of the file, and mends bad
// UTF-8.
void check_characters(std::string_view text, std::string_view source) {
  int line = 1;
  std::size_t begin = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const auto c = static_cast<unsigned char>(text[at]);
    if ((c < ' ' && c != '\t' && c != '\n' && c != '\r') || c == 0x7F) {
      throw ConfigError({std::string(source), line, static_cast<int>(at - begin) + 1, ""},
                        fmt::format("a control character (0x{:02x}) stands here; remove it", c));
    }
    if (c != '\n' && at + 1 < text.size()) continue;
    if (!is_storable(text.substr(begin, at + 1 - begin))) {
      throw ConfigError({std::string(source), line, 0, ""}, "this line is not UTF-8; save the file as UTF-8");
    }
    begin = at + 1;
    ++line;
  }
}

// A line, counted from 0, with all that follows.
std::string_view from_line(std::string_view text, int line) {
  for (int i = 0; i < line; ++i) text.remove_prefix(std::min(text.find('\n') + 1, text.size()));
  return text;
}

bool is_indented_with_tab(std::string_view yaml, int line) {
  const std::string_view text = from_line(yaml, line);
  return text.substr(0, text.find_first_not_of(" \t")).find('\t') != std::string_view::npos;
}

// Where the first two documents begin. YAML::LoadAll would say so too, but never comes to an end for text
// such as ",a", where the parser gives one empty document after the other.
class DocumentMarks : public YAML::EventHandler {
 public:
  explicit DocumentMarks(const std::string& yaml) {
    std::istringstream stream(yaml);
    YAML::Parser parser(stream);
    while (marks_.size() < 2 && parser.HandleNextDocument(*this)) continue;
  }

  const std::vector<YAML::Mark>& marks() const noexcept { return marks_; }

  void OnDocumentStart(const YAML::Mark& mark) override { marks_.push_back(mark); }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t, const std::string&) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {
  }
  void OnMapEnd() override {}

 private:
  std::vector<YAML::Mark> marks_;
};

YAML::Node load(const std::string& yaml, std::string_view source) {
  try {
    const std::vector<YAML::Mark> marks = DocumentMarks(yaml).marks();
    if (marks.size() > 1 && !from_line(yaml, marks[1].line).starts_with("---")) {
      throw YAML::ParserException(marks[1], "unexpected text");
    }
    if (marks.size() > 1) {
      throw ConfigError(place_at(source, marks[1]),
                        "a second YAML document begins here; keep all in one, without the line ---");
    }
    return YAML::Load(yaml);
  } catch (const YAML::DeepRecursion& error) {
    throw ConfigError(place_at(source, error.mark), "broken YAML: it nests too deeply; use fewer levels");
  } catch (const YAML::Exception& error) {
    const bool tab = !error.mark.is_null() && is_indented_with_tab(yaml, error.mark.line);
    throw ConfigError(place_at(source, error.mark),
                      fmt::format("broken YAML: {}; {}", error.msg,
                                  tab ? "indent with spaces, not with tabs"
                                      : "check the indentation, colons and quotes here"));
  }
}

// Walks through the sections that are known.
class Walker {
 public:
  explicit Walker(std::string_view source) : source_(source) {}

  Document walk(const YAML::Node& root) {
    if (root.IsDefined() && !root.IsNull()) walk_section(root, "");
    return std::move(document_);
  }

 private:
  void walk_section(const YAML::Node& section, const std::string& name) {
    if (!section.IsMap()) {
      fail(section, name,
           fmt::format("{} does not fit; write {}", subject(section),
                       name.empty() ? "sections with keys, such as store: {adapter: …}"
                                    : fmt::format("keys with values; the keys here are {}", keys_of(name))));
    }
    for (const auto& entry : section) walk_entry(entry.first, entry.second, name.empty() ? name : name + ".");
  }

  void walk_entry(const YAML::Node& key_node, const YAML::Node& value, const std::string& prefix) {
    if (!key_node.IsScalar()) fail(key_node, prefix, "a key must be text; write a name before the colon");
    const std::string name = prefix + key_node.Scalar();
    if (key_node.Scalar() == "<<") fail(key_node, name, "merge keys are not understood; write the keys out");
    const Key* key = find_key(name);
    const bool section = is_section(name);
    if (key == nullptr && !section) return walk_unknown(key_node, name, prefix.empty());
    if (!seen_.insert(name).second)
      fail(key_node, name, "the key stands here a second time; remove one of them");
    if (value.IsNull()) return;
    if (section) return walk_section(value, name);
    document_.values.push_back({key, written(value, *key), key_node.Mark().line + 1});
  }

  void walk_unknown(const YAML::Node& node, const std::string& name, bool top_level) {
    if (top_level) {
      std::vector<std::string>& sections = document_.foreign_sections;
      if (std::ranges::find(sections, name) == sections.end()) sections.push_back(name);
      return;
    }
    const std::string_view nearest = nearest_key(name);
    const std::string section = name.substr(0, name.rfind('.'));
    fail(node, name,
         nearest.empty() ? fmt::format("unknown key; the keys here are {}", keys_of(section))
                         : fmt::format("unknown key; did you mean {}?", nearest));
  }

  Written written(const YAML::Node& node, const Key& key) const {
    Written result{.place = place_at(source_, node.Mark(), key.name)};
    if (node.IsMap()) fail(node, key.name, fmt::format("a map does not fit; write {}", expected_of(key)));
    if (node.IsScalar()) {
      result.form = form_of(node, key.name);
      result.text = node.Scalar();
      return result;
    }
    result.form = Written::Form::list;
    for (const YAML::Node& item : node) {
      if (!item.IsScalar())
        fail(item, key.name, fmt::format("{} does not fit in a list; write text", subject(item)));
      form_of(item, key.name);
      result.items.push_back(item.Scalar());
    }
    return result;
  }

  // Which tag a scalar has says whether it stood in quotes: `?` is plain, `!` is not.
  Written::Form form_of(const YAML::Node& node, std::string_view key) const {
    constexpr std::string_view core = "tag:yaml.org,2002:";
    if (node.Scalar().find('\0') != std::string::npos)
      fail(node, key, "the text holds a NUL character; remove it");
    const std::string& tag = node.Tag();
    if (tag == "?" || tag.empty()) return Written::Form::plain;
    if (tag == "!" || tag == "tag:yaml.org,2002:str") return Written::Form::quoted;
    for (const std::string_view plain : {"bool", "int", "float"}) {
      if (tag.starts_with(core) && tag.substr(core.size()) == plain) return Written::Form::plain;
    }
    fail(node, key, fmt::format("the tag {} means nothing here; remove it", shown(tag)));
  }

  static std::string expected_of(const Key& key) {
    Config config;
    return expected(key.setting(config));
  }

  static std::string subject(const YAML::Node& node) {
    if (node.IsMap()) return "a map";
    if (node.IsSequence()) return "a list";
    return node.IsNull() ? "null" : shown(node.Scalar());
  }

  [[noreturn]] void fail(const YAML::Node& node, std::string_view key, std::string_view message) const {
    while (key.ends_with('.')) key.remove_suffix(1);
    throw ConfigError(place_at(source_, node.Mark(), key), message);
  }

  std::string_view source_;
  std::set<std::string> seen_;
  Document document_;
};

}  // namespace

std::optional<std::string> read_config_file(const std::filesystem::path& path) {
  const auto fail = [&path](std::string_view message) { throw ConfigError({path.string()}, message); };
  const FileDescriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.number() < 0 && (errno == ENOENT || errno == ENOTDIR)) return std::nullopt;
  if (file.number() < 0)
    fail(fmt::format("cannot be read: {}; make it readable for this user", reason(errno)));

  std::string text(kLongestFile + 1, '\0');
  std::size_t length = 0;
  while (length < text.size()) {
    const ssize_t count = read(file.number(), text.data() + length, text.size() - length);
    if (count == 0) break;
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EISDIR) fail("is a folder; put a file in its place");
    if (count < 0) fail(fmt::format("cannot be read: {}", reason(errno)));
    length += static_cast<std::size_t>(count);
  }
  if (length > kLongestFile) fail("is longer than 1 MiB; is it a configuration?");
  text.resize(length);
  return text;
}

Document parse_document(std::string_view yaml, std::string_view source) {
  if (yaml.size() > kLongestFile)
    throw ConfigError({std::string(source)}, "is longer than 1 MiB; is it a configuration?");
  check_characters(yaml, source);
  return Walker(source).walk(load(std::string(yaml), source));
}

}  // namespace codewake::internal
