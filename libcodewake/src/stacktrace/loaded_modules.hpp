// The executable and the shared objects that are loaded in this process.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace codewake::internal {

/// A loaded ELF file.
struct Module {
  std::string path;
  std::string link_name;    ///< what the dynamic linker calls it; empty for the program itself
  std::string build_id;     ///< lower-case hexadecimal; empty where it has none
  std::uintptr_t base = 0;  ///< what is added to the addresses in the file
  std::uintptr_t begin = 0;
  std::uintptr_t end = 0;
  std::size_t identity = 0;  ///< the same for the same file, wherever it is loaded: what `identify` gives

  std::size_t identify() const;
  bool contains(std::uintptr_t address) const noexcept { return address >= begin && address < end; }
};

/// An address in a module, which may be unloaded meanwhile.
struct LoadedAddress {
  std::uintptr_t address = 0;
  std::string link_name;           ///< of the module
  unsigned long long unloads = 0;  ///< of any module, by when it was looked at
};

/// The demangled name of the function at the address, without the module's file: as the dynamic linker knows
/// it. Empty where the function is not exported, and where a module was unloaded meanwhile. Thread-safe.
/// Takes the lock that dlopen() holds while constructors run: call it without a lock that those may wait for.
std::string exported_function(const LoadedAddress& at);

/// What is loaded, as of the last `refresh`. Reentrant.
class LoadedModules {
 public:
  /// Looks again if anything was loaded or unloaded meanwhile. Takes the dynamic linker's lock for a moment.
  void refresh();

  /// The module that an address lies in; null where there is none. Valid until the next `refresh`.
  const Module* find(std::uintptr_t address) const noexcept;

  /// For `exported_function`: an address of one of these modules; address 0 where it is of none.
  LoadedAddress at(std::uintptr_t address) const;

  /// In the order of their addresses.
  const std::vector<Module>& all() const noexcept { return modules_; }

 private:
  std::vector<Module> modules_;
  unsigned long long loads_ = 0;
  unsigned long long unloads_ = 0;
};

/// Around a fork(), the last that is locked before it: no `refresh` is under way then.
void lock_loaded_modules();
void unlock_loaded_modules(bool is_child);

}  // namespace codewake::internal
