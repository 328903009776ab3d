#pragma once

// Everything that a cache holds, against what the reference holds: tree, pages, owners,
// checkpoints, pins, leases, the policy's index, counters; and every byte in its pages.

#include <support/histories/engine.hpp>
#include <support/histories/watch.hpp>
#include <support/reference/cache.hpp>

#include <marconi/cache/audit.hpp>
#include <marconi/cache/prefix_cache.hpp>

#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <span>
#include <string>
#include <vector>

namespace histories {

using marconi::byte_count;
using marconi::token_count;
using reference::disagreement;

using tested_cache =
    marconi::cache::prefix_cache<failing_store, any_admission, watched_eviction, recorder>;

inline void agree_on(bool truth, std::string const& what) {
    if (!truth) throw disagreement{what + ": wrong"};
}
inline void agree(char const* what, double found, double right) {
    if (found == right) return;
    throw disagreement{std::string{what} + " is " + std::to_string(found) + "; expected " +
                       std::to_string(right)};
}
template <std::integral A, std::integral B>
void agree(char const* what, A found, B right) {
    if (static_cast<std::uint64_t>(found) == static_cast<std::uint64_t>(right)) return;
    throw disagreement{std::string{what} + " is " + std::to_string(found) + "; expected " +
                       std::to_string(right)};
}

class comparison {
public:
    comparison(tested_cache const& cache, reference::cache const& right, journal const& notes,
               bool tolerant)
        : cache_{cache},
          entries_{cache.internals()},
          tree_{entries_.tree()},
          right_{right},
          notes_{notes},
          tolerant_{tolerant},
          to_theirs_(right.capacity, none),
          to_right_(right.capacity, none) {}

    void run(std::map<std::uint32_t, int> const& slots) {
        if (!notes_.fault.empty()) throw disagreement{notes_.fault};
        if (!notes_.victims.empty()) throw disagreement{"evicted too much"};
        find_cut_off(slots);
        compare_nodes();
        compare_leases(slots);
        compare_candidates();
        compare_counters(cache_.stats(), right_.counts);
        compare_holdings();
        for (std::string const& fault : marconi::cache::audit(cache_))
            throw disagreement{"audit: " + fault};
    }

private:
    static constexpr std::uint32_t none = std::numeric_limits<std::uint32_t>::max();

    [[nodiscard]] bool is_cut_off(marconi::node_id id) const {
        return tree_[id].payload.forgotten != 0;
    }
    /// Visits each lease, and what it should be.
    template <class Visit>
    void each_lease(std::map<std::uint32_t, int> const& slots, Visit const& visit) const {
        auto const& leases = cache_.leases();
        for (std::uint32_t i = 0; i < leases.slots(); ++i) {
            marconi::cache::lease_id const id{i};
            if (!leases.live(id)) continue;
            auto const slot = slots.find(i);
            if (slot == slots.end()) throw disagreement{"a lease of no request"};
            visit(leases[id], right_.leases.at(slot->second));
        }
    }

    /// What was cut off is told apart by the leases that hold it, or what was cut off below it.
    void find_cut_off(std::map<std::uint32_t, int> const& slots) {
        auto const note = [&](marconi::node_id at, std::optional<path> right) {
            while (at && right && is_cut_off(at)) {
                at = top_of(at);
                letters_[at.value()] = (*right)[0];
                at = tree_[at].parent;
                right = right_.cut_off.at((*right)[0]);
            }
        };
        each_lease(slots, [&](marconi::cache::lease_record const& l, reference::lease const& r) {
            note(l.kv_pinned ? l.node : marconi::node_id{}, r.stands);
            note(l.checkpoint_node, r.holds);
        });
    }
    [[nodiscard]] marconi::node_id top_of(marconi::node_id id) const {
        while (!tree_.is_detached(id))
            id = tree_[id].parent;
        return id;
    }
    [[nodiscard]] path key_of_cut_off(marconi::node_id id) const {
        auto const letter = letters_.find(top_of(id).value());
        if (letter == letters_.end()) throw disagreement{"forgotten, and no lease holds it"};
        path key;
        for (; !tree_[id].is_root(); id = tree_[id].parent) {
            auto const tokens = tree_.tokens(id);
            key.insert(key.begin(), tokens.begin(), tokens.end());
        }
        return letter->second + key;
    }

