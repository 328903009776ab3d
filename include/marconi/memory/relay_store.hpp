#pragma once

#include <marconi/core/error.hpp>
#include <marconi/core/footprint.hpp>
#include <marconi/core/types.hpp>
#include <marconi/memory/concepts.hpp>
#include <marconi/memory/copy_order.hpp>
#include <marconi/memory/layout.hpp>
#include <marconi/memory/page_pool.hpp>
#include <marconi/memory/transfer.hpp>
#include <marconi/memory/views.hpp>

#include <functional>
#include <utility>
#include <vector>

namespace marconi::memory {

/// For one index whose pages lie on other machines or in other processes, the ranks of a
/// tensor-parallel engine: every copy becomes an order, which `send` passes on to all of them (see
/// rank_memory). Views may be empty, since each rank has its own; calls name the request instead
/// of a stream. Page ids, in block tables and in orders, are the same on all ranks.
///
/// `send` is called before the cache's own call returns, and for a commit before anything of it can
/// be found; what it throws, the call throws, and the cache is as after a copy that failed. Under
/// concurrent_cache restores may call it beside each other.
class relay_store {
public:
    using stream = request_tag;
    static constexpr bool holds_bytes = true;

    /// `model` and `capacity` are one rank's. Throws invalid_argument if that is not one page;
    /// zero_freed_pages is refused.
    relay_store(footprint model, byte_count capacity, page_options options,
                std::function<void(copy_order)> send)
        : layout_{std::move(model), options},
          pages_{whole_pages(capacity, layout_)},
          send_{std::move(send)},
          kv_layers_(layout_.model().kv_layers.size()) {
        MARCONI_EXPECT(!options.zero_freed_pages, "zero_freed_pages", "true",
                       "false: relay_store cannot do it");
        MARCONI_EXPECT(send_, "send", "empty", "a function");
    }

    [[nodiscard]] page_layout const& layout() const { return layout_; }
    [[nodiscard]] page_pool& pages() { return pages_; }
    [[nodiscard]] page_pool const& pages() const { return pages_; }

    /// The view to give to restore and commit where the ranks copy KV from and to memory of their
    /// own. Where they work on pages in place it is left empty, as on any store.
    [[nodiscard]] kv_view kv_on_ranks() const { return {kv_layers_}; }

    void save(transfer const& t, request_tag request) {
        pass_on(copy_order::action::save, t, request);
    }
    void load(transfer const& t, request_tag request) const {
        pass_on(copy_order::action::load, t, request);
    }
    void copy_block(page_id from, page_id to, request_tag request) {
        send_(copy_order{
            .what = copy_order::action::copy_block, .request = request, .from = from, .to = to});
    }

private:
    void pass_on(copy_order::action what, transfer const& t, request_tag request) const {
        if (t.kv.begin == t.kv.end && t.checkpoints.empty()) return;
        copy_order order{.what = what,
                         .request = request,
                         .kv_begin = t.kv.begin,
                         .kv_end = t.kv.end,
                         .kv_pages = {t.kv.pages.begin(), t.kv.pages.end()}};
        for (checkpoint_transfer const& c : t.checkpoints)
            order.states.push_back({c.position, {c.pages.begin(), c.pages.end()}});
        send_(std::move(order));
    }

    page_layout layout_;
    page_pool pages_;
    std::function<void(copy_order)> send_;
    std::vector<kv_layer_view> kv_layers_; ///< empty ones: for kv_on_ranks
};

static_assert(store<relay_store>);

} // namespace marconi::memory
