#pragma once

// Room on the host for pages that have none on the device: copies between a device store and a
// pinned arena, in both directions, on a stream of their own. Which pages go and come is somebody
// else's decision.

#include <marconi/core/types.hpp>
#include <marconi/gpu/basic_device_store.hpp>
#include <marconi/gpu/pinned_resource.hpp>
#include <marconi/gpu/stream.hpp>
#include <marconi/gpu/stream_order.hpp>
#include <marconi/memory/host_resource.hpp>
#include <marconi/memory/page_pool.hpp>

#include <cstddef>
#include <span>

namespace marconi::gpu {

/// An arena of pinned pages, cut as a device store's are. The device itself writes and reads it: a
/// list of pages goes in one launch. spill() and fetch() return at once. On the device, their
/// copies and other streams' work on the store's pages wait for each other, as with the store's own
/// copies; among themselves they keep the order of the calls. They count as calls of the cache
/// that has the store: make them under the same lock. The store must outlive this, unmoved.
template <launcher Launcher>
class spill_room {
public:
    /// As many whole pages as fit in `capacity`. Throws invalid_argument if that is not one,
    /// std::bad_alloc, cuda_error.
    spill_room(basic_device_store<Launcher> const& store, byte_count capacity)
        : store_{&store},
          pages_{memory::whole_pages(capacity, store.layout())},
          arena_{pinned_resource{}, pages_.capacity() * store.layout().page_bytes().value()},
          on_{stream_of(store.copies().device())} {}
    spill_room(spill_room const&) = delete;
    spill_room& operator=(spill_room const&) = delete;
    /// Waits on the host until no copy uses the arena.
    ~spill_room() { cuda_events::finish(on_); }

    /// Which of the room's pages are taken.
    [[nodiscard]] memory::page_pool& pages() { return pages_; }
    [[nodiscard]] memory::page_pool const& pages() const { return pages_; }

    /// Copies page from[i] on the device to page to[i] here. The device's pages may be released at
    /// once: whoever gets them waits. No page is named twice. O(pages). This and fetch() throw
    /// invalid_argument if the lists differ in length, std::bad_alloc, cuda_error.
    ticket spill(std::span<page_id const> from, std::span<page_id const> to) {
        return store_->copies().copy_out(from, arena_.data(), to, store_->pages().touched(), on_);
    }
    /// Copies page from[i] here to page to[i] on the device; whoever reads that one waits. The
    /// room's pages may be used again at once.
    ticket fetch(std::span<page_id const> from, std::span<page_id const> to) {
        return store_->copies().copy_in(arena_.data(), from, to, store_->pages().touched(), on_);
    }
    /// Whether a copy is done; until then the host must not look at its pages here.
    [[nodiscard]] bool done(ticket t) const { return store_->copies().done(t); }

    [[nodiscard]] std::span<std::byte> page(page_id id) const {
        return store_->layout().page(arena_.data(), id);
    }
    [[nodiscard]] owned_stream const& stream() const { return on_; }

private:
    static owned_stream stream_of(int device) {
        device_scope const there{device};
        beside_captures const aside;
        return {};
    }

    basic_device_store<Launcher> const* store_;
    memory::page_pool pages_;
    memory::arena_memory<pinned_resource> arena_;
    owned_stream on_;
};

} // namespace marconi::gpu
