#pragma once

// What a cache holds, in the most naive way: a map from paths to nodes. Nothing is counted as it
// changes; whatever is asked for is found by looking at everything.

#include <support/reference/ranking.hpp>

#include <marconi/core/types.hpp>
#include <marconi/memory/layout.hpp>

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace reference {

using marconi::token_count;

/// A letter for the scope, then a letter for each token from the root on.
using path = std::string;
inline std::uint32_t depth_of(path const& key) {
    return static_cast<std::uint32_t>(key.size()) - 1;
}
inline bool is_prefix(path const& key, path const& of) {
    return key.size() <= of.size() && of.compare(0, key.size(), key) == 0;
}
inline std::uint32_t common(path const& a, path const& b) {
    return static_cast<std::uint32_t>(std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first -
                                      a.begin());
}

using page = std::uint32_t;

/// The tokens [start, depth) of its path. A root is a node without any.
struct node {
    std::uint64_t tag = 0; ///< tells it from an earlier node at the same place
    std::uint32_t start = 0;
    std::vector<page> pages; ///< of the blocks it touches
    std::optional<std::vector<page>> checkpoint;
    bool in_answer = false; ///< of the checkpoint
    history used;
    marconi::tick last_use = {}; ///< its own: a merge keeps the child's
    double weight = 1;
};

struct lease {
    char scope = 0;
    std::uint32_t resume_at = 0;
    bool by_own_state = false;
    std::uint32_t answer_from = 0;
    double weight = 1;
    bool counted = true, committed = false; ///< any token, even if it was declined
    marconi::policy::capture_rule captures;
    std::optional<path> stands; ///< the node whose KV it pins
    std::optional<path> holds;  ///< the node whose checkpoint it pins
    std::uint32_t position = 0;
    bool in_place = false;
    std::vector<page> pages; ///< its own, of blocks `first_block` and on
    std::uint32_t first_block = 0;
    std::vector<page> replaced;

    [[nodiscard]] std::uint32_t end_block() const {
        return first_block + static_cast<std::uint32_t>(pages.size());
    }
    [[nodiscard]] bool owns(std::uint32_t block) const {
        return block >= first_block && block < end_block();
    }
};

struct entries {
    marconi::memory::page_layout const* layout = nullptr;
    std::uint64_t capacity = 0;
    std::map<path, node> nodes;
    std::map<int, lease> leases;
    /// What was forgotten while leases held it: under a letter of its own in place of its scope's,
    /// with the path that it goes on from.
    std::map<char, path> cut_off;
    std::optional<path> working; ///< pinned by the commit in progress
    std::set<path> staying;      ///< pinned while what is unused is forgotten
    std::uint64_t tags = 0, merges = 0, dropped_duplicates = 0;

    [[nodiscard]] std::uint32_t block() const { return layout->block_tokens(); }
    [[nodiscard]] bool has_kv() const { return layout->model().has_kv(); }
    [[nodiscard]] bool needs_checkpoint() const { return layout->model().has_checkpoints(); }

    // ---- who is whose ----

    [[nodiscard]] std::vector<path> children(path const& key) const {
        std::vector<path> found;
        for (auto it = nodes.upper_bound(key); it != nodes.end() && is_prefix(key, it->first); ++it)
            if (it->second.start == depth_of(key)) found.push_back(it->first);
        return found;
    }
    [[nodiscard]] int kv_pins(path const& key) const {
        int pins = (working == key) + static_cast<int>(staying.count(key));
        for (auto const& [slot, l] : leases)
            pins += l.stands == key;
        for (auto const& [letter, above] : cut_off)
            pins += above == key;
        return pins;
    }
    [[nodiscard]] bool is_cut_off(path const& key) const { return cut_off.contains(key[0]); }
    [[nodiscard]] int checkpoint_pins(path const& key) const {
        int pins = 0;
        for (auto const& [slot, l] : leases)
            pins += l.holds == key;
        return pins;
    }
    /// The node of a stored path's token at `position`.
    [[nodiscard]] path holding(path const& stored, std::uint32_t position) const {
        path const upto = stored.substr(0, 1 + position);
        for (auto it = nodes.lower_bound(upto); it != nodes.end() && is_prefix(upto, it->first);
             ++it)
            if (it->second.start < position || depth_of(it->first) == 0) return it->first;
        return {};
    }
    [[nodiscard]] std::uint32_t resume_above(node const& n, path const& key) const {
        for (std::uint32_t start = n.start; start > 0;) {
            node const& above = nodes.at(key.substr(0, 1 + start));
            if (above.checkpoint) return start;
            start = above.start;
        }
        return 0;
    }

    // ---- pages ----

    [[nodiscard]] std::vector<std::uint16_t> owners() const {
        std::vector<std::uint16_t> count(capacity);
        auto const add = [&](std::vector<page> const& pages) {
            for (page const p : pages)
                ++count[p];
        };
        for (auto const& [key, n] : nodes) {
            add(n.pages);
            if (n.checkpoint) add(*n.checkpoint);
        }
        for (auto const& [slot, l] : leases) {
            add(l.pages);
            add(l.replaced);
        }
        return count;
    }
    [[nodiscard]] std::uint64_t used() const {
        auto const count = owners();
        return capacity - static_cast<std::uint64_t>(std::count(count.begin(), count.end(), 0));
    }
    [[nodiscard]] std::uint64_t available() const { return capacity - used(); }
    /// Pages that nothing owns.
    [[nodiscard]] std::vector<page> unowned(std::uint64_t wanted) const {
        auto const count = owners();
        std::vector<page> found;
        for (page p = 0; p < capacity && found.size() < wanted; ++p)
            if (count[p] == 0) found.push_back(p);
        return found;
    }
    /// The page of each block of the path's first tokens: from the deepest node touching it.
    [[nodiscard]] std::vector<page> path_pages(path const& key, std::uint32_t tokens) const {
        std::map<std::uint32_t, page> of_block; // nodes come from the top down
        auto const add = [&](path const& whole) {
            for (auto const& [k, n] : nodes)
                if (is_prefix(k, whole))
                    for (std::size_t i = 0; i < n.pages.size(); ++i)
                        of_block[n.start / block() + static_cast<std::uint32_t>(i)] = n.pages[i];
        };
        std::vector<path> parts{key};
        while (is_cut_off(parts.back()))
            parts.push_back(cut_off.at(parts.back()[0]));
        std::for_each(parts.rbegin(), parts.rend(), add);
        std::vector<page> table;
        for (std::uint32_t b = 0; b * block() < tokens; ++b)
            table.push_back(of_block.at(b));
        return table;
    }

    // ---- what changes ----

    /// Cuts a node; the upper half is new, the lower one keeps all but tokens and pages.
    path split(path const& key, std::uint32_t at) {
        node& lower = nodes.at(key);
        node upper{.tag = ++tags,
                   .start = lower.start,
                   .pages = {},
                   .checkpoint = {},
                   .used = lower.used,
                   .last_use = lower.last_use,
                   .weight = lower.weight};
        if (has_kv()) {
            std::uint32_t const first = lower.start / block();
            auto const begin = lower.pages.begin();
            upper.pages.assign(begin, begin + ((at - 1) / block() + 1 - first));
            lower.pages.erase(begin, begin + (at / block() - first));
        }
        lower.start = at;
        path const upper_key = key.substr(0, 1 + at);
        nodes.emplace(upper_key, std::move(upper));
        return upper_key;
    }

    [[nodiscard]] bool goes_whole(path const& key) const {
        return children(key).empty() && kv_pins(key) == 0;
    }
    [[nodiscard]] bool is_candidate(path const& key) const {
        if (depth_of(key) == 0 || checkpoint_pins(key) != 0 || children(key).size() > 1 ||
            is_cut_off(key))
            return false;
        return kv_pins(key) == 0 || nodes.at(key).checkpoint;
    }
    void evict(path const key) {
        bool const whole = goes_whole(key);
        nodes.at(key).checkpoint.reset();
        if (whole) nodes.erase(key);
        settle();
    }

    /// "An unpinned node with one child and no checkpoint merges into the child at once; a leaf
    /// that owns neither checkpoint nor page is removed at once."
    void settle() {
        for (bool changed = true; changed;) {
            changed = false;
            for (auto it = nodes.begin(); it != nodes.end();)
                changed |= settle((it++)->first);
            changed |= std::erase_if(cut_off, [&](auto const& cut) {
                           auto const it = nodes.lower_bound(path(1, cut.first));
                           return it == nodes.end() || it->first[0] != cut.first;
                       }) != 0;
        }
    }

    /// Pages that would have no owner left if this candidate went alone.
    [[nodiscard]] std::uint64_t pages_freed(path const& key,
                                            std::vector<std::uint16_t> const& owned) const {
        node const& n = nodes.at(key);
        std::vector<page> gives;
        if (n.checkpoint) gives = *n.checkpoint;
        if (goes_whole(key))
            gives.insert(gives.end(), n.pages.begin(), n.pages.end());
        else if (kv_pins(key) == 0 && has_kv() && depth_of(key) % block() != 0)
            gives.push_back(n.pages.back()); // the child has one of its own, or the same
        return static_cast<std::uint64_t>(
            std::count_if(gives.begin(), gives.end(), [&](page p) { return owned[p] == 1; }));
    }

    [[nodiscard]] candidate_facts facts(path const& key,
                                        std::vector<std::uint16_t> const& owned) const {
        node const& n = nodes.at(key);
        std::uint32_t const above = needs_checkpoint() ? resume_above(n, key) : n.start;
        bool const saves = n.checkpoint || !needs_checkpoint();
        return {.bytes_freed = layout->page_bytes() * pages_freed(key, owned),
                .flops_saved = saves ? layout->model().flops.between(token_count{above},
                                                                     token_count{depth_of(key)})
                                     : flop_count{},
                .page_bytes = layout->page_bytes(),
                .depth = token_count{depth_of(key)},
                .parent_depth = token_count{n.start},
                .resume_above = token_count{above},
                .is_leaf = children(key).empty(),
                .has_checkpoint = n.checkpoint.has_value(),
                .in_answer = n.checkpoint.has_value() && n.in_answer,
                .weight = n.weight};
    }

private:
    bool settle(path const& key) {
        node& n = nodes.at(key);
        if (is_cut_off(key) && checkpoint_pins(key) == 0) n.checkpoint.reset();
        if (n.checkpoint || kv_pins(key) != 0) return false;
        auto const below = children(key);
        bool const root = depth_of(key) == 0;
        if (below.empty() && (root || !has_kv() || is_cut_off(key))) return nodes.erase(key) != 0;
        if (below.size() != 1 || root) return false;
        node& child = nodes.at(below.front());
        child.used = {std::max(child.used.last_use, n.used.last_use),
                      std::max(child.used.uses, n.used.uses),
                      std::max(child.used.clock, n.used.clock), child.used.resumed};
        child.weight = std::max(child.weight, n.weight);
        if (has_kv() && depth_of(key) % block() != 0) {
            dropped_duplicates += n.pages.back() != child.pages.front();
            n.pages.pop_back(); // the child's stays
        }
        child.pages.insert(child.pages.begin(), n.pages.begin(), n.pages.end());
        child.start = n.start;
        ++merges;
        return nodes.erase(key) != 0;
    }
};

} // namespace reference
