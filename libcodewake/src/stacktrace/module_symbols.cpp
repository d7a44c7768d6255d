#include "stacktrace/module_symbols.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "stacktrace/debug_files.hpp"

namespace codewake::internal {
namespace {

// The executable of this process is still there when its file has been replaced or deleted.
constexpr const char* kOwnExecutable = "/proc/self/exe";

std::unique_ptr<ElfFile> open_module(const std::string& path, const std::string& build_id,
                                     const FileOwners& owners, bool& is_unreadable) {
  if (!path.starts_with('/')) return {};
  auto file = ElfFile::open(path, owners, &is_unreadable);
  if (file != nullptr && file->build_id() == build_id) return file;
  if (build_id.empty()) return {};
  file = ElfFile::open(kOwnExecutable, owners);
  return file != nullptr && file->build_id() == build_id ? std::move(file) : nullptr;
}

// A module that another user gave us may have debug files of that user.
FileOwners debug_file_owners(const ElfFile* module) {
  if (module == nullptr || module->is_ours()) return {};
  return {.all = false, .also = module->owner()};
}

}  // namespace

ModuleSymbols::ModuleSymbols(const std::string& path, const std::string& build_id,
                             const SymbolOptions& options)
    : module_(open_module(path, build_id, module_owners(options.trust), is_unreadable_)) {
  const DebugFilePlaces places{.roots = options.debug_roots, .owners = debug_file_owners(module_.get())};
  if (module_ == nullptr || !module_->has_debug_info()) {
    debug_file_ = find_by_build_id(build_id, places);
    if (debug_file_ == nullptr && module_ != nullptr)
      debug_file_ = find_by_debug_link(*module_, path, places);
  }
  if (module_ != nullptr) symbols_.emplace(module_->elf());
  if (debug_file_ != nullptr && !(symbols_ && symbols_->is_full())) {
    SymbolTable full(debug_file_->elf());
    if (!symbols_ || full.is_full()) symbols_ = std::move(full);
  }
  if (module_ != nullptr && !symbols_->is_full()) {
    small_symbols_ = SmallSymbols::in(module_->unpacked_section(kSmallSymbols));
  }
  const ElfFile* described = debug_file_ != nullptr ? debug_file_.get() : module_.get();
  if (described == nullptr || !described->has_debug_info()) return;
  std::size_t unpacked = described->unpacked_bytes();
  if (unpacked > options.max_bytes) return;
  alternative_ = find_alternative(*described, places);
  if (alternative_ != nullptr) {
    if (alternative_->unpacked_bytes() > options.max_bytes - unpacked) return;
    unpacked += alternative_->unpacked_bytes();
  }
  unpacked_bytes_ = unpacked;
  debug_info_.emplace(*described, alternative_.get(), *symbols_,
                      DebugInfoLimits{.line_table_bytes = options.max_line_table_bytes,
                                      .split_file_bytes = options.max_bytes});
}

std::array<ElfFile*, 3> ModuleSymbols::files() const noexcept {
  return {module_.get(), debug_file_.get(), alternative_.get()};
}

std::vector<Call> ModuleSymbols::calls_at(std::uint64_t address) {
  std::vector<Call> calls;
  if (debug_info_) calls = debug_info_->calls_at(address);
  if (calls.empty()) calls.emplace_back();
  std::string& function = calls.back().function;
  if (function.empty() && symbols_) function = symbols_->find(address);
  if (function.empty() && small_symbols_ != nullptr) function = small_symbols_->find(address);
  return calls;
}

bool ModuleSymbols::may_name_sources() const noexcept {
  return std::ranges::all_of(files(), [](const ElfFile* file) { return file == nullptr || file->is_ours(); });
}

std::size_t ModuleSymbols::bytes() const noexcept {
  std::size_t bytes = sizeof *this + unpacked_bytes_;
  for (const ElfFile* file : files()) bytes += file == nullptr ? 0 : file->copied_bytes();
  if (symbols_) bytes += symbols_->bytes();
  if (small_symbols_ != nullptr) bytes += small_symbols_->bytes();
  if (debug_info_) bytes += debug_info_->bytes();
  return bytes;
}

bool ModuleSymbols::hold() {
  return std::ranges::all_of(files(), [](ElfFile* file) { return file == nullptr || file->hold(); });
}

void ModuleSymbols::let_go() noexcept {
  for (ElfFile* file : files()) {
    if (file != nullptr) file->let_go();
  }
}

void ModuleSymbols::release_pages() const noexcept {
  for (const ElfFile* file : files()) {
    if (file != nullptr) file->release_pages();
  }
}

}  // namespace codewake::internal