    [[nodiscard]] path key_of(marconi::node_id id) const {
        if (is_cut_off(id)) return key_of_cut_off(id);
        auto const it = notes_.nodes.find(id.value());
        if (it == notes_.nodes.end()) throw disagreement{"a node that no event told of"};
        return it->second.key;
    }

    void compare_nodes() {
        std::size_t count = 0, cut_off = 0;
        for (std::uint32_t i = 0; i < tree_.slots(); ++i) {
            marconi::node_id const id{i};
            if (!tree_.live(id) || tree_[id].is_root()) continue;
            ++count;
            cut_off += is_cut_off(id);
            compare_node(id);
        }
        for (auto const& [in, root] : tree_.roots()) {
            ++count;
            agree_on(right_.nodes.contains(path(1, static_cast<char>(in.tenant))), "the scopes");
            compare_pins(root, path(1, static_cast<char>(in.tenant)));
        }
        agree("number of nodes and scopes", count, right_.nodes.size());
        agree("nodes by events", notes_.nodes.size(), count - tree_.roots().size() - cut_off);
    }

    void compare_node(marconi::node_id id) {
        path const key = key_of(id);
        auto const& n = tree_[id];
        auto const it = right_.nodes.find(key);
        if (it == right_.nodes.end()) throw disagreement{"holds a node it should not: " + key};
        reference::node const& r = it->second;
        auto const tokens = tree_.tokens(id);
        agree("depth", n.depth, reference::depth_of(key));
        agree("start", n.start(), r.start);
        agree_on(std::equal(tokens.begin(), tokens.end(), key.begin() + 1 + r.start, key.end(),
                            [](std::int32_t a, char b) { return a == b; }),
                 "tokens of " + key);
        auto const& h = n.payload.history;
        agree("last use", h.last_use.value(), r.used.last_use.value());
        agree("uses", h.uses, r.used.uses);
        agree("clock at the last use", h.clock, r.used.clock);
        agree("uses of its own", h.resumed, r.used.resumed);
        auto const pages = entries_.pages(n);
        same_pages(pages, r.pages);
        agree("checkpoint", bool{n.payload.checkpoint}, r.checkpoint.has_value());
        agree_on(is_cut_off(id) == right_.is_cut_off(key), "whether it was forgotten");
        if (!is_cut_off(id)) compare_told(notes_.nodes.at(id.value()), r);
        if (r.checkpoint) same_pages(entries_.checkpoint(id).pages(), *r.checkpoint);
        compare_pins(id, key);
    }
    static void compare_told(journal::told const& told, reference::node const& r) {
        agree("start by events", told.start, r.start);
        agree("checkpoint by events", told.checkpoint, r.checkpoint.has_value());
        agree("whether that is in an answer, by events", told.in_answer,
              r.checkpoint && r.in_answer);
    }
    void compare_pins(marconi::node_id id, path const& key) {
        agree("KV pins", tree_[id].payload.kv_pins, right_.kv_pins(key));
        agree("checkpoint pins", tree_[id].payload.checkpoint_pins, right_.checkpoint_pins(key));
    }

    /// Page ids may differ, but only by names: one to one.
    void same_pages(std::span<marconi::page_id const> theirs,
                    std::vector<reference::page> const& right) {
        agree("number of pages", theirs.size(), right.size());
        for (std::size_t i = 0; i < right.size(); ++i) {
            std::uint32_t const p = theirs[i].value();
            agree_on(p < to_right_.size(), "a page's id");
            if (to_theirs_[right[i]] == none && to_right_[p] == none) {
                to_theirs_[right[i]] = p;
                to_right_[p] = right[i];
            }
            agree_on(to_theirs_[right[i]] == p && to_right_[p] == right[i], "who shares a page");
        }
    }

