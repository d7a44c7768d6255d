#include "journal/crash_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

#include "codewake/utf8.hpp"
#include "journal/crash_nest.hpp"
#include "journal/event_codec.hpp"
#include "journal/file_io.hpp"

namespace codewake::internal {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(int error, const fs::path& path) {
  throw std::system_error(error, std::generic_category(), path.string());
}

/// A nest, and the texts that it borrows. No caller knows whether a handler still reads it: none is deleted,
/// and each leads to the one before.
struct OwnNest {
  std::vector<std::string> paths = {};
  std::vector<const char*> roots = {};
  CrashNestParts parts = {};
  std::string process = {};
  CrashNest nest = {};
  const OwnNest* before = nullptr;
};

constinit std::atomic<const OwnNest*> own_nests{nullptr};

template <std::size_t N>
void end_text(char (&text)[N]) noexcept {
  text[N - 1] = '\0';
}

}  // namespace

CrashPage* make_crash_page(const Folder& folder, const CrashSubject& subject) {
  static_cast<void>(
      folder.remove_file(kCrashFile));  // where one is there that cannot go, the next line says so
  FileDescriptor file = folder.open_file(kCrashFile, O_RDWR | O_CREAT | O_EXCL);
  CrashPage* const page = file.number() < 0 ? nullptr : map_crash_page(file.number());
  if (page == nullptr) fail(errno, folder.path() / kCrashFile);
  prepare_crash_page(*page, encode_process(subject.info), subject.number, subject.id);
  return page;
}

CrashNestParts crash_nest_parts(const RunAbout& about) {
  // The name ends in `-<pid>-<start>-<uuid>`, and a uuid has four dashes.
  std::size_t uuid = about.run.size();
  for (int dashes = 0; dashes < 5; ++dashes) uuid = about.run.rfind('-', uuid - 1);
  std::size_t pid = uuid;
  for (int dashes = 0; dashes < 2; ++dashes) pid = about.run.rfind('-', pid - 1);
  const auto quoted = [](const std::string& text) { return nlohmann::json(to_storable(text)).dump(); };
  return {.name_begin = about.run.substr(0, pid + 1),
          .name_end = about.run.substr(about.run.find('-', uuid + 1)),
          .fingerprint = about.fingerprint,
          .about = ", \"store\": " + quoted(about.store) + ", \"executable\": " + quoted(about.executable) +
                   ", \"started\": \"" + format_time(about.started) + "\", \"pid\": "};
}

void prepare_crash_runs(const std::vector<fs::path>& roots, const RunAbout& about,
                        const CrashSubject& subject) {
  auto* const own = new OwnNest{.parts = crash_nest_parts(about), .process = encode_process(subject.info)};
  for (const fs::path& root : roots) own->paths.push_back(root.string());
  for (const std::string& path : own->paths) own->roots.push_back(path.c_str());
  own->nest = {.roots = own->roots,
               .name_begin = own->parts.name_begin,
               .name_end = own->parts.name_end,
               .fingerprint = own->parts.fingerprint,
               .about = own->parts.about,
               .process = own->process,
               .id = subject.id,
               .pid = getpid()};
  own->before = own_nests.exchange(own);
  use_crash_nest(own->nest);
}

std::unique_ptr<CrashPage> read_crash_page(const Folder& folder) {
  const FileDescriptor file = folder.open_file(kCrashFile, O_RDONLY);
  if (file.number() < 0) {
    if (errno == ENOENT) return nullptr;
    fail(errno, folder.path() / kCrashFile);
  }
  auto page = std::make_unique<CrashPage>();
  const bool whole = read_at(file.number(), page.get(), sizeof *page, 0) == sizeof *page;
  return whole ? checked(std::move(page)) : nullptr;
}

std::unique_ptr<CrashPage> checked(std::unique_ptr<CrashPage> page) {
  if (std::memcmp(page->magic, kCrashMagic, sizeof page->magic) != 0 || page->version != kCrashVersion ||
      page->state == 0) {
    return nullptr;
  }
  page->process_bytes = std::min<std::uint32_t>(page->process_bytes, CrashPage::kMaxProcessBytes);
  page->frames = std::min<std::uint32_t>(page->frames, CrashPage::kMaxFrames);
  page->modules = std::min<std::uint32_t>(page->modules, CrashPage::kMaxModules);
  page->exceptions = std::min<std::uint32_t>(page->exceptions, CrashPage::kMaxExceptions);
  end_text(page->thread_name);
  for (CrashModule& module : page->module) {
    end_text(module.build_id);
    end_text(module.path);
  }
  for (CrashException& exception : page->exception) {
    end_text(exception.type);
    end_text(exception.message);
  }
  return page;
}

}  // namespace codewake::internal
