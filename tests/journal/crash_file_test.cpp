#include "journal/crash_file.hpp"

#include <doctest/doctest.h>

#include <cstring>
#include <fstream>
#include <limits>
#include <random>
#include <string>

#include "journal/event_codec.hpp"
#include "support/temporary_folder.hpp"

namespace codewake::internal {
namespace {

using codewake::testing::TemporaryFolder;

ProcessInfo shop() {
  ProcessInfo info;
  info.app_name = "shop";
  info.pid = 17;
  return info;
}

void write(const TemporaryFolder& folder, const CrashPage& page, std::size_t bytes = sizeof(CrashPage)) {
  std::ofstream(folder / "crash", std::ios::binary)
      .write(reinterpret_cast<const char*>(&page), static_cast<std::streamsize>(bytes));
}

TEST_CASE("What was written into the page of a run is read from its file") {
  const TemporaryFolder folder;
  CHECK(read_crash_page(Folder::open(folder.path())) == nullptr);
  CrashPage* const page =
      make_crash_page(Folder::open(folder.path()), {.number = 3, .id = 5, .info = shop()});
  CHECK(read_crash_page(Folder::open(folder.path())) == nullptr);  // nothing has crashed
  page->signal = 11;
  page->frames = 1;
  page->addresses[0] = 0x1234;
  page->state = static_cast<std::uint32_t>(CrashState::begun);
  const auto read = read_crash_page(Folder::open(folder.path()));
  REQUIRE(read != nullptr);
  CHECK(read->process_number == 3);
  CHECK(read->process_id == 5);
  CHECK(read->signal == 11);
  CHECK(read->addresses[0] == 0x1234);
  const auto info = decode_process(std::span(read->process, read->process_bytes));
  REQUIRE(info);
  CHECK(info->app_name == "shop");
  CHECK(info->pid == 17);
}

TEST_CASE("A page that is cut off, of another kind or of a later version is none") {
  const TemporaryFolder folder;
  CrashPage page = *make_crash_page(Folder::open(folder.path()), {.info = shop()});
  page.state = static_cast<std::uint32_t>(CrashState::whole);
  write(folder, page);
  CHECK(read_crash_page(Folder::open(folder.path())) != nullptr);
  write(folder, page, sizeof page - 1);
  CHECK(read_crash_page(Folder::open(folder.path())) == nullptr);
  page.version = kCrashVersion + 1;
  write(folder, page);
  CHECK(read_crash_page(Folder::open(folder.path())) == nullptr);
  page.version = kCrashVersion;
  page.magic[0] = 'X';
  write(folder, page);
  CHECK(read_crash_page(Folder::open(folder.path())) == nullptr);
}

TEST_CASE("Whatever a page holds, its numbers are within their bounds and its texts end") {
  const TemporaryFolder folder;
  const CrashPage prepared = *make_crash_page(Folder::open(folder.path()), {.info = shop()});
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    CrashPage page;
    auto* const bytes = reinterpret_cast<unsigned char*>(&page);
    for (std::size_t i = 0; i < sizeof page; ++i) bytes[i] = static_cast<unsigned char>(1 + random() % 255);
    std::memcpy(page.magic, prepared.magic, sizeof page.magic);
    page.version = prepared.version;
    write(folder, page);
    const auto read = read_crash_page(Folder::open(folder.path()));
    REQUIRE(read != nullptr);
    CHECK(read->frames <= CrashPage::kMaxFrames);
    CHECK(read->modules <= CrashPage::kMaxModules);
    CHECK(read->exceptions <= CrashPage::kMaxExceptions);
    CHECK(read->process_bytes <= CrashPage::kMaxProcessBytes);
    CHECK(std::strlen(read->module[CrashPage::kMaxModules - 1].path) < sizeof(CrashModule::path));
    CHECK(std::strlen(read->exception[CrashPage::kMaxExceptions - 1].message) <
          sizeof(CrashException::message));
  }
}

}  // namespace
}  // namespace codewake::internal
