#pragma once

#include <marconi/gpu/basic_device_store.hpp>
#include <marconi/gpu/copy.cuh>
#include <marconi/memory/concepts.hpp>

namespace marconi::gpu {

using device_store = basic_device_store<kernel_launcher>;

static_assert(memory::ordered_store<device_store>);

} // namespace marconi::gpu
