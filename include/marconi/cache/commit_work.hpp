#pragma once

#include <marconi/cache/commit_arrivals.hpp>
#include <marconi/cache/lease_record.hpp>
#include <marconi/cache/loans.hpp>
#include <marconi/cache/outcome.hpp>
#include <marconi/core/types.hpp>
#include <marconi/core/units.hpp>
#include <marconi/index/match.hpp>

#include <algorithm>
#include <cstdint>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

namespace marconi::cache {

/// What the stages of one commit share, and what its first one does: to follow the sequence as far
/// as it is stored. Positions are tokens from the start of the sequence.
template <class Entries, token TokenType>
struct commit_work {
    using store_type = std::remove_cvref_t<decltype(std::declval<Entries&>().store())>;

    Entries& entries;
    lease_table const& leases;
    lease_record& lease;
    std::span<TokenType const> tokens; ///< the whole sequence so far
    computed const& brought;

    typename Entries::tree_type& tree = entries.tree();
    store_type& store = entries.store();
    std::uint32_t block = store.layout().block_tokens();

    node_id attachment{};    ///< where position `known` is; later the last node added
    std::uint32_t known = 0; ///< how far the sequence is stored already
    std::uint32_t end = 0;   ///< how far it will be
    arrival_list<Entries> arrivals{entries};
    std::vector<page_id> surplus{}; ///< filled for what others have published meanwhile
    commit_outcome outcome{};

    /// Where the lease stands.
    [[nodiscard]] index::location start() {
        if (lease.kv_pinned) return {lease.node, lease.position};
        node_id const root = tree.find_root(lease.match().in);
        return {root ? root : tree.make_root(lease.match().in), 0};
    }
    /// Follows all tokens, or the first ones, from `from` as far as they are stored.
    node_id follow(index::location from, std::span<TokenType const> first_ones) {
        index::location const at = tree.walk(from, first_ones, [](node_id) {});
        known = at.depth;
        return attachment = at.node;
    }
    /// If the sequence leaves an edge, or ends, in its middle, cuts the edge there: what lies
    /// beyond belongs to other requests and may have to make room for this one. When unpinned, the
    /// halves merge again.
    void part_from_others(path_pin<Entries>& pin) {
        entries.reserve(2 * brought.checkpoints.size() + 2, brought.checkpoints.size());
        if (known == tree[attachment].depth) return;
        attachment = entries.split(attachment, known);
        pin.move_to(attachment);
    }

    /// Whether the sequence goes on from what was forgotten: nobody could resume from a state
    /// there.
    [[nodiscard]] bool is_forgotten() const { return tree[attachment].payload.forgotten != 0; }

    /// Blocks of [known, until) for which the lease has no page.
    [[nodiscard]] std::uint64_t fresh_blocks(std::uint32_t until) const {
        if (until == known || !entries.has_kv()) return 0;
        std::uint64_t const first = known / block;
        std::uint64_t const last = divide_up(until, block);
        std::uint64_t const owned_first = std::max<std::uint64_t>(first, lease.first_block);
        std::uint64_t const owned_last =
            std::min<std::uint64_t>(last, lease.first_block + lease.pages.size());
        return last - first - (owned_last > owned_first ? owned_last - owned_first : 0);
    }
};

} // namespace marconi::cache