    void compare_leases(std::map<std::uint32_t, int> const& slots) {
        agree("leases", cache_.leases().size(), right_.leases.size());
        each_lease(slots, [&](marconi::cache::lease_record const& l, reference::lease const& r) {
            agree("whether a lease has a number", l.request != 0, r.counted);
            agree("a lease's position", l.position, r.position);
            agree("a lease's KV pinned", l.kv_pinned, r.stands.has_value());
            if (r.stands && reference::depth_of(*r.stands) > 0)
                agree_on(key_of(l.node) == *r.stands, "the node a lease stands on");
            agree("a lease's checkpoint pinned", bool{l.checkpoint_node}, r.holds.has_value());
            if (r.holds) agree_on(key_of(l.checkpoint_node) == *r.holds, "a lease's checkpoint");
            agree("in place", l.in_place, r.in_place);
            if (!r.pages.empty()) agree("first block", l.first_block, r.first_block);
            same_pages(l.pages, r.pages);
            same_pages(l.replaced, r.replaced);
        });
    }

    void compare_candidates() {
        auto const right = right_.candidates();
        std::map<path, reference::candidate const*> by_key;
        for (auto const& [key, c] : right)
            by_key.emplace(key, &c);
        auto const& rows = cache_.eviction().rows();
        agree("candidates", cache_.eviction().size(), rows.size());
        if (!tolerant_) agree("candidates", rows.size(), right.size());
        for (auto const& [id, c] : rows) {
            auto const it = by_key.find(key_of(id));
            if (it == by_key.end()) throw disagreement{"ranks what is no candidate"};
            compare_facts(c.facts, it->second->facts);
            agree_on(c.used == it->second->used, "the history that the policy knows");
        }
    }
    static void compare_facts(reference::candidate_facts const& f,
                              reference::candidate_facts const& r) {
        agree("bytes freed", f.bytes_freed.value(), r.bytes_freed.value());
        agree("FLOPs saved", f.flops_saved.value(), r.flops_saved.value());
        agree("page bytes", f.page_bytes.value(), r.page_bytes.value());
        agree("a candidate's depth", f.depth.value(), r.depth.value());
        agree("a candidate's start", f.parent_depth.value(), r.parent_depth.value());
        agree("nearest checkpoint above", f.resume_above.value(), r.resume_above.value());
        agree("is a leaf", f.is_leaf, r.is_leaf);
        agree("has a checkpoint", f.has_checkpoint, r.has_checkpoint);
        agree("has it in an answer", f.in_answer, r.in_answer);
    }

    void compare_counters(reference::counters const& c, reference::counters const& r) {
        agree("requests", c.requests, r.requests);
        agree("hits", c.hits, r.hits);
        agree("stale", c.stale, r.stale);
        agree("abandoned", c.abandoned, r.abandoned);
        agree("tokens asked", c.tokens_asked.value(), r.tokens_asked.value());
        agree("tokens matched", c.tokens_matched.value(), r.tokens_matched.value());
        agree("tokens resumed", c.tokens_resumed.value(), r.tokens_resumed.value());
        agree("tokens lost past the limit", c.tokens_lost_past_limit.value(),
              r.tokens_lost_past_limit.value());
        agree("tokens lost without a checkpoint", c.tokens_lost_without_checkpoint.value(),
              r.tokens_lost_without_checkpoint.value());
        agree("FLOPs asked", c.flops_asked.value(), r.flops_asked.value());
        agree("FLOPs saved in all", c.flops_saved.value(), r.flops_saved.value());
        agree("commits", c.commits, r.commits);
        agree("declined commits", c.declined_commits, r.declined_commits);
        agree("short reserves", c.short_reserves, r.short_reserves);
        agree("tokens stored", c.tokens_stored.value(), r.tokens_stored.value());
        agree("checkpoints stored", c.checkpoints_stored, r.checkpoints_stored);
        for (std::size_t i = 0; i < marconi::cache::eviction_reasons; ++i) {
            agree("nodes evicted", c.nodes_evicted[i], r.nodes_evicted[i]);
            agree("checkpoints evicted", c.checkpoints_evicted[i], r.checkpoints_evicted[i]);
        }
        agree("bytes evicted", c.bytes_evicted.value(), r.bytes_evicted.value());
        agree("merges", c.merges, right_.merges);
        agree("the clock", entries_.now().value(), right_.now.value());
    }

