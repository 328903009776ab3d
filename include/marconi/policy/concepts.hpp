#pragma once

// The two extension points for policies. Both are values: each cache owns a copy. An eviction
// policy is copied while it ranks nothing. One that was moved from may only be destroyed or
// assigned to: its index may be gone while it still counts what was in it.

#include <marconi/core/types.hpp>
#include <marconi/policy/facts.hpp>

#include <concepts>
#include <cstddef>
#include <optional>
#include <type_traits>

namespace marconi::policy {

/// Admission decides which checkpoints deserve to exist.
///
/// `captures(facts)` is called once a request, before its prefill, and must be a pure function of
/// the facts: it may be called from several threads at once, as plan() may. Positions past
/// `facts.limit`, at or before `facts.resumable`, or off the grid are dropped by the cache.
template <class P>
concept admission_policy = std::copyable<P> && requires(P const policy, request_facts const facts) {
    { policy.captures(facts) } -> std::convertible_to<capture_rule>;
};

/// Eviction ranks the candidates and names the next victim. It owns the index of the candidates;
/// the cache keeps one `history` value per node for it, candidates or not, and calls it from one
/// thread at a time.
///
///   history          what the policy remembers of a node: a small regular type, copied at will.
///   created(now)     the history of a node published now.
///   used(h, now)     a request resumed from the node, or committed just what was there already, or
///                    brought the checkpoint that it had lacked.
///   merged(c, p)     parent `p` merges into child `c`: the history of the surviving child.
///                    A split copies the history to both halves; no call is made.
///   insert(n, h, f)  node n became a candidate. n is not in the index.
///   update(n, h, f)  history or facts of candidate n changed. n is in the index.
///   erase(n)         n is no candidate any more. n is in the index.
///   victim(now)      the candidate to evict next; nothing if the policy would evict none of them.
///                    `now` is later than every tick seen so far. Changes nothing that affects
///                    later answers.
///   evicted(n)       like erase, for the victim: a greedy-dual policy advances its clock here.
///   size()           candidates in the index.
///
/// Expected costs, N candidates: victim and the four changes O(log N). Decisions must be a pure
/// function of the sequence of calls, so that replicas agree. insert may throw std::bad_alloc and
/// then has changed nothing; created, used, merged, update, erase and evicted must not throw: the
/// cache is in the middle of a change that it cannot undo.
template <class P>
concept eviction_policy = std::copyable<P> && std::regular<typename P::history> &&
    std::is_nothrow_copy_constructible_v<typename P::history> &&
    std::is_nothrow_copy_assignable_v<typename P::history> &&
    requires(P policy, P const view, typename P::history const history, node_id node,
             candidate_facts const facts, tick now) {
    { view.created(now) } -> std::same_as<typename P::history>;
    { view.used(history, now) } -> std::same_as<typename P::history>;
    { view.merged(history, history) } -> std::same_as<typename P::history>;
    policy.insert(node, history, facts);
    policy.update(node, history, facts);
    policy.erase(node);
    { view.victim(now) } -> std::same_as<std::optional<node_id>>;
    policy.evicted(node);
    { view.size() } -> std::convertible_to<std::size_t>;
};

/// A policy with `static constexpr bool refreshes_path = true` is told of a use for every node on
/// the path of a hit, as block caches do. Without it only the node resumed from is refreshed.
template <class P>
inline constexpr bool refreshes_path = [] {
    if constexpr (requires { P::refreshes_path; }) {
        static_assert(std::same_as<decltype(P::refreshes_path), bool const>,
                      "refreshes_path is a static constexpr bool");
        return P::refreshes_path;
    } else {
        return false;
    }
}();

/// A policy may have `likely_victim()`, which must not throw: in O(1), a candidate that victim()
/// would name if nothing changed, or nothing. The cache asks while it evicts the one before, so
/// that memory for evicting this one is on its way by then: the cache's and, if likely_victim()
/// asks for it, the policy's. No decision depends on it.
template <class P>
inline constexpr bool names_likely_victim = requires(P const policy) {
    policy.likely_victim();
};
template <class P>
[[nodiscard]] std::optional<node_id> likely_victim([[maybe_unused]] P const& policy) noexcept {
    if constexpr (names_likely_victim<P>)
        return policy.likely_victim();
    else
        return std::nullopt;
}

/// A policy may have `prefetch(n)`, which must not throw: it asks for the memory that inserting or
/// updating node n will look at, which need be no candidate. No decision depends on it.
template <class P>
void prefetch_rank([[maybe_unused]] P const& policy, [[maybe_unused]] node_id node) noexcept {
    if constexpr (requires { policy.prefetch(node); }) policy.prefetch(node);
}

} // namespace marconi::policy
