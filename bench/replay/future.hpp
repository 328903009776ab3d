#pragma once

// A policy that knows the future, to measure others by. (It is greedy, so not quite a bound.) It is
// written as a policy and an observer for this library's cache, from outside it.

#include "request.hpp"

#include <marconi/cache/observer.hpp>
#include <marconi/core/types.hpp>
#include <marconi/policy/concepts.hpp>
#include <marconi/policy/eviction/index/scan.hpp>
#include <marconi/policy/eviction/usage_history.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

namespace marconi::replay {

/// The first `depth` tokens of a request and its answer.
struct path {
    std::size_t request = 0;
    std::uint64_t depth = 0;
};

/// Which requests of a trace begin with the same tokens.
class future {
public:
    static constexpr std::size_t never = std::numeric_limits<std::size_t>::max();

    /// `whole_prompt`: a request may resume at its prompt's end; otherwise its last token is
    /// computed. O(n log n) comparisons of whole requests.
    future(trace const& requests, bool whole_prompt);

    /// The first request from `from` on that can resume at the end of this path, except those that
    /// can go on to the end of a longer one. O(requests that begin with the path).
    [[nodiscard]] std::size_t next(path at, std::optional<path> longer, std::size_t from) const;

private:
    struct range {
        std::size_t first, last; // of order_
    };
    /// Requests that begin with the path.
    [[nodiscard]] range all_with(path at) const;

    std::vector<std::uint64_t> limits_;    // how deep each may resume
    std::vector<std::size_t> order_;       // requests, sorted by their tokens
    std::vector<std::size_t> place_;       // of each request in order_
    std::vector<std::uint64_t> in_common_; // leading tokens that order_[i] and order_[i - 1] share
};

/// The cache's nodes as an observer knows them: whose tokens they hold, and whether a node has a
/// single child at whose end a request could resume.
class known_nodes {
public:
    /// The request that is replayed now.
    std::size_t current = 0;

    void hear(cache::event<std::int32_t> const& e);
    [[nodiscard]] path path_to(node_id id) const { return nodes_[id.value()].at; }
    /// Where requests that go on from this node resume, if that is known.
    [[nodiscard]] std::optional<path> path_past(node_id id) const;

private:
    struct node {
        path at = {};
        node_id parent = {};
        std::uint32_t children = 0;
        std::uint32_t sum_of_children = 0; // of their ids: an only child's id
        bool has_checkpoint = false;
    };
    node& node_of(node_id id);
    void add_child(node_id parent, node_id child);
    void remove_child(node_id parent, node_id child);

    std::vector<node> nodes_;
};

/// Tells `nodes` of what happens.
struct known_nodes_observer {
    known_nodes* nodes;
    void observe(cache::event<std::int32_t> const& e) noexcept { nodes->hear(e); }
};

/// Evicts what saves the least compute per byte and per request until somebody resumes there, as
/// the trace goes on. Greedy: the optimum may save more. Choosing is O(candidates).
class foresight : public policy::usage_history {
public:
    foresight(future const& what_comes, known_nodes const& nodes)
        : what_comes_{&what_comes}, nodes_{&nodes} {}

    void insert(node_id node, policy::usage const& h, policy::candidate_facts const& facts) {
        index_.insert(node, h, facts);
    }
    void update(node_id node, policy::usage const& h, policy::candidate_facts const& facts) {
        index_.update(node, h, facts);
    }
    void erase(node_id node) { index_.erase(node); }
    void evicted(node_id node) { index_.erase(node); }
    [[nodiscard]] std::optional<node_id> victim(tick now) const;
    [[nodiscard]] std::size_t size() const { return index_.size(); }

private:
    [[nodiscard]] double score(node_id node, policy::candidate_facts const& facts) const;

    future const* what_comes_;
    known_nodes const* nodes_;
    policy::scan_index index_;
};

static_assert(policy::eviction_policy<foresight>);

} // namespace marconi::replay
