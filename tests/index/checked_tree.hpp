#pragma once

#include "tokens.hpp"

#include <marconi/index/audit.hpp>
#include <marconi/index/radix_tree.hpp>

#include <support/catch.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <iterator>
#include <map>
#include <random>
#include <span>
#include <vector>

namespace testing {

/// A radix tree beside a naive one: for each scope the set of its nodes' whole token sequences,
/// with the id of each and the pages of the blocks that its edge touches. step() does something at
/// random to both; check() compares all there is.
template <marconi::token Token>
struct checked_tree {
    using sequence = std::vector<Token>;
    struct entry {
        marconi::node_id id;
        std::vector<std::uint32_t> pages{};
        std::uint32_t generation = 0;
    };
    using nodes = std::map<sequence, entry>; // the root is the empty sequence
    struct mark {
        std::uint32_t value = 0;
    };

    checked_tree(std::uint32_t block_tokens, bool has_pages, std::uint64_t seed)
        : block{block_tokens}, paged{has_pages}, tree{block_tokens, has_pages}, random{seed} {}

    struct {
        int added = 0, split = 0, merged = 0, removed = 0, walked = 0, roots_removed = 0;
    } done;

    void step() {
        marconi::scope const in{.tenant = below(2), .adapter = below(4) / 3};
        nodes& of = scopes[in];
        if (of.empty()) {
            marconi::node_id const root = tree.make_root(in);
            of[{}] = {root, {}, tree.ref(root).generation};
            return;
        }
        bool const shrinking = of.size() > 25 || steps++ / 100 % 2 == 1;
        std::uint64_t const what = below(10);
        if (what < (shrinking ? 1u : 4u)) return add(of);
        if (what < (shrinking ? 2u : 6u)) return split(of);
        if (what < (shrinking ? 4u : 7u)) return merge(of);
        if (what < 8) return remove(in, of);
        walk(of);
    }

    void check() {
        REQUIRE(marconi::index::audit(tree) == std::vector<std::string>{});
        std::size_t total = 0;
        for (auto const& [in, of] : scopes) {
            total += of.size();
            if (of.empty()) {
                REQUIRE_FALSE(tree.find_root(in));
                continue;
            }
            for (auto const& [path, node] : of)
                check_node(of, path, node);
        }
        REQUIRE(tree.size() == total);
    }

    std::uint32_t block;
    bool paged;
    marconi::index::radix_tree<Token, mark> tree;

private:
    std::uint64_t below(std::uint64_t n) { return random() % n; }
    auto any(nodes& of) {
        return std::next(of.begin(), static_cast<std::ptrdiff_t>(below(of.size())));
    }

    static bool begins(sequence const& whole, sequence const& prefix) {
        return prefix.size() <= whole.size() &&
               std::equal(prefix.begin(), prefix.end(), whole.begin());
    }
    /// The longest sequence of a node that properly begins `path`: what lies between the two in
    /// lexicographic order begins with it as well.
    static sequence const& parent_of(nodes const& of, sequence const& path) {
        auto it = of.lower_bound(path);
        do
            --it;
        while (!begins(path, it->first));
        return it->first;
    }
    static std::vector<sequence> children_of(nodes const& of, sequence const& path) {
        std::vector<sequence> children;
        for (auto it = of.upper_bound(path); it != of.end() && begins(it->first, path); ++it)
            if (children.empty() || !begins(it->first, children.back()))
                children.push_back(it->first);
        return children;
    }
    std::uint32_t first_block(std::size_t begin) const {
        return static_cast<std::uint32_t>(begin) / block;
    }
    std::uint32_t last_block(std::size_t end) const {
        return static_cast<std::uint32_t>(end - 1) / block + 1;
    }

    /// One to three nodes in a row on one new segment, as a commit with checkpoints adds them.
    void add(nodes& of) {
        sequence const above = any(of)->first;
        sequence fresh;
        std::uint64_t const length = 1 + below(below(3) == 0 ? 2 * block + 8 : 6);
        for (std::uint64_t i = 0; i < length; ++i)
            fresh.push_back(make_token<Token>(below(i == 0 ? 6 : 3)));
        for (sequence const& child : children_of(of, above))
            if (child[above.size()] == fresh[0]) return;

        auto const start = static_cast<std::uint32_t>(above.size());
        auto const end = start + static_cast<std::uint32_t>(length);
        auto const segment = tree.paths().create(start, std::span<Token const>{fresh});
        std::vector<std::uint32_t> pages;
        if (paged)
            for (marconi::page_id& page :
                 tree.paths().pages(segment, first_block(start), last_block(end)))
                page = marconi::page_id{pages.emplace_back(next_page++)};

        marconi::node_id parent = of.at(above).id;
        std::uint32_t begin = start;
        while (begin < end) {
            auto const stop = begin + 1 + static_cast<std::uint32_t>(below(end - begin));
            parent = tree.add(parent, segment, stop, begin == start);
            tree[parent].payload.value = parent.value();
            sequence path = above;
            path.insert(path.end(), fresh.begin(), fresh.begin() + (stop - start));
            entry e{parent, {}, tree.ref(parent).generation};
            if (paged)
                e.pages.assign(pages.begin() + (first_block(begin) - first_block(start)),
                               pages.begin() + (last_block(stop) - first_block(start)));
            of.emplace(std::move(path), std::move(e));
            begin = stop;
            ++done.added;
        }
    }

