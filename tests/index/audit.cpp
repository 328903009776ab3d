// index::audit finds what is planted: each fault in a tree of its own, where nothing else is wrong.

#include <marconi/index/audit.hpp>
#include <marconi/index/radix_tree.hpp>

#include <support/catch.hpp>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <variant>
#include <vector>

using namespace marconi;

namespace {

using tree_type = index::radix_tree<std::int32_t, std::monostate>;

///     root ── trunk ──┬── left ── low
///                     ├── middle
///                     └── right
struct planted {
    tree_type tree{16, true};
    node_id root = tree.make_root({});
    node_id trunk = add(root, {1, 2, 3});
    node_id left = add(trunk, {4, 5});
    node_id middle = add(trunk, {6, 7});
    node_id right = add(trunk, {8, 9});
    node_id low = add(left, {10, 11});

    node_id add(node_id parent, std::vector<std::int32_t> const& tokens) {
        std::uint32_t const begin = tree[parent].depth;
        auto const segment = tree.paths().create(begin, std::span{tokens});
        return tree.add(parent, segment, begin + static_cast<std::uint32_t>(tokens.size()), true);
    }
    void retoken(node_id id, std::int32_t first) {
        *const_cast<std::int32_t*>(tree.tokens(id).data()) = first;
    }
};

struct fault {
    std::string name;
    std::function<void(planted&)> plant;
    std::string told;
};

std::vector<fault> const all_faults{
    {"a child of another", [](planted& p) { p.tree[p.low].parent = p.middle; }, "another parent"},
    {"a child that is its parent's parent", [](planted& p) { p.tree[p.left].parent = p.low; },
     "another parent"},
    {"a child that takes itself for a root", [](planted& p) { p.tree[p.middle].parent = {}; },
     "another parent"},
    {"no way back to a sibling", [](planted& p) { p.tree[p.middle].previous_sibling = {}; },
     "disagree about their order"},
    {"a way back to the wrong sibling",
     [](planted& p) { p.tree[p.left].previous_sibling = p.right; }, "disagree about their order"},
    {"a list that ends early", [](planted& p) { p.tree[p.middle].next_sibling = {}; },
     "count of children is wrong"},
    {"a list that goes round", [](planted& p) { p.tree[p.middle].next_sibling = p.right; },
     "list of children is broken"},
    {"a list that leads elsewhere", [](planted& p) { p.tree[p.left].next_sibling = p.low; },
     "list of children is broken"},
    {"a list that leads to no node",
     [](planted& p) { p.tree[p.middle].next_sibling = node_id{4000}; },
     "list of children is broken"},
    {"one child too few counted", [](planted& p) { --p.tree[p.trunk].child_count; },
     "list of children is broken"},
    {"one child too many counted", [](planted& p) { ++p.tree[p.trunk].child_count; },
     "count of children is wrong"},
    {"no first child", [](planted& p) { p.tree[p.left].first_child = {}; },
     "count of children is wrong"},
    {"a first child of another", [](planted& p) { p.tree[p.left].first_child = p.right; },
     "another parent"},
    {"an empty edge", [](planted& p) { p.tree[p.right].length = 0; }, "edge is empty"},
    {"an edge too long", [](planted& p) { ++p.tree[p.right].length; }, "does not add up"},
    {"a depth too small", [](planted& p) { --p.tree[p.left].depth; }, "does not add up"},
    {"a depth far too large", [](planted& p) { p.tree[p.low].depth = 1u << 30; },
     "does not add up"},
    {"a root below depth 0", [](planted& p) { p.tree[p.root].depth = 3; }, "not at depth 0"},
    {"a root with a parent", [](planted& p) { p.tree[p.root].parent = p.low; }, "not at depth 0"},
    {"siblings with one first token",
     [](planted& p) {
         p.add(p.trunk, {6, 1});
     },
     "not found by its first token"},
    {"a first token that changed", [](planted& p) { p.retoken(p.right, 80); },
     "not found by its first token"},
    {"a root that is gone", [](planted& p) { p.tree.remove_root(p.root); },
     "5 nodes are out of reach"},
    {"a detached node with a sibling",
     [](planted& p) {
         p.tree.detach(p.left);
         p.tree[p.left].next_sibling = p.right;
     },
     "not below the end of its parent"},
    {"a detached node whose parent ends elsewhere",
     [](planted& p) {
         p.tree.detach(p.left);
         p.tree[p.left].parent = p.root;
     },
     "not below the end of its parent"},
    {"a fault below a detached node",
     [](planted& p) {
         p.tree.detach(p.left);
         p.tree[p.low].length = 0;
     },
     "edge is empty"},
};

} // namespace

TEST_CASE("audit: a sound tree has no faults") {
    planted p;
    CHECK(index::audit(p.tree).empty());
    p.tree.remove_leaf(p.middle);
    CHECK(index::audit(p.tree).empty());
    tree_type const empty{16, true};
    CHECK(index::audit(empty).empty());
}

TEST_CASE("audit: every planted fault is found, and the audit comes back") {
    std::size_t found = 0;
    for (fault const& f : all_faults) {
        planted p;
        f.plant(p);
        auto const told = index::audit(p.tree);
        INFO(f.name);
        CAPTURE(told);
        CHECK(std::any_of(told.begin(), told.end(), [&](std::string const& text) {
            return text.find(f.told) != std::string::npos;
        }));
        CHECK(told.size() < 20);
        ++found;
    }
    CHECK(found == 25);
}
