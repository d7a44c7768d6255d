// Descriptors 0, 1 and 2, where the program has closed them.
#pragma once

namespace codewake::internal {

/// While one exists, no file that is opened gets the number 0, 1 or 2: what a program prints must not go into
/// a socket of ours. libpq opens sockets by itself, and never moves them.
///
/// Closed numbers are taken by a descriptor that can be neither read nor written, so printing still fails
/// with EBADF. They are released with the last object. A number that the program has taken meanwhile, by
/// dup2(), is left to it. A program that opens a file meanwhile gets a number from 3 on. Thread-safe.
class StandardDescriptors {
 public:
  StandardDescriptors() noexcept;
  StandardDescriptors(const StandardDescriptors&) = delete;
  StandardDescriptors& operator=(const StandardDescriptors&) = delete;
  ~StandardDescriptors();
};

}  // namespace codewake::internal
