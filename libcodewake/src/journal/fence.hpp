// The expensive side of a pair of fences, of which the other costs nothing.
#pragma once

namespace codewake::internal {

/// Makes the first call of fence_others() cheap. To be called while there are few threads.
void prepare_fences() noexcept;

/// Every other thread of the process has executed a full fence between this call and its return: where a
/// thread stores A and then loads B, with a compiler's fence between, and this thread stores B, calls this,
/// and loads A, one of both sees what the other has stored. Takes some microseconds, or 20 ms with an old
/// kernel.
void fence_others() noexcept;

}  // namespace codewake::internal
