#pragma once

#include <marconi/core/error.hpp>
#include <marconi/core/footprint.hpp>
#include <marconi/core/types.hpp>
#include <marconi/gpu/arena_place.hpp>
#include <marconi/gpu/device_copies.hpp>
#include <marconi/gpu/device_resource.hpp>
#include <marconi/gpu/stream.hpp>
#include <marconi/memory/concepts.hpp>
#include <marconi/memory/host_resource.hpp>
#include <marconi/memory/layout.hpp>
#include <marconi/memory/page_pool.hpp>
#include <marconi/memory/transfer.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>

namespace marconi::gpu {

/// Pages in a CUDA device's memory. A call enqueues its copies on the stream that it names, one
/// launch each, and returns; it waits on the host only where pools must grow, CUDA's queue of
/// launches is full, or no event can be recorded. Views must point to memory that the device
/// can reach and that stays valid until the copy is done; their arrays (layers, blocks, pieces) are
/// read before the call returns.
///
/// Several streams may be used: a copy waits, on the device, for what it must not overtake on other
/// streams (see stream_order). A stream must not be destroyed while a lease remembers it. Calls
/// that have anything to do on a stream that is being captured into a graph throw invalid_argument,
/// and leases do not remember it for them. A lease that works in place marks its streams when it
/// commits or gives back pages; that cannot throw, and ends the program if such a stream is being
/// captured (or, if it is the legacy default stream, any blocking stream). A lease that was given
/// cudaStreamPerThread, or no stream in a build with
/// --default-stream per-thread, stays on its thread: on every thread that names another stream.
///
/// Make the store's device current in threads that call. Otherwise each call switches to it and
/// back, and CUDA then starts a context, some hundred MB, on the thread's own device if that had
/// none. page_options::zero_freed_pages is refused. `Launcher` supplies the kernels: device_store
/// has kernel_launcher's, tests bring others.
template <launcher Launcher>
class basic_device_store {
public:
    using stream = stream_ref;
    using mark_type = ticket;
    static constexpr bool holds_bytes = true;

    /// Allocates an arena of its own on the current device: as many whole pages as fit in
    /// `capacity`. Throws invalid_argument if that is not one page, std::bad_alloc if the device
    /// has too little memory, cuda_error.
    basic_device_store(footprint model, byte_count capacity, memory::page_options options = {})
        : layout_{std::move(model), supported(options)},
          pages_{memory::whole_pages(capacity, layout_)},
          own_{std::in_place, device_resource{}, pages_.capacity() * layout_.page_bytes().value()},
          copies_{std::make_unique<device_copies<Launcher>>(arena_place{own_->data()}, layout_)} {}

    /// The same in an arena that the caller lends for the store's life, at a multiple of 256:
    /// memory of the current device, or pinned on the host. Throws invalid_argument for memory that
    /// the device cannot reach. The caller waits for all copies before taking it back.
    basic_device_store(footprint model, std::span<std::byte> arena,
                       memory::page_options options = {})
        : layout_{std::move(model), supported(options)},
          pages_{memory::whole_pages(byte_count{arena.size()}, layout_)},
          copies_{std::make_unique<device_copies<Launcher>>(lent_arena(arena), layout_)} {}

    basic_device_store(basic_device_store&&) = default;
    basic_device_store& operator=(basic_device_store&& other) {
        copies_ = std::move(other.copies_); // waits for copies that use the arena that goes next
        layout_ = std::move(other.layout_);
        pages_ = std::move(other.pages_);
        own_ = std::move(other.own_);
        return *this;
    }

    [[nodiscard]] memory::page_layout const& layout() const { return layout_; }
    [[nodiscard]] memory::page_pool& pages() { return pages_; }
    [[nodiscard]] memory::page_pool const& pages() const { return pages_; }

    void save(memory::transfer const& t, stream_ref on) {
        copies_->copy(direction::to_pages, t, layout_, pages_.touched(), on);
    }
    void load(memory::transfer const& t, stream_ref on) const {
        copies_->copy(direction::to_engine, t, layout_, pages_.touched(), on);
    }
    void copy_block(page_id from, page_id to, stream_ref on) {
        copies_->copy_pages({&from, 1}, {&to, 1}, pages_.touched(), on);
    }

    // ---- order with engines that work in place: see memory::ordered_store ----

    void admit_reader(std::span<page_id const> pages, stream_ref on) const {
        copies_->admit_reader(pages, pages_.touched(), on);
    }
    void admit_writer(std::span<page_id const> pages, stream_ref on) {
        copies_->admit_writer(pages, pages_.touched(), on);
    }
    void written(std::span<page_id const> pages, stream_ref on) {
        copies_->written(pages, pages_.touched(), on);
    }
    [[nodiscard]] ticket mark(stream_ref on) noexcept {
        return copies_->mark(pages_.touched(), on);
    }
    void used(std::span<page_id const> pages, ticket by) noexcept { copies_->used(pages, by); }

    // ---- what only this store has ----

    /// A page's memory on the device, for engines that compute in place. Published slots must not
    /// be written.
    [[nodiscard]] std::span<std::byte> page(page_id id) const {
        return layout_.page(copies_->arena(), id);
    }
    /// From now on copies take at most `most` multiprocessors, and leave the others to the model's
    /// own kernels beside them. 0, as at first: all, which copies then fill; 8 for an arena on the
    /// host, which fill the link.
    void limit_multiprocessors(std::uint32_t most) { copies_->limit_multiprocessors(most); }
    /// The copies themselves, for moving pages to other arenas.
    [[nodiscard]] device_copies<Launcher>& copies() const { return *copies_; }

private:
    static memory::page_options const& supported(memory::page_options const& options) {
        MARCONI_EXPECT(!options.zero_freed_pages, "zero_freed_pages", "true",
                       "false: device_store cannot do it");
        return options;
    }

    memory::page_layout layout_;
    memory::page_pool pages_;
    std::optional<memory::arena_memory<device_resource>> own_;
    std::unique_ptr<device_copies<Launcher>> copies_; ///< goes first: it waits for copies in flight
};

} // namespace marconi::gpu
