#pragma once

#include <marconi/cache/commit_arrivals.hpp>
#include <marconi/core/error.hpp>
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
    explicit commit_copy(Work const& work) : work_{work} {}

    /// The first token whose KV is copied at all.
    [[nodiscard]] token_count first_read() const {
        if (copies_known()) return token_count{work_.lease.position};
        return work_.known < work_.tokens.size() ? begin_of_new() : token_count{work_.known};
    }
    /// Whether anything is, with these pages for the new tokens.
    [[nodiscard]] bool any(std::span<page_id const> blocks) const {
        bool const kv = !work_.brought.kv.layers.empty() && (!blocks.empty() || copies_known());
        return store_type::holds_bytes && (!work_.arrivals.taken().empty() || kv);
    }
    /// The page that has the first rows of the block that the new tokens begin inside, if the
    /// engine has not all of them. Throws contract_violation if the cache has not either.
    [[nodiscard]] page_id page_of_head() const {
        std::uint64_t const from = work_.brought.kv_from.value();
        if (!work_.entries.has_kv() || work_.brought.kv.layers.empty()) return {};
        if (work_.known == work_.tokens.size()) return {};
        if (from > work_.known)
            throw contract_violation{"commit: KV before kv_from was evicted after let_go_kv()"};
        if (from <= block_of_new() * work_.block || work_.lease.owns_block(block_of_new()))
            return {};
        return work_.entries.page_of_block(work_.tree[work_.attachment], block_of_new());
    }
    /// Copies the KV of the new tokens, and of known ones, and the states that are taken. `head` is
    /// the page_of_head(), which looks at the tree, as this does not: others may change it
    /// meanwhile.
    void save(std::span<page_id const> blocks, std::span<page_id const> states, page_id head,
              typename store_type::stream const& stream) const {
        if constexpr (store_type::holds_bytes) {
            bool const no_view = work_.brought.kv.layers.empty();
            if (head && !blocks.empty()) work_.store.copy_block(head, blocks.front(), stream);
            std::vector<memory::checkpoint_transfer> checkpoints;
            for (arrival const& a : work_.arrivals.taken())
                checkpoints.push_back({token_count{a.position}, a.own(states), a.state});
            memory::transfer work{.kv = {}, .checkpoints = checkpoints};
            if (!no_view && !blocks.empty()) work.kv = kv_of(begin_of_new(), work_.end, blocks);
            if (!no_view && copies_known()) save_known(stream);
            if constexpr (memory::ordered_store<store_type>)
                if (no_view && !blocks.empty()) work_.store.written(blocks, stream);
            work_.store.save(work, stream);
        }
    }

private:
    [[nodiscard]] std::uint32_t block_of_new() const { return work_.known / work_.block; }
    /// The first token to copy KV of, for the new tokens. If they begin inside a block, a fresh
    /// page of it needs the rows before them, too; the lease's own page has those already.
    [[nodiscard]] token_count begin_of_new() const {
        std::uint32_t const block_start = block_of_new() * work_.block;
        if (work_.lease.owns_block(block_of_new()))
            return token_count{std::max(block_start, work_.lease.position)};
        return token_count{work_.brought.kv_from.value() > block_start ? work_.known : block_start};
    }

    /// A lease that has reserved pages, but commits a copy, also gets what others published up to
    /// `known` in its own pages, which its block table names: from its position to the one
    /// returned.
    [[nodiscard]] std::uint32_t end_of_known() const {
        if (!work_.lease.in_place) return work_.lease.position;
        return std::max(work_.lease.position,
                        std::min(work_.known, work_.lease.end_block() * work_.block));
    }
    [[nodiscard]] bool copies_known() const { return end_of_known() != work_.lease.position; }
    void save_known(typename store_type::stream const& stream) const {
        std::uint32_t const end = end_of_known();
        std::size_t const first = work_.lease.position / work_.block;
        auto const pages = std::span{work_.lease.pages}.subspan(
            first - work_.lease.first_block, divide_up(end, work_.block) - first);
        memory::kv_transfer const work = kv_of(token_count{work_.lease.position}, end, pages);
        work_.store.save(memory::transfer{.kv = work, .checkpoints = {}}, stream);
    }

    [[nodiscard]] memory::kv_transfer kv_of(token_count begin, std::uint32_t end,
                                            std::span<page_id const> pages) const {
        return memory::kv_transfer{
            .begin = begin, .end = token_count{end}, .pages = pages, .engine = work_.brought.kv};
    }

    Work const& work_;
};

} // namespace marconi::cache
