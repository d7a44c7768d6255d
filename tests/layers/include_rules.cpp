#include "layers/include_rules.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <map>
#include <optional>

namespace codewake::testing {

namespace {

// From the lowest to the highest: an include points to the same layer or to a lower one.
constexpr std::array<std::string_view, 10> kLayers = {"base",    "model", "config",  "stacktrace", "store",
                                                      "journal", "queue", "tracing", "watch",      "process"};

// Which layer a public header belongs to. The umbrella, and testing/ beside it, stand on top of everything.
const std::map<std::string_view, std::string_view> kPublicHeaders = {
    {"export", "base"},
    {"time", "base"},
    {"errors", "base"},
    {"source_location", "base"},
    {"trusted_path", "base"},
    {"utf8", "base"},
    {"visible", "base"},
    {"version", "base"},
    {"attributes", "model"},
    {"digest", "model"},
    {"frame", "model"},
    {"records", "model"},
    {"event", "model"},
    {"trace_context", "model"},
    {"trace_event", "model"},
    {"config", "config"},
    {"secret_file", "config"},
    {"stacktrace", "stacktrace"},
    {"throw_hook", "stacktrace"},
    {"store", "store"},
    {"dsn", "store"},
    {"plugin", "store"},
    {"queue_store", "queue"},
    {"recovery", "queue"},
    {"vector_clock", "tracing"},
    {"trace_value", "tracing"},
    {"tracing", "tracing"},
    {"traced", "tracing"},
    {"trace_tasks", "tracing"},
    {"trace_coroutine", "tracing"},
    {"process", "process"},
    {"boost_stacktrace", "process"},
    {"httplib_tracing", "process"},
    {"watching", "process"},
    {"codewake", "process"},
};

constexpr std::string_view kPublicPrefix = "codewake/";
constexpr std::string_view kTestingPrefix = "testing/";

std::optional<std::size_t> rank_of_layer(std::string_view name) {
  const auto found = std::find(kLayers.begin(), kLayers.end(), name);
  if (found == kLayers.end()) return std::nullopt;
  return static_cast<std::size_t>(std::distance(kLayers.begin(), found));
}

std::optional<std::size_t> rank_of_public_header(std::string_view path) {
  path.remove_prefix(kPublicPrefix.size());
  if (path.starts_with(kTestingPrefix)) return kLayers.size() - 1;
  const auto found = kPublicHeaders.find(path.substr(0, path.rfind('.')));
  return found == kPublicHeaders.end() ? std::nullopt : rank_of_layer(found->second);
}

// `codewake/x.hpp` or `layer/x.hpp`, as files of the library include each other.
std::optional<std::size_t> rank_of_include(std::string_view path) {
  if (path.starts_with(kPublicPrefix)) return rank_of_public_header(path);
  return rank_of_layer(path.substr(0, path.find('/')));
}

// Where a file of the library stands; empty for all other files.
struct Home {
  bool in_library = false;
  bool is_public = false;
  std::optional<std::size_t> rank;
};

Home home_of(const std::filesystem::path& file) {
  const std::string path = file.generic_string();
  constexpr std::string_view kInclude = "libcodewake/include/";
  constexpr std::string_view kSource = "libcodewake/src/";
  if (path.starts_with(kInclude)) return {true, true, rank_of_include(path.substr(kInclude.size()))};
  if (path.starts_with(kSource)) return {true, false, rank_of_include(path.substr(kSource.size()))};
  return {};
}

// Checks one file, and collects what it finds.
class Checker {
 public:
  Checker(const std::filesystem::path& file, std::string_view text, const std::vector<std::string>& own)
      : file_(file), home_(home_of(file)), includes_(includes_of(text)), own_(own) {
    if (home_.in_library && !home_.rank)
      say(1, "belongs to no known layer: name it in tests/layers/include_rules.cpp");
    for (const Include& include : includes_) check(include);
    check_own_header_first();
    const auto lines = static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
    if (lines > kMaxLines) say(lines, fmt::format("has more than {} lines", kMaxLines));
  }

  std::vector<std::string> take() { return std::move(found_); }

 private:
  void say(std::size_t line, std::string_view what) {
    found_.push_back(fmt::format("{}:{}: {}", file_.generic_string(), line, what));
  }

  void check(const Include& include) {
    if (include.path.find("..") != std::string::npos) say(include.line, "`..` in an include");
    if (!include.quoted) {
      if (include.path.starts_with(kPublicPrefix))
        say(include.line, "a codewake header is included in quotes");
    } else if (home_.in_library) {
      check_layer(include);
    } else {
      check_outside(include);
    }
  }

  void check_layer(const Include& include) {
    const std::optional<std::size_t> rank = rank_of_include(include.path);
    if (!rank) {
      say(include.line, fmt::format("{} is of no known layer: write it as layer/file.hpp", include.path));
    } else if (home_.rank && *rank > *home_.rank) {
      say(include.line,
          fmt::format("{} is of layer {}, above {}", include.path, kLayers[*rank], kLayers[*home_.rank]));
    } else if (home_.is_public && !include.path.starts_with(kPublicPrefix)) {
      say(include.line, fmt::format("a public header includes {}, which is not public", include.path));
    }
  }

  // Adapters and tools use public headers and their own. Tests look inside, too.
  void check_outside(const Include& include) {
    const std::string top = file_.begin()->string();
    if (top != "adapters" && top != "tools") return;
    if (std::find(own_.begin(), own_.end(), include.path) != own_.end()) return;
    if (include.path.starts_with(kPublicPrefix) && rank_of_public_header(include.path)) return;
    say(include.line, fmt::format("{} is neither a public header nor its own", include.path));
  }

  // The header of the same name: in the same folder or, for the library, among the public ones.
  bool is_own_header(const Include& include) const {
    const std::filesystem::path path(include.path);
    if (!include.quoted || path.stem() != file_.stem()) return false;
    if (std::find(own_.begin(), own_.end(), include.path) != own_.end()) return true;
    return home_.in_library &&
           (path.parent_path() == "codewake" || path.parent_path() == file_.parent_path().filename());
  }

  void check_own_header_first() {
    if (file_.extension() != ".cpp") return;
    const auto own = std::find_if(includes_.begin(), includes_.end(),
                                  [this](const Include& include) { return is_own_header(include); });
    if (own != includes_.end() && own != includes_.begin()) say(own->line, "its own header comes first");
  }

  const std::filesystem::path& file_;
  Home home_;
  std::vector<Include> includes_;
  const std::vector<std::string>& own_;
  std::vector<std::string> found_;
};

}  // namespace

std::vector<Include> includes_of(std::string_view text) {
  constexpr std::string_view kDirective = "#include ";
  std::vector<Include> found;
  std::size_t number = 0;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    ++number;
    if (!line.starts_with(kDirective) || line.size() < kDirective.size() + 2) continue;
    const std::string_view rest = line.substr(kDirective.size());
    const bool quoted = rest.front() == '"';
    const std::size_t end = rest.find(quoted ? '"' : '>', 1);
    if (end == std::string_view::npos) continue;
    found.push_back({std::string(rest.substr(1, end - 1)), quoted, number});
  }
  return found;
}

std::vector<std::string> violations(const std::filesystem::path& file, std::string_view text,
                                    const std::vector<std::string>& own) {
  return Checker(file, text, own).take();
}

std::vector<std::string> known_public_headers() {
  std::vector<std::string> names;
  for (const auto& entry : kPublicHeaders) names.emplace_back(entry.first);
  return names;
}

}  // namespace codewake::testing
