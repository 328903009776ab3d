#pragma once

// A store and a spill room at work, on a device or an emulated one.

#include <marconi/core/types.hpp>
#include <marconi/gpu/basic_device_store.hpp>
#include <marconi/gpu/spill.hpp>
#include <marconi/gpu/stream.hpp>

#include <cstddef>
#include <span>
#include <vector>

namespace gpu_tests {

/// Copies pages of a store that holds eight, on `on` and through a spill room, so often that unless
/// copies are done at once, more staging buffers are made. Returns how many there are in the end.
template <class Launcher>
std::size_t keep_busy(marconi::gpu::basic_device_store<Launcher>& store,
                      marconi::gpu::stream_ref on) {
    std::vector<marconi::page_id> pages(8), outside(4);
    store.pages().allocate(pages);
    marconi::gpu::spill_room<Launcher> room{store, store.layout().page_bytes() * 4};
    room.pages().allocate(outside);
    std::span const some = std::span{pages}.first(4);
    for (int i = 0; i < 40; ++i) {
        store.copy_block(pages[0], pages[1], on);
        room.spill(some, outside);
        (void)room.done(room.fetch(outside, some));
        store.used(pages, store.mark(on));
    }
    return store.copies().staging_slots();
}

} // namespace gpu_tests
