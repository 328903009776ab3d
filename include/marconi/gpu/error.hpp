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

/// Takes the error that a call returned out of the runtime, so that no later call reports it again.
/// A different error that is pending there stays for somebody else to find, unless the call has
/// replaced it.
inline void take_out(cudaError_t code) noexcept {
    if (code != cudaSuccess && cudaPeekAtLastError() == code) (void)cudaGetLastError();
}

/// If a call failed, throws std::bad_alloc for lack of memory, else cuda_error, and clears the
/// error from the runtime.
inline void check(cudaError_t code, char const* call) {
    if (code == cudaSuccess) [[likely]]
        return;
    take_out(code);
    if (code == cudaErrorMemoryAllocation) throw std::bad_alloc{};
    throw cuda_error{code, call};
}

} // namespace marconi::gpu
