#pragma once

#include <marconi/core/error.hpp>
#include <marconi/core/types.hpp>
#include <marconi/memory/concepts.hpp>
#include <marconi/memory/layout.hpp>
#include <marconi/memory/transfer.hpp>
#include <marconi/memory/views.hpp>

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace marconi::memory {

/// Which request of the engine a call is for: by it, ranks find the views. Any number will do.
struct request_tag {
    std::uint64_t value = 0;
    friend bool operator==(request_tag, request_tag) = default;
};

/// A copy that an index on one machine orders from ranks that hold the memory: a plain value, to be
/// sent as the engine sends things.
struct copy_order {
    enum class action : std::uint8_t {
        load,       ///< pages -> the request's memory
        save,       ///< the request's memory -> pages
        copy_block, ///< page `from` -> page `to`, whole
    };
    struct state {
        token_count position;
        std::vector<page_id> pages;
        friend bool operator==(state const&, state const&) = default;
    };

    action what{};
    request_tag request = {};
    token_count kv_begin = {}; ///< KV of tokens [kv_begin, kv_end); none where they are equal
    token_count kv_end = {};
    std::vector<page_id> kv_pages = {}; ///< of the blocks that these touch
    std::vector<state> states = {};     ///< ascending by position; in a load, one at most
    page_id from = {};
    page_id to = {};

    friend bool operator==(copy_order const&, copy_order const&) = default;
};

/// A rank's part of a cache whose index is elsewhere: a store of the same footprint, capacity and
/// options as the index's relay_store, all of whose pages the index deals out.
///
/// Orders are carried out one after the other, as they were sent, each before the model's work that
/// was scheduled after it and after what was scheduled before: on one stream that is their order of
/// enqueueing. A rank that fails to carry one out no longer holds what the index says.
template <store Store>
class rank_memory {
public:
    using stream = typename Store::stream;

    explicit rank_memory(Store store) : store_{std::move(store)} {
        std::vector<page_id> all(store_.pages().capacity());
        store_.pages().allocate(all);
    }

    /// Copies as ordered, on a stream of the store. `kv` is the request's memory for KV, if the
    /// order has any; `state_at(position)` answers with the state_view of its state for a load, and
    /// for a save of the copy that it took there: its pieces must stay until this returns. Throws
    /// invalid_argument where a page is not one of this store's, or a view does not fit, before it
    /// copies.
    template <std::invocable<token_count> StateAt>
    void carry_out(copy_order const& order, kv_view kv, StateAt&& state_at,
                   stream const& on = unnamed()) {
        expect_pages(order);
        if (order.what == copy_order::action::copy_block) {
            store_.copy_block(order.from, order.to, on);
            return;
        }
        std::vector<checkpoint_transfer> states;
        states.reserve(order.states.size());
        for (copy_order::state const& s : order.states)
            states.push_back({s.position, s.pages, state_at(s.position)});
        transfer const work{.kv = {order.kv_begin, order.kv_end, order.kv_pages, kv},
                            .checkpoints = states};
        if (order.what == copy_order::action::load)
            store_.load(work, on);
        else
            store_.save(work, on);
    }

    /// For the engine's block tables, which the index makes: what they name lies here.
    [[nodiscard]] Store& store() { return store_; }
    [[nodiscard]] Store const& store() const { return store_; }

private:
    static constexpr stream unnamed() requires std::same_as<stream, no_stream> { return {}; }

    void expect_pages(copy_order const& order) const {
        auto const expect = [&](page_id page) {
            MARCONI_EXPECT(page.value() < store_.pages().capacity(), "a page of the copy_order",
                           page.value(),
                           "less than " + std::to_string(store_.pages().capacity()) +
                               ", this rank's pages: has it the index's footprint, capacity and "
                               "options?");
        };
        if (order.what == copy_order::action::copy_block) {
            expect(order.from);
            expect(order.to);
        }
        std::ranges::for_each(order.kv_pages, expect);
        for (copy_order::state const& s : order.states)
            std::ranges::for_each(s.pages, expect);
    }

    Store store_;
};

} // namespace marconi::memory
