#pragma once

// How tests reach a device store's memory, on a device or an emulated one.

#include <contracts/store_access.hpp>

#include <marconi/gpu/basic_device_store.hpp>
#include <marconi/gpu/error.hpp>
#include <marconi/gpu/stream.hpp>
#include <marconi/memory/host_resource.hpp>

#include <cuda_runtime_api.h>

#include <cstddef>
#include <utility>

namespace gpu_tests {

using marconi::gpu::device_resource;
using marconi::gpu::pinned_resource;
template <class Resource>
using memory_of = marconi::memory::arena_memory<Resource>;

/// Of the tests' own copies: ordered with nothing that the store enqueues.
inline marconi::gpu::owned_stream const& own_stream() {
    static marconi::gpu::owned_stream const one;
    return one;
}
/// Copies and waits.
inline void copy_now(void* to, void const* from, std::size_t n) {
    if (n == 0) return;
    marconi::gpu::check(cudaMemcpyAsync(to, from, n, cudaMemcpyDefault, own_stream().get()),
                        "cudaMemcpyAsync");
    own_stream().synchronize();
}
/// Writes all of a store's arena: whole pages are copied, slots that nobody filled and padding
/// included, and initcheck would count those as reads of what was never written.
template <class Store>
void fill_arena(Store const& store) {
    std::size_t const bytes = store.pages().capacity() * store.layout().page_bytes().value();
    marconi::gpu::check(
        cudaMemsetAsync(store.page(marconi::page_id{0}).data(), 0xCD, bytes, own_stream().get()),
        "cudaMemsetAsync");
    own_stream().synchronize();
}
inline contracts::byte_vector read_now(std::byte const* from, std::size_t n) {
    contracts::byte_vector contents(n);
    copy_now(contents.data(), from, n);
    return contents;
}

/// An engine's memory on the device. An odd number of bytes into its allocation, so that it is
/// aligned to nothing, if the size says so.
class device_engine_memory {
public:
    explicit device_engine_memory(contracts::byte_vector const& contents)
        : size_{contents.size()},
          shift_{contents.size() % 3 == 0 ? 1u : 0u},
          memory_{device_resource{}, size_ + 1} {
        copy_now(data(), contents.data(), size_);
    }
    [[nodiscard]] std::byte* data() { return memory_.data() + shift_; }
    [[nodiscard]] contracts::byte_vector contents() const {
        return read_now(memory_.data() + shift_, size_);
    }

private:
    std::size_t size_, shift_;
    memory_of<device_resource> memory_;
};

} // namespace gpu_tests

template <class Launcher>
struct contracts::store_access<marconi::gpu::basic_device_store<Launcher>> {
    using store_type = marconi::gpu::basic_device_store<Launcher>;
    using engine_memory = gpu_tests::device_engine_memory;

    static store_type make(marconi::footprint const& model, std::uint64_t pages,
                           marconi::memory::page_options options) {
        marconi::memory::page_layout const layout{model, options};
        store_type store{model, layout.page_bytes() * pages, options};
        gpu_tests::fill_arena(store);
        return store;
    }
    static byte_vector read_page(store_type const& store, marconi::page_id page) {
        return gpu_tests::read_now(store.page(page).data(), store.page(page).size());
    }
    static void write_page(store_type& store, marconi::page_id page, byte_vector const& contents) {
        gpu_tests::copy_now(store.page(page).data(), contents.data(), contents.size());
    }
    static void finish(marconi::gpu::stream_ref on) {
        marconi::gpu::check(cudaStreamSynchronize(on.get()), "cudaStreamSynchronize");
    }
};
