// What a program with two services recorded, for tests of the commands that show traces.
#pragma once

#include <memory>
#include <string>

#include "codewake/store.hpp"
#include "command_line.hpp"

namespace codewake::testing {

/// The command line's database, with a process recorded through it.
std::shared_ptr<Store> store_of(const CommandLine& cli);

/// A gateway that asks a stock, and logs an event; the result is the trace's id.
std::string record_order(const CommandLine& cli);

/// A trace whose events have text of all kinds where JSON should be, and contradict each other. The result is
/// its id.
std::string record_damage(const CommandLine& cli);

}  // namespace codewake::testing