    void split(nodes& of) {
        auto const& [path, node] = *any(of);
        if (path.empty()) return;
        std::size_t const start = parent_of(of, path).size();
        if (path.size() - start < 2) return;
        std::size_t const at = start + 1 + below(path.size() - start - 1);
        marconi::node_id const upper = tree.split(node.id, static_cast<std::uint32_t>(at));
        tree[upper].payload.value = upper.value();
        entry above{upper, {}, tree.ref(upper).generation};
        if (paged) {
            std::vector<std::uint32_t>& lower_pages = of.at(path).pages;
            above.pages.assign(lower_pages.begin(),
                               lower_pages.begin() + (last_block(at) - first_block(start)));
            lower_pages.erase(lower_pages.begin(),
                              lower_pages.begin() + (first_block(at) - first_block(start)));
        }
        of.emplace(sequence(path.begin(), path.begin() + static_cast<std::ptrdiff_t>(at)), above);
        ++done.split;
    }

    void merge(nodes& of) {
        std::vector<sequence> mergeable;
        for (auto const& [path, node] : of)
            if (!path.empty() && children_of(of, path).size() == 1) mergeable.push_back(path);
        if (mergeable.empty()) return;
        sequence const path = mergeable[below(mergeable.size())];
        entry const upper = of.at(path);
        entry& lower = of.at(children_of(of, path)[0]);
        std::size_t const start = parent_of(of, path).size();
        tree.reserve_merge(upper.id);
        REQUIRE(tree.merge_into_child(upper.id) == lower.id);
        if (paged)
            lower.pages.insert(lower.pages.begin(), upper.pages.begin(),
                               upper.pages.begin() +
                                   (first_block(path.size()) - first_block(start)));
        of.erase(path);
        ++done.merged;
    }

    void remove(marconi::scope const& in, nodes& of) {
        auto leaf = any(of);
        while (std::next(leaf) != of.end() && begins(std::next(leaf)->first, leaf->first))
            ++leaf;
        if (leaf->first.empty()) {
            tree.remove_root(leaf->second.id);
            of.clear();
            REQUIRE_FALSE(tree.find_root(in));
            ++done.roots_removed;
            return;
        }
        tree.remove_leaf(leaf->second.id);
        of.erase(leaf);
        ++done.removed;
    }

    /// A sequence like a stored one, from a point that lies on its path.
    void walk(nodes& of) {
        sequence prompt = any(of)->first;
        if (!prompt.empty() && below(2)) prompt[below(prompt.size())] = make_token<Token>(below(3));
        if (!prompt.empty() && below(3) == 0) prompt.resize(below(prompt.size()));
        for (std::uint64_t more = below(5); more > 0; --more)
            prompt.push_back(make_token<Token>(below(3)));

        std::size_t matched = 0;
        for (auto const& [path, node] : of)
            matched = std::max<std::size_t>(
                matched,
                static_cast<std::size_t>(
                    std::mismatch(path.begin(), path.end(), prompt.begin(), prompt.end()).first -
                    path.begin()));
        sequence const common(prompt.begin(),
                              prompt.begin() + static_cast<std::ptrdiff_t>(matched));

        std::size_t const from = below(matched + 1);
        sequence const point(prompt.begin(), prompt.begin() + static_cast<std::ptrdiff_t>(from));
        marconi::index::location const at = tree.walk(
            {holding(of, point), static_cast<std::uint32_t>(from)}, std::span<Token const>{prompt},
            [&](marconi::node_id id) { reached.push_back(id); });
        REQUIRE(at.depth == matched);
        REQUIRE(at.node == holding(of, common));
        REQUIRE(tree.holding(at.node, static_cast<std::uint32_t>(from)) == holding(of, point));

        std::vector<marconi::node_id> wanted;
        for (auto const& [path, node] : of) // in order of length, since each begins the next
            if (path.size() > from && begins(common, path)) wanted.push_back(node.id);
        REQUIRE(reached == wanted);
        reached.clear();
        ++done.walked;
    }

    /// The node with the shortest sequence that begins with `point`.
    static marconi::node_id holding(nodes const& of, sequence const& point) {
        entry const* best = nullptr;
        std::size_t shortest = SIZE_MAX;
        for (auto const& [path, node] : of)
            if (begins(path, point) && path.size() < shortest) {
                shortest = path.size();
                best = &node;
            }
        REQUIRE(best);
        return best->id;
    }

    void check_node(nodes const& of, sequence const& path, entry const& node) {
        REQUIRE(tree.live(marconi::node_ref{node.id, node.generation}));
        auto const& n = tree[node.id];
        REQUIRE(n.depth == path.size());
        if (path.empty()) {
            REQUIRE(n.is_root());
            return;
        }
        sequence const& above = parent_of(of, path);
        REQUIRE(n.parent == of.at(above).id);
        REQUIRE(n.start() == above.size());
        REQUIRE(n.payload.value == node.id.value());
        REQUIRE(std::ranges::equal(tree.tokens(node.id), std::span{path}.subspan(above.size())));
        if (!paged) return;
        auto const pages =
            tree.paths().pages(n.segment, first_block(above.size()), last_block(path.size()));
        REQUIRE(std::ranges::equal(pages, node.pages, {}, &marconi::page_id::value));
    }

    std::mt19937_64 random;
    std::map<marconi::scope, nodes> scopes{};
    std::vector<marconi::node_id> reached{};
    std::uint32_t next_page = 0;
    std::uint32_t steps = 0;
};

} // namespace testing
