#pragma once

// The C interface's pages in the memory of a CUDA device: the engine's, or the cache's own.

#include "marconi_c.h"

#include <marconi/core/units.hpp>
#include <marconi/gpu/basic_device_store.hpp>
#include <marconi/gpu/stream.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>

namespace c_interface {

template <marconi::gpu::launcher Launcher>
struct on_device {
    using store_type = marconi::gpu::basic_device_store<Launcher>;

    static store_type make_store(marconi::footprint model, marconi_options const& options,
                                 marconi::memory::page_options pages) {
        auto store = arena(std::move(model), options, pages);
        constexpr std::uint64_t most = std::numeric_limits<std::uint32_t>::max();
        store.limit_multiprocessors(
            static_cast<std::uint32_t>(std::min(options.multiprocessors, most)));
        return store;
    }
    /// A cudaStream_t.
    static marconi::gpu::stream_ref stream_of(void* handle) {
        return {static_cast<cudaStream_t>(handle)};
    }

private:
    static store_type arena(marconi::footprint model, marconi_options const& options,
                            marconi::memory::page_options pages) {
        if (!options.memory)
            return {std::move(model), marconi::byte_count{options.capacity}, pages};
        return {std::move(model),
                std::span{static_cast<std::byte*>(options.memory), options.capacity}, pages};
    }
};

} // namespace c_interface
