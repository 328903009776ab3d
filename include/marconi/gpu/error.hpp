#pragma once

#include <marconi/core/error.hpp>

#include <cuda_runtime_api.h>

#include <new>
#include <string>

namespace marconi::gpu {

/// A call of the CUDA runtime failed; the message names the call and what CUDA says of it.
class cuda_error : public error {
public:
    cuda_error(cudaError_t code, char const* call)
        : error{std::string{call} + ": " + cudaGetErrorName(code) + ", " +
                cudaGetErrorString(code)},
          code_{code} {}
    [[nodiscard]] cudaError_t code() const { return code_; }

private:
    cudaError_t code_;
};

/// Takes the error that a call has returned out of the runtime, so that it does not turn up again
/// at another call. Another error that waits there is for somebody else to find.
inline void take_out(cudaError_t code) noexcept {
    if (code != cudaSuccess && cudaPeekAtLastError() == code) (void)cudaGetLastError();
}

/// Throws cuda_error if a call failed, std::bad_alloc where it was for lack of memory. The error is
/// taken out of the runtime.
inline void check(cudaError_t code, char const* call) {
    if (code == cudaSuccess) [[likely]]
        return;
    take_out(code);
    if (code == cudaErrorMemoryAllocation) throw std::bad_alloc{};
    throw cuda_error{code, call};
}

} // namespace marconi::gpu
