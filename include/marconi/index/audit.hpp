#pragma once

#include <marconi/core/types.hpp>
#include <marconi/index/radix_tree.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace marconi::index {

/// Whether a parent finds a child by its first token, and the table of children holds that child
/// exactly if it has siblings (an only child is found without the table).
template <class Token, class Payload>
[[nodiscard]] bool found_by_token(radix_tree<Token, Payload> const& tree, node_id parent,
                                  node_id child) {
    Token const& first = tree.tokens(child)[0];
    bool const filed = tree.children().find(tree.children().hash(parent, first),
                                            [&](node_id c) { return c == child; }) == child;
    return tree.child(parent, first) == child && filed == (tree[parent].child_count > 1);
}

/// Recomputes from scratch what must hold of a tree, and says what does not: links agree both ways,
/// depths add up, edges are not empty, siblings differ in their first token, every child is found
/// under its parent, and every node is reachable, or at or below one that was detached. O(nodes).
template <class Token, class Payload>
[[nodiscard]] std::vector<std::string> audit(radix_tree<Token, Payload> const& tree) {
    std::vector<std::string> faults;
    std::size_t reached = 0, siblings = 0;
    auto const check = [&](node_id id) {
        ++reached;
        auto const& n = tree[id];
        std::string const who = "node " + std::to_string(id.value());
        std::uint32_t children = 0;
        node_id previous;
        for (node_id c = n.first_child; c; previous = c, c = tree[c].next_sibling) {
            if (!tree.live(c) || ++children > n.child_count) {
                faults.push_back(who + ": its list of children is broken");
                return false;
            }
            if (tree[c].parent != id) { // going on below it would lead anywhere
                faults.push_back(who + ": a child has another parent");
                return false;
            }
            if (tree[c].previous_sibling != previous)
                faults.push_back(who + ": siblings disagree about their order");
            if (tree[c].length == 0)
                faults.push_back(who + ": a child's edge is empty");
            else if (tree[c].depth != n.depth + tree[c].length)
                faults.push_back(who + ": a child's depth does not add up");
            else if (!found_by_token(tree, id, c))
                faults.push_back(who + ": a child is not found by its first token");
        }
        if (children > 1) siblings += children;
        if (children != n.child_count) faults.push_back(who + ": its count of children is wrong");
        return true;
    };
    for (auto const& [in, root] : tree.roots()) {
        if (tree[root].depth != 0 || !tree[root].is_root())
            faults.push_back("a root is not at depth 0");
        if (check(root)) tree.each_below(root, check);
    }
    for (std::uint32_t i = 0; i < tree.slots(); ++i) {
        node_id const id{i};
        if (!tree.live(id) || !tree.is_detached(id)) continue;
        if (tree[id].next_sibling || !tree.live(tree[id].parent) ||
            tree[tree[id].parent].depth != tree[id].start())
            faults.push_back("a detached node is not below the end of its parent");
        else if (check(id))
            tree.each_below(id, check);
    }
    if (reached != tree.size())
        faults.push_back(std::to_string(tree.size() - reached) + " nodes are out of reach");
    if (tree.children().size() != siblings)
        faults.push_back("the table of children holds more or less than all that have siblings");
    return faults;
}

} // namespace marconi::index
