#pragma once

// Everything for CUDA devices; compile it with nvcc, and link marconi::gpu.

#include <marconi/gpu/copy.cuh>
#include <marconi/gpu/device_resource.hpp>
#include <marconi/gpu/device_store.cuh>
#include <marconi/gpu/error.hpp>
#include <marconi/gpu/pinned_resource.hpp>
#include <marconi/gpu/spill.hpp>
#include <marconi/gpu/stream.hpp>
