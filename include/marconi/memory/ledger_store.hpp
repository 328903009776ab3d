#pragma once

#include <marconi/core/footprint.hpp>
#include <marconi/core/types.hpp>
#include <marconi/memory/concepts.hpp>
#include <marconi/memory/layout.hpp>
#include <marconi/memory/page_pool.hpp>
#include <marconi/memory/transfer.hpp>

#include <utility>

namespace marconi::memory {

/// Counts bytes and stores nothing, through the very code that production runs: for simulation,
/// tuning and tests. (An index for ranks that hold the memory has a relay_store instead.)
class ledger_store {
public:
    using stream = no_stream;
    static constexpr bool holds_bytes = false;
    static constexpr bool copies_beside_calls = true;

    /// As much of `capacity` as whole pages fill. Throws invalid_argument if that is not one page.
    ledger_store(footprint model, byte_count capacity, page_options options = {})
        : layout_{std::move(model), options}, pages_{whole_pages(capacity, layout_)} {}

    [[nodiscard]] page_layout const& layout() const { return layout_; }
    [[nodiscard]] page_pool& pages() { return pages_; }
    [[nodiscard]] page_pool const& pages() const { return pages_; }

    void save(transfer const&, no_stream) {}
    void load(transfer const&, no_stream) const {}
    void copy_block(page_id, page_id, no_stream) {}

private:
    page_layout layout_;
    page_pool pages_;
};

static_assert(store<ledger_store>);

} // namespace marconi::memory
