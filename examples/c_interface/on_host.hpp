#pragma once

// The C interface's pages in the host's memory: the engine's, or the cache's own.

#include "marconi_c.h"

#include <marconi/memory/host_resource.hpp>
#include <marconi/memory/host_store.hpp>

#include <cstddef>
#include <utility>

namespace c_interface {

/// Memory that stays the engine's, if it hands some in.
struct handed_in {
    void* memory = nullptr;

    [[nodiscard]] void* allocate(std::size_t bytes) const {
        return memory ? memory : marconi::memory::host_resource{}.allocate(bytes);
    }
    void deallocate(void* given, std::size_t bytes) const noexcept {
        if (!memory) marconi::memory::host_resource{}.deallocate(given, bytes);
    }
};
static_assert(marconi::memory::resource<handed_in>);

struct on_host {
    using store_type = marconi::memory::basic_host_store<handed_in>;

    static store_type make_store(marconi::footprint model, marconi_options const& options,
                                 marconi::memory::page_options pages) {
        return {std::move(model), marconi::byte_count{options.capacity}, pages,
                handed_in{options.memory}};
    }
    /// There are no streams: copies are done when their call returns.
    static store_type::stream stream_of(void*) { return {}; }
};

} // namespace c_interface
