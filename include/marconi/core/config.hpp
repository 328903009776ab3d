#pragma once

// Version and compiler switches. Only this header and core/error.hpp define macros.

#define MARCONI_VERSION_MAJOR 0
#define MARCONI_VERSION_MINOR 1
#define MARCONI_VERSION_PATCH 0

// Marks functions that kernels and host code share.
#if defined(__CUDACC__)
#define MARCONI_HOST_DEVICE __host__ __device__
#else
#define MARCONI_HOST_DEVICE
#endif

// Marks kernels' short loops over arrays that are to stay in registers.
#if defined(__CUDA_ARCH__)
#define MARCONI_UNROLL _Pragma("unroll")
#else
#define MARCONI_UNROLL
#endif

#if defined(_MSC_VER)
#define MARCONI_NO_UNIQUE_ADDRESS [[msvc::no_unique_address]]
#else
#define MARCONI_NO_UNIQUE_ADDRESS [[no_unique_address]]
#endif

// Whether to detect calls of a cache that overlap but must not (core/thread_check.hpp).
#if !defined(MARCONI_CHECK_THREADS)
#if defined(NDEBUG)
#define MARCONI_CHECK_THREADS 0
#else
#define MARCONI_CHECK_THREADS 1
#endif
#endif
