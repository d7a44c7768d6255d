// Which journals belong to which storage.
#pragma once

#include <string>

#include "codewake/queue_store.hpp"

namespace codewake::internal {

/// For people, without passwords: the backend's class and where it stores.
std::string display_of(const QueueTarget& target);

/// Equal for equal storage: of the identity, or else of class and parameters.
std::string fingerprint_of(const QueueTarget& target);

}  // namespace codewake::internal
