#pragma once

// How the suite of store.hpp reaches what a store works on. This serves stores whose pages and
// engines are in host memory; specialise store_access for a store where they are elsewhere.

#include <marconi/core/footprint.hpp>
#include <marconi/core/types.hpp>
#include <marconi/memory/concepts.hpp>
#include <marconi/memory/layout.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace contracts {

using byte_vector = std::vector<std::byte>;

/// An engine's memory. data() is what views point into; it need not be the host's.
class host_engine_memory {
public:
    explicit host_engine_memory(byte_vector contents) : contents_{std::move(contents)} {}
    [[nodiscard]] std::byte* data() { return contents_.data(); }
    [[nodiscard]] byte_vector contents() const { return contents_; }

private:
    byte_vector contents_;
};

template <marconi::memory::store Store>
struct store_access {
    using engine_memory = host_engine_memory;

    /// A store of `pages` pages.
    static Store make(marconi::footprint const& model, std::uint64_t pages,
                      marconi::memory::page_options options) {
        marconi::memory::page_layout const layout{model, options};
        return Store{model, layout.page_bytes() * pages, options};
    }

    static byte_vector read_page(Store const& store, marconi::page_id page) {
        auto const all = store.page(page);
        return {all.begin(), all.end()};
    }
    static void write_page(Store& store, marconi::page_id page, byte_vector const& contents) {
        std::ranges::copy(contents, store.page(page).begin());
    }

    /// Waits until copies on the stream are done.
    static void finish(typename Store::stream const&) {}
};

} // namespace contracts
