#pragma once

#include <marconi/core/footprint.hpp>
#include <marconi/core/types.hpp>
#include <marconi/memory/concepts.hpp>
#include <marconi/memory/host_copy.hpp>
#include <marconi/memory/host_resource.hpp>
#include <marconi/memory/layout.hpp>
#include <marconi/memory/page_pool.hpp>
#include <marconi/memory/transfer.hpp>

#include <cstddef>
#include <cstring>
#include <span>
#include <utility>

namespace marconi::memory {

/// Pages in the host's memory: the default where there is no GPU. Copies are done when their call
/// returns, at memcpy's speed; but the first one to a page also waits until the system finds memory
/// for it, and takes some six times as long.
template <resource Resource = host_resource>
class basic_host_store {
public:
    using stream = no_stream;
    static constexpr bool holds_bytes = true;
    static constexpr bool copies_beside_calls = true;

    /// An arena of as many whole pages as fit in `capacity`. Throws invalid_argument if that is not
    /// one page, and what the resource throws if it cannot give the memory.
    basic_host_store(footprint model, byte_count capacity, page_options options = {},
                     Resource resource = {})
        : layout_{std::move(model), options},
          pages_{whole_pages(capacity, layout_)},
          arena_{std::move(resource), pages_.capacity() * layout_.page_bytes().value()} {
        if (options.zero_freed_pages)
            pages_.wipe_freed_pages(arena_.data(), layout_.page_bytes().value());
    }

    [[nodiscard]] page_layout const& layout() const { return layout_; }
    [[nodiscard]] page_pool& pages() { return pages_; }
    [[nodiscard]] page_pool const& pages() const { return pages_; }

    void save(transfer const& t, no_stream) {
        copy(direction::to_pages, arena_.data(), layout_, t);
    }
    void load(transfer const& t, no_stream) const {
        copy(direction::to_engine, arena_.data(), layout_, t);
    }
    void copy_block(page_id from, page_id to, no_stream) {
        std::memcpy(page(to).data(), page(from).data(), page(from).size());
    }

    /// A page's memory, for engines that compute in place. Published slots must not be written.
    [[nodiscard]] std::span<std::byte> page(page_id id) const {
        return layout_.page(arena_.data(), id);
    }

private:
    page_layout layout_;
    page_pool pages_;
    arena_memory<Resource> arena_;
};

using host_store = basic_host_store<>;

static_assert(store<host_store>);

} // namespace marconi::memory
