#include "model/current_tie.hpp"

namespace codewake::internal {

constinit thread_local const TraceTie* current_tie __attribute__((tls_model("initial-exec"))) = nullptr;

}  // namespace codewake::internal
