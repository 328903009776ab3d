#pragma once

#include <marconi/core/error.hpp>
#include <marconi/core/footprint.hpp>
#include <marconi/core/types.hpp>
#include <marconi/memory/concepts.hpp>
#include <marconi/memory/copy_order.hpp>
#include <marconi/memory/layout.hpp>
#include <marconi/memory/page_pool.hpp>
#include <marconi/memory/transfer.hpp>
#include <marconi/memory/view_checks.hpp>
#include <marconi/memory/views.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>

namespace marconi::memory {

/// The store of an index whose pages lie in other processes, or on other machines: the ranks of a
/// tensor-parallel engine, all of one footprint. Every copy becomes an order, which `send` passes
/// on to each of them (see rank_memory). Calls name the request instead of a stream, and state
/// views may be empty: each rank has its own. Page ids are the same on all ranks.
///
/// `send` is called before the cache's own call returns and, for a commit, before anything of it
/// can be found; by one thread at a time, in the order of the numbers. It must not call the cache,
/// nor wait for anything that does. The cache's call throws what `send` throws and leaves the cache
/// as a failed copy does: the call may be repeated, whether some ranks got the order or none.
class relay_store {
public:
    using stream = request_tag;
    static constexpr bool holds_bytes = true;
    static constexpr bool copies_beside_calls = true;
    static constexpr bool reads_views = false;

    /// `model` and `capacity` are one rank's. Throws invalid_argument if that is not one page, for
    /// zero_freed_pages, and if `send` is empty.
    relay_store(footprint model, byte_count capacity, page_options options,
                std::function<void(copy_order)> send)
        : layout_{std::move(model), options},
          pages_{whole_pages(capacity, layout_)},
          out_{std::make_unique<outbox>()} {
        MARCONI_EXPECT(!options.zero_freed_pages, "zero_freed_pages", "true",
                       "false: relay_store cannot do it");
        MARCONI_EXPECT(send, "send", "empty", "a function");
        out_->send = std::move(send);
    }

    [[nodiscard]] page_layout const& layout() const { return layout_; }
    [[nodiscard]] page_pool& pages() { return pages_; }
    [[nodiscard]] page_pool const& pages() const { return pages_; }

    /// The number of the last order made: where ranks that start afresh go on from.
    [[nodiscard]] std::uint64_t last_order() const {
        std::scoped_lock const alone{out_->mutex};
        return out_->made;
    }

    /// The kv view to give to restore and commit if the ranks copy KV from and to memory of their
    /// own. If they work on pages in place, give an empty one, as with any store.
    [[nodiscard]] static kv_view kv_on_ranks() {
        static constexpr kv_layer_view elsewhere[1]{};
        return {elsewhere};
    }

    void save(transfer const& t, request_tag request) {
        order(copy_order::action::save, t, request);
    }
    void load(transfer const& t, request_tag request) const {
        order(copy_order::action::load, t, request);
    }
    void copy_block(page_id from, page_id to, request_tag request) {
        post({.what = copy_order::action::copy_block, .request = request, .from = from, .to = to});
    }

private:
    struct outbox {
        std::mutex mutex;                 ///< copies may overlap
        std::uint64_t made = 0, sent = 0; ///< numbers of the last orders
        std::function<void(copy_order)> send;
    };

    void order(copy_order::action what, transfer const& t, request_tag request) const {
        if (t.kv.begin == t.kv.end && t.checkpoints.empty()) return;
        check_copied(t.kv.engine, layout_);
        copy_order order{.what = what,
                         .request = request,
                         .kv_begin = t.kv.begin,
                         .kv_end = t.kv.end,
                         .kv_pages = {t.kv.pages.begin(), t.kv.pages.end()},
                         .kv_layers = t.kv.engine.only};
        for (checkpoint_transfer const& c : t.checkpoints)
            order.states.push_back({c.position, {c.pages.begin(), c.pages.end()}});
        post(std::move(order));
    }
    void post(copy_order order) const {
        order.layout = layout_.fingerprint();
        std::scoped_lock const alone{out_->mutex};
        order.previous = out_->sent;
        std::uint64_t const number = order.number = ++out_->made;
        out_->send(std::move(order));
        out_->sent = number;
    }

    page_layout layout_;
    page_pool pages_;
    std::unique_ptr<outbox> out_;
};

static_assert(store<relay_store>);

} // namespace marconi::memory
