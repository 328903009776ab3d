#pragma once

#include <marconi/cache/plan.hpp>
#include <marconi/core/error.hpp>
#include <marconi/core/types.hpp>
#include <marconi/index/arena.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

namespace marconi::cache {

using lease_id = identifier<struct lease_id_kind>;

/// What the cache keeps of a lease.
struct lease_record {
    std::uint64_t request = 0; ///< its number: the cache's first is 1; 0 if it is not counted
    request_plan granted;      ///< what acquire() was given: stays as it is while the lease lives

    node_id node;               ///< whose KV it pins, if kv_pinned; ends at `position`
    std::uint32_t position = 0; ///< tokens published on its path: where it stands
    bool kv_pinned = false;
    std::uint64_t let_go_hash = 0; ///< without kv_pinned: a hash of those before `position`
    node_id checkpoint_node;       ///< whose checkpoint it pins, if any

    std::uint32_t offered = 0;  ///< tokens of its longest commit, published or declined
    std::uint32_t captured = 0; ///< position of the last state that a commit brought
    /// Where commits have brought states, up to the prompt's end; ascending.
    std::vector<token_count> captured_in_prompt;

    /// Pages it owns a reference to, of blocks first_block and on: reserved ones, and the last,
    /// partly filled one of what it published.
    std::vector<page_id> pages;
    std::uint32_t first_block = 0;
    bool in_place = false; ///< it reserved pages, whose indices must not change
    /// Pages that it replaced by a copy to go on in; tables handed out may still name them.
    std::vector<page_id> replaced;

    /// Of a commit under way: the node that it pins beside `node`, and the pages that it fills.
    node_id committing;
    std::vector<page_id> filling;

    [[nodiscard]] match_result const& match() const { return granted.match; }
    [[nodiscard]] float weight() const { return static_cast<float>(match().weight); }

    /// Call when pages went: a lease with none left is as if it had not reserved.
    void forget_place_if_empty() {
        if (!pages.empty()) return;
        first_block = 0;
        in_place = false;
    }
    [[nodiscard]] std::uint32_t end_block() const {
        return first_block + static_cast<std::uint32_t>(pages.size());
    }
    [[nodiscard]] bool owns_block(std::uint32_t block) const {
        return block >= first_block && block < end_block();
    }
};

/// Makes room for `more`, and for many later ones, since a lease gets them one by one.
template <class T>
void reserve_more(std::vector<T>& list, std::size_t more) {
    if (list.capacity() - list.size() < more)
        list.reserve(std::max(list.size() + more, 2 * list.capacity()));
}

using lease_table = index::arena<lease_record, lease_id, 32>;

/// Leases that outlive their cache would write through dead references: this ends the program.
inline void stop_if_leased(lease_table const& leases) noexcept {
    if (leases.size() == 0) return;
    std::fprintf(stderr,
                 "marconi: a prefix_cache was destroyed before its leases were released: %zu\n",
                 leases.size());
    std::abort();
}

/// While a commit copies with no lock held, no other call may change its lease.
[[nodiscard]] inline lease_record& idle(lease_record& lease) {
    if (lease.committing) throw contract_violation{"another thread is committing with this lease"};
    return lease;
}
/// To let go of its KV would free what the commit copies to: this ends the program.
inline void stop_if_committing(lease_record const& lease) noexcept {
    if (!lease.committing) return;
    std::fputs("marconi: a lease was released while another thread commits with it\n", stderr);
    std::abort();
}

} // namespace marconi::cache