    void compare_holdings() {
        auto const o = cache_.holds();
        auto const bytes = [&](std::uint64_t pages) {
            return (right_.layout->page_bytes() * pages).value();
        };
        std::uint64_t checkpoints = 0, checkpoint_pages = 0, roots = 0;
        for (auto const& [key, n] : right_.nodes) {
            roots += reference::depth_of(key) == 0;
            checkpoints += n.checkpoint.has_value();
            if (n.checkpoint) checkpoint_pages += n.checkpoint->size();
        }
        agree("capacity", o.capacity.value(), bytes(right_.capacity));
        agree("used", o.used.value(), bytes(right_.used()));
        agree("peak", o.peak.value(), bytes(right_.peak));
        agree("bytes of checkpoints", o.checkpoints.value(), bytes(checkpoint_pages));
        agree("bytes of KV", o.kv_and_leased.value(), bytes(right_.used() - checkpoint_pages));
        agree("checkpoint count", o.checkpoint_count, checkpoints);
        agree("nodes", o.nodes, right_.nodes.size() - roots);
        agree("scopes", o.scopes, roots);
        agree("open leases", o.leases, right_.leases.size());
        for (char const in : {'A', 'B'})
            compare_scope(in);
    }

    void compare_scope(char in) {
        std::uint64_t tokens = 0, nodes = 0, checkpoints = 0, checkpoint_pages = 0;
        std::set<reference::page> kv;
        for (auto const& [key, n] : right_.nodes) {
            if (key[0] != in || reference::depth_of(key) == 0) continue;
            ++nodes;
            tokens += reference::depth_of(key) - n.start;
            kv.insert(n.pages.begin(), n.pages.end());
            checkpoints += n.checkpoint.has_value();
            if (n.checkpoint) checkpoint_pages += n.checkpoint->size();
        }
        auto const o = cache_.holds({.tenant = static_cast<std::uint64_t>(in)});
        auto const page = right_.layout->page_bytes();
        agree("tokens of a scope", o.tokens.value(), tokens);
        agree("bytes of a scope's KV", o.kv.value(), (page * kv.size()).value());
        agree("bytes of a scope's checkpoints", o.checkpoints.value(),
              (page * checkpoint_pages).value());
        agree("nodes of a scope", o.nodes, nodes);
        agree("checkpoint count of a scope", o.checkpoint_count, checkpoints);
    }

    tested_cache const& cache_;
    tested_cache::entries_type const& entries_;
    tested_cache::entries_type::tree_type const& tree_;
    reference::cache const& right_;
    journal const& notes_;
    std::map<std::uint32_t, char> letters_; // the reference's, of the tops of what was cut off
    bool tolerant_; // candidates that found no memory are ranked before the next eviction
    std::vector<std::uint32_t> to_theirs_, to_right_;
};

inline void compare(tested_cache const& cache, reference::cache const& right, journal const& notes,
                    std::map<std::uint32_t, int> const& slots, bool tolerant) {
    comparison{cache, right, notes, tolerant}.run(slots);
}

/// Every token's KV and every checkpoint is in its pages. A block's page repeats what lies before
/// the node in the block.
inline void check_bytes(tested_cache const& cache, journal const& notes) {
    auto const& entries = cache.internals();
    auto const& layout = cache.store().layout();
    for (auto const& [number, told] : notes.nodes) {
        marconi::node_id const id{number};
        auto const& n = entries.tree()[id];
        engine const right{layout.model(), told.key.substr(1)};
        auto const pages = entries.pages(n);
        std::uint32_t const block = layout.block_tokens(), first = n.start() / block;
        if (!pages.empty())
            for (std::uint32_t t = first * block; t < n.depth; ++t)
                agree_on(right.is_in(cache.store().page(pages[t / block - first]), layout, t),
                         "the KV of token " + std::to_string(t) + " of " + told.key);
        if (!n.payload.checkpoint) continue;
        auto const state = right.state(n.depth);
        auto const& parts = entries.checkpoint(id).pages();
        std::size_t const in_page = layout.page_bytes().value() / 8;
        for (std::size_t i = 0; i < state.size(); ++i) {
            std::uint64_t word;
            std::memcpy(&word, cache.store().page(parts[i / in_page]).data() + i % in_page * 8, 8);
            agree_on(word == state[i], "the state at the end of " + told.key);
        }
    }
}

} // namespace histories
