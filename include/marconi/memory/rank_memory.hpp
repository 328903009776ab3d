#pragma once

#include <marconi/core/error.hpp>
#include <marconi/core/types.hpp>
#include <marconi/memory/concepts.hpp>
#include <marconi/memory/copy_order.hpp>
#include <marconi/memory/transfer.hpp>
#include <marconi/memory/views.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace marconi::memory {

/// A rank's part of a cache whose index is elsewhere: a store with the footprint, capacity and
/// options of the index's relay_store. The index deals out all of its pages.
///
/// The engine sends orders and its own steps through one queue, and a rank takes them in turn: a
/// load comes before the step that continues from it, a save after the step that made what it
/// saves. On a device all run on one stream, or on streams that the engine orders in the same way.
/// What an order copies must stay in the request's memory until the rank has carried the order out,
/// so a message that frees that memory goes through the queue, too. No order is sent where nothing
/// is to be copied: a request that resumes at 0 starts from zeros, and after the commit the engine
/// forgets the states that were captured and not saved.
///
/// A rank that fails to carry out an order may try again. If it goes on without, by start_after(),
/// the index believes to be here what is not. Before anybody else opens a request, forget()
///
///   - after a save: what is past kv_begin, if it has KV, or past the token before its first state,
///     whichever is less;
///   - after a load or a copy_block: all that its request has committed, and from the start of the
///     block that it resumed inside;
///
/// and end that request, and others that resumed past there. Or start afresh: release all leases,
/// clear() the cache and, when the ranks have no orders in hand, call start_after() on each with
/// the relay_store's last_order().
template <store Store>
class rank_memory {
public:
    using stream = typename Store::stream;

    /// Throws invalid_argument for a store that zeroes freed pages: here no page is ever freed.
    explicit rank_memory(Store store) : store_{std::move(store)} {
        MARCONI_EXPECT(!store_.pages().wipes(), "zero_freed_pages", "true",
                       "false: it is the index that frees pages");
        std::vector<page_id> all(store_.pages().capacity());
        store_.pages().allocate(all);
    }

    /// Copies as ordered, on a stream of the store. `kv` is the request's memory for KV, if the
    /// order has any. `state_at(position)` returns a state_view: for a load of the request's state,
    /// for a save of the copy taken at that position. The arrays of both may go when this returns.
    ///
    /// Throws before it copies: contract_violation if orders before this one are missing or it came
    /// before; invalid_argument if the order is of another layout, says something impossible, or
    /// does not fit a view. O(bytes), or on a device O(pages) on the host.
    template <std::invocable<token_count> StateAt>
    void carry_out(copy_order const& order, kv_view kv, StateAt&& state_at,
                   stream const& on = unnamed()) {
        check(order);
        if (order.what == copy_order::action::copy_block) {
            store_.copy_block(order.from, order.to, on);
        } else {
            std::vector<kept_view> views;
            std::vector<checkpoint_transfer> states;
            views.reserve(order.states.size());
            for (copy_order::state const& s : order.states)
                states.push_back(
                    {s.position, s.pages, views.emplace_back(state_at(s.position)).view()});
            kv.only = order.kv_layers;
            transfer const work{.kv = {order.kv_begin, order.kv_end, order.kv_pages, kv},
                                .checkpoints = states};
            if (order.what == copy_order::action::load)
                store_.load(work, on);
            else
                store_.save(work, on);
        }
        last_ = order.number;
    }

    /// Continues with the orders after this one, after a failure or on a rank that joins. The index
    /// must refer to no page that this rank has not.
    void start_after(std::uint64_t order) { last_ = order; }

    /// Holds the pages that the index's block tables name.
    [[nodiscard]] Store& store() { return store_; }
    [[nodiscard]] Store const& store() const { return store_; }

private:
    /// A state_view whose arrays may go.
    struct kept_view {
        explicit kept_view(state_view const& v)
            : pieces(v.pieces.begin(), v.pieces.end()),
              windows(v.windows.begin(), v.windows.end()),
              blocks(v.blocks.begin(), v.blocks.end()),
              block_tokens{v.block_tokens},
              pool_blocks{v.pool_blocks} {
            for (window_view& w : windows)
                w.blocks = own_blocks.emplace_back(w.blocks.begin(), w.blocks.end());
        }
        kept_view(kept_view&&) = default;
        [[nodiscard]] state_view view() const {
            return {pieces, windows, blocks, block_tokens, pool_blocks};
        }

        std::vector<std::byte*> pieces;
        std::vector<window_view> windows;
        std::vector<std::vector<std::int32_t>> own_blocks; ///< of the windows
        std::vector<std::int32_t> blocks;
        std::uint32_t block_tokens, pool_blocks;
    };

    static constexpr stream unnamed() requires std::same_as<stream, no_stream> { return {}; }

    void check(copy_order const& order) const {
        if (order.previous > last_ || order.number <= last_)
            throw contract_violation{"carry_out: order " + std::to_string(order.number) +
                                     ", sent after " + std::to_string(order.previous) +
                                     ", came after " + std::to_string(last_)};
        MARCONI_EXPECT(order.layout == store_.layout().fingerprint(), "layout of the copy_order",
                       order.layout,
                       std::to_string(store_.layout().fingerprint()) +
                           ": index and rank need the same footprint and options");
        bool const copies_block = order.what == copy_order::action::copy_block;
        bool const loads = order.what == copy_order::action::load;
        MARCONI_EXPECT(copies_block || loads || order.what == copy_order::action::save,
                       "action of the copy_order", static_cast<unsigned>(order.what),
                       "load, save or copy_block");
        MARCONI_EXPECT(!loads || order.states.size() <= 1, "number of states to load",
                       order.states.size(), "at most 1");
        MARCONI_EXPECT(loads || !order.kv_layers, "kv_layers of the copy_order", "some",
                       "nothing, where it is no load");
        auto const expect = [&](page_id page) {
            MARCONI_EXPECT(page.value() < store_.pages().capacity(), "a page of the copy_order",
                           page.value(),
                           "less than " + std::to_string(store_.pages().capacity()) +
                               ", this rank's pages: the index needs the same capacity");
        };
        if (copies_block) {
            expect(order.from);
            expect(order.to);
        }
        std::ranges::for_each(order.kv_pages, expect);
        for (copy_order::state const& s : order.states)
            std::ranges::for_each(s.pages, expect);
    }

    Store store_;
    std::uint64_t last_ = 0; ///< number of the last order that was carried out here
};

} // namespace marconi::memory
