#pragma once

#include <marconi/cache/commit_arrivals.hpp>
#include <marconi/core/types.hpp>
#include <marconi/core/units.hpp>
#include <marconi/memory/concepts.hpp>
#include <marconi/memory/transfer.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace marconi::cache {

/// What a commit copies from the engine's memory to pages. `Work` is a commit_work.
template <class Work>
class commit_copy {
    using store_type = typename Work::store_type;

public:
    explicit commit_copy(Work const& work) : w_{work} {}

    /// The first token whose KV is copied at all.
    [[nodiscard]] token_count first_read() const {
        if (copies_known()) return token_count{w_.lease.position};
        return w_.known < w_.tokens.size() ? begin_of_new() : token_count{w_.known};
    }
    /// Whether anything is, with these pages for the new tokens.
    [[nodiscard]] bool any(std::span<page_id const> blocks) const {
        bool const kv = !w_.brought.kv.layers.empty() && (!blocks.empty() || copies_known());
        return store_type::holds_bytes && (!w_.arrivals.taken().empty() || kv);
    }
    /// Copies the KV of the new tokens, and of known ones, and the states that are taken.
    void save(std::span<page_id const> blocks, std::span<page_id const> states,
              typename store_type::stream const& stream) const {
        if constexpr (store_type::holds_bytes) {
            bool const in_place = w_.brought.kv.layers.empty();
            std::vector<memory::checkpoint_transfer> checkpoints;
            for (arrival const& a : w_.arrivals.taken())
                checkpoints.push_back({token_count{a.position}, a.own(states), a.state});
            memory::transfer work{.kv = {}, .checkpoints = checkpoints};
            if (!in_place && !blocks.empty()) work.kv = kv_of(begin_of_new(), w_.end, blocks);
            if (!in_place && copies_known()) save_known(stream);
            if constexpr (memory::ordered_store<store_type>)
                if (in_place && !blocks.empty()) w_.store.written(blocks, stream);
            w_.store.save(work, stream);
        }
    }

private:
    /// The first token to copy KV of, for the new tokens. If they begin inside a block, a fresh
    /// page of it needs the rows before them, too; the lease's own page has those already.
    [[nodiscard]] token_count begin_of_new() const {
        std::uint32_t const block_start = w_.known / w_.block * w_.block;
        bool const own = w_.lease.owns_block(w_.known / w_.block);
        return token_count{own ? std::max(block_start, w_.lease.position) : block_start};
    }

    /// A lease that has reserved pages, but commits a copy, also gets what others published up to
    /// `known` in its own pages, which its block table names: from its position to the one
    /// returned.
    [[nodiscard]] std::uint32_t end_of_known() const {
        if (!w_.lease.in_place) return w_.lease.position;
        return std::max(w_.lease.position, std::min(w_.known, w_.lease.end_block() * w_.block));
    }
    [[nodiscard]] bool copies_known() const { return end_of_known() != w_.lease.position; }
    void save_known(typename store_type::stream const& stream) const {
        std::uint32_t const end = end_of_known();
        std::size_t const first = w_.lease.position / w_.block;
        auto const pages = std::span{w_.lease.pages}.subspan(first - w_.lease.first_block,
                                                             divide_up(end, w_.block) - first);
        memory::kv_transfer const work = kv_of(token_count{w_.lease.position}, end, pages);
        w_.store.save(memory::transfer{.kv = work, .checkpoints = {}}, stream);
    }

    [[nodiscard]] memory::kv_transfer kv_of(token_count begin, std::uint32_t end,
                                            std::span<page_id const> pages) const {
        return memory::kv_transfer{
            .begin = begin, .end = token_count{end}, .pages = pages, .engine = w_.brought.kv};
    }

    Work const& w_;
};

} // namespace marconi::cache
