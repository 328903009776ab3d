#include "checked_tree.hpp"
#include "tokens.hpp"
#include <support/no_memory.hpp>
#include <support/sanitizers.hpp>

#include <marconi/index/audit.hpp>
#include <marconi/index/radix_tree.hpp>

#include <support/catch.hpp>

#include <cstdint>
#include <numeric>
#include <span>
#include <string>
#include <unordered_set>
#include <variant>
#include <vector>

using namespace marconi;
using testing::checked_tree;
using testing::make_token;

namespace {

using tree_type = index::radix_tree<std::int32_t, std::monostate>;

std::string first_fault(tree_type const& tree) {
    auto const faults = index::audit(tree);
    return faults.empty() ? "" : faults.front();
}

node_id add(tree_type& tree, node_id parent, std::vector<std::int32_t> const& tokens) {
    std::uint32_t const begin = tree[parent].depth;
    auto const segment = tree.paths().create(begin, std::span{tokens});
    return tree.add(parent, segment, begin + static_cast<std::uint32_t>(tokens.size()), true);
}

} // namespace

TEST_CASE("radix_tree: a split leaves id and children below, a merge keeps the child's id") {
    tree_type tree{16, true};
    node_id const root = tree.make_root({});
    node_id const fox = add(tree, root, {1, 2, 3, 4, 5, 6});
    node_ref const fox_before = tree.ref(fox);
    node_id const the = tree.split(fox, 4);
    CHECK(tree.live(fox_before));
    CHECK(tree[the].depth == 4);
    CHECK(tree[fox].length == 2);
    CHECK(tree[fox].parent == the);
    CHECK(tree.child(root, 1) == the);
    CHECK(tree.child(the, 5) == fox);
    CHECK_FALSE(tree.child(the, 6));

    node_id const hen = add(tree, the, {9, 9});
    CHECK(tree[the].child_count == 2);
    CHECK(tree.child(the, 9) == hen);
    CHECK(first_fault(tree).empty());

    node_ref const the_before = tree.ref(the);
    tree.remove_leaf(hen);
    tree.reserve_merge(the);
    CHECK(tree.merge_into_child(the) == fox);
    CHECK_FALSE(tree.live(the_before));
    CHECK(tree.live(fox_before));
    CHECK(tree[fox].length == 6);
    CHECK(tree.child(root, 1) == fox);
    CHECK(first_fault(tree).empty());
    CHECK(tree.size() == 2);
}

TEST_CASE("radix_tree: scopes have roots of their own") {
    tree_type tree{1, true};
    scope const a{.tenant = 1}, b{.tenant = 2};
    node_id const root_a = tree.make_root(a);
    node_id const root_b = tree.make_root(b);
    CHECK(root_a != root_b);
    CHECK(tree.make_root(a) == root_a);
    (void)add(tree, root_a, {1, 2, 3});
    CHECK(tree.child(root_a, 1));
    CHECK_FALSE(tree.child(root_b, 1));
    CHECK_FALSE(tree.find_root({}));
    tree.remove_root(root_b);
    CHECK_FALSE(tree.find_root(b));
    CHECK(tree.find_root(a) == root_a);
    CHECK(first_fault(tree).empty());
}

TEST_CASE("radix_tree: what is detached is not found from above, and knows what is above") {
    auto const siblings = GENERATE(0, 1, 2);
    tree_type tree{16, true};
    node_id const root = tree.make_root({});
    node_id const the = add(tree, root, {1, 2, 3});
    node_id const red = add(tree, the, {4, 5, 6, 7});
    node_id const fox = add(tree, red, {8, 9});
    for (std::int32_t i = 0; i < siblings; ++i)
        (void)add(tree, the, {20 + i});
    tree.detach(red);
    CHECK(tree.is_detached(red));
    CHECK_FALSE(tree.is_detached(fox));
    CHECK_FALSE(tree.child(the, 4));
    CHECK(tree[the].child_count == static_cast<std::uint32_t>(siblings));
    CHECK(tree.holding(fox, 2) == the);
    CHECK(first_fault(tree).empty());
    int found = 0;
    tree.each_below(root, [&](node_id) { return ++found != 0; });
    CHECK(found == 1 + siblings);

    node_id const again = add(tree, the, {4, 5});
    CHECK(tree.child(the, 4) == again);
    CHECK(first_fault(tree).empty());

    node_id const upper = tree.split(red, 5);
    CHECK(tree.is_detached(upper));
    CHECK_FALSE(tree.is_detached(red));
    CHECK(tree[upper].parent == the);
    CHECK(first_fault(tree).empty());
    tree.reserve_merge(upper);
    CHECK(tree.merge_into_child(upper) == red);
    CHECK(tree.is_detached(red));
    CHECK(tree[red].parent == the);
    CHECK(first_fault(tree).empty());
    tree.remove_leaf(fox);
    tree.remove_leaf(red);
    CHECK(tree[the].child_count == static_cast<std::uint32_t>(siblings) + 1);
    CHECK(tree.child(the, 4) == again);
    CHECK(first_fault(tree).empty());
}

TEST_CASE("radix_tree: walk goes on from any point of a path") {
    tree_type tree{1, true};
    node_id const root = tree.make_root({});
    node_id const low = add(tree, root, {1, 2, 3, 4, 5, 6, 7, 8});
    node_id const high = tree.split(low, 3);
    std::vector<std::int32_t> const prompt{1, 2, 3, 4, 5, 9};
    for (std::uint32_t depth = 0; depth <= 5; ++depth) {
        index::location const from{depth == 0 ? root : depth <= 3 ? high : low, depth};
        std::vector<node_id> reached;
        auto const at =
            tree.walk(from, std::span{prompt}, [&](node_id id) { reached.push_back(id); });
        CHECK(at == index::location{low, 5});
        CHECK(reached == (depth < 3 ? std::vector{high} : std::vector<node_id>{}));
    }
    CHECK(tree.holding(low, 8) == low);
    CHECK(tree.holding(low, 4) == low);
    CHECK(tree.holding(low, 3) == high);
    CHECK(tree.holding(low, 1) == high);
    CHECK(tree.holding(low, 0) == root);
}

TEMPLATE_LIST_TEST_CASE("radix_tree: long random histories against a set of token vectors", "",
                        testing::token_types) {
    std::vector<std::uint32_t> blocks{1, 17};
    if (!MARCONI_UNDER_ASAN) blocks.insert(blocks.end(), {2, 16, 256}); // all take a minute there
    int roots_removed = 0;
    for (bool const paged : {true, false})
        for (std::uint32_t const block : blocks) {
            checked_tree<TestType> tree{block, paged, block + 100 * paged};
            for (int step = 0; step < 1500; ++step) {
                tree.step();
                tree.check();
            }
            CHECK(tree.done.added > 100);
            CHECK(tree.done.split > 30);
            CHECK(tree.done.merged > 30);
            CHECK(tree.done.removed > 50);
            CHECK(tree.done.walked > 50);
            roots_removed += tree.done.roots_removed;
        }
    CHECK(roots_removed > 0);
}

TEST_CASE("radix_tree: a chain of 100,000 nodes") {
    std::uint32_t const n = 100'000;
    tree_type tree{16, true};
    node_id const root = tree.make_root({});
    std::vector<std::int32_t> tokens(2 * n);
    std::iota(tokens.begin(), tokens.end(), 0);
    node_id const deepest = add(tree, root, tokens);
    std::size_t const unsplit = tree.paths().bytes();
    for (std::uint32_t i = n - 1; i > 0; --i)
        (void)tree.split(tree.holding(tree.child(root, 0), 2 * i), 2 * i);
    CHECK(tree.size() == n + 1);
    CHECK(tree.paths().bytes() == unsplit);
    CHECK(first_fault(tree).empty());

    std::size_t passed = 0;
    auto const at =
        tree.walk({root, 0}, std::span<std::int32_t const>{tokens}, [&](node_id) { ++passed; });
    CHECK(at == index::location{deepest, 2 * n});
    CHECK(passed == n);
    std::size_t visited = 0;
    tree.each_below(root, [&](node_id) { return ++visited != 0; });
    CHECK(visited == n);
    CHECK(tree[tree.holding(deepest, 1)].parent == root);

    // Every other node goes, then the rest from the bottom.
    node_id node = tree.child(root, 0);
    while (node != deepest) {
        node_id const child = tree.merge_into_child(node);
        node = child == deepest ? deepest : tree[child].first_child;
    }
    CHECK(tree.size() == n / 2 + 1);
    CHECK(first_fault(tree).empty());
    CHECK(std::vector(tree.tokens(deepest).begin(), tree.tokens(deepest).end()).back() ==
          static_cast<std::int32_t>(2 * n - 1));
    for (node_id leaf = deepest; leaf != root;) {
        node_id const above = tree[leaf].parent;
        tree.remove_leaf(leaf);
        leaf = above;
    }
    CHECK(tree.size() == 1);
    CHECK(first_fault(tree).empty());
}

TEST_CASE("radix_tree: a chain of nodes that different branches stored joins into one edge") {
    std::uint32_t const n = 20'000;
    tree_type tree{16, true};
    node_id node = tree.make_root({});
    for (std::uint32_t i = 0; i < n; ++i)
        node = add(tree, node, {static_cast<std::int32_t>(i), 1, 2});
    CHECK(first_fault(tree).empty());
    node_id const root = tree.find_root({});
    for (node_id top = tree.child(root, 0); top != node; top = tree.child(root, 0)) {
        tree.reserve_merge(top);
        (void)tree.merge_into_child(top);
    }
    CHECK(tree.size() == 2);
    CHECK(first_fault(tree).empty());
    auto const tokens = tree.tokens(node);
    REQUIRE(tokens.size() == 3 * n);
    std::size_t wrong = 0;
    for (std::uint32_t i = 0; i < n; ++i)
        wrong += tokens[3 * i] != static_cast<std::int32_t>(i) || tokens[3 * i + 1] != 1 ||
                 tokens[3 * i + 2] != 2;
    CHECK(wrong == 0);
}

TEST_CASE("radix_tree: a node with 100,000 children") {
    std::int32_t const n = 100'000;
    tree_type tree{16, false};
    node_id const root = tree.make_root({});
    node_id const top = add(tree, root, {-1});
    std::vector<node_id> children;
    for (std::int32_t i = 0; i < n; ++i)
        children.push_back(add(tree, top, {i, i}));
    CHECK(tree[top].child_count == 100'000);
    CHECK(first_fault(tree).empty());
    std::int32_t wrong = 0;
    for (std::int32_t i = 0; i < n; ++i)
        wrong += tree.child(top, i) != children[static_cast<std::size_t>(i)];
    CHECK(wrong == 0);
    CHECK_FALSE(tree.child(top, n));
    CHECK_FALSE(tree.child(top, -1));
    for (std::int32_t i = 0; i < n; ++i)
        if (i % 1000 != 7) tree.remove_leaf(children[static_cast<std::size_t>(i)]);
    CHECK(tree[top].child_count == 100);
    CHECK(first_fault(tree).empty());
    for (std::int32_t i = 0; i < n; ++i)
        wrong += static_cast<bool>(tree.child(top, i)) != (i % 1000 == 7);
    CHECK(wrong == 0);
}

TEST_CASE("radix_tree: after reserve(n) additions and splits need no memory of the tree") {
    tree_type tree{16, true};
    node_id const root = tree.make_root({});
    std::vector<std::int32_t> tokens(2000);
    std::iota(tokens.begin(), tokens.end(), 0);
    auto const segment = tree.paths().create(0, std::span<std::int32_t const>{tokens});
    tree.reserve(1999);
    bool asked = false;
    {
        testing::no_memory const none;
        node_id node = tree.add(root, segment, 1000, true);
        node = tree.add(node, segment, 2000, false);
        for (std::uint32_t at = 1999; at > 1002; --at)
            (void)tree.split(tree.holding(node, at), at);
        asked = none.was_asked();
    }
    CHECK_FALSE(asked);
    CHECK(first_fault(tree).empty());
}

TEST_CASE("radix_tree: a root that finds no memory leaves nothing behind") {
    for (std::size_t allowed = 0;; ++allowed) {
        REQUIRE(allowed < 20);
        tree_type tree{16, true};
        bool threw = false;
        try {
            testing::no_memory const none{allowed};
            (void)tree.make_root({.tenant = 5});
        } catch (std::bad_alloc const&) {
            threw = true;
        }
        CHECK(first_fault(tree).empty());
        CHECK(static_cast<bool>(tree.find_root({.tenant = 5})) == !threw);
        CHECK(tree.roots().size() == (threw ? 0u : 1u));
        CHECK(tree.size() == (threw ? 0u : 1u));
        if (!threw) {
            CHECK(allowed > 2);
            break;
        }
    }
}

TEST_CASE("radix_tree: a token whose hash is a child's is not taken for the child's") {
    tree_type tree{16, true};
    node_id const root = tree.make_root({});
    std::int32_t const children = 20'000;
    std::unordered_set<std::uint32_t> hashes;
    for (std::int32_t t = 0; t < children; ++t) {
        (void)add(tree, root, {t});
        hashes.insert(tree.children().hash(root, t));
    }
    std::int32_t other = children; // among so many a stranger's is found after some 200,000 tries
    while (!hashes.contains(tree.children().hash(root, other)))
        ++other;
    CHECK_FALSE(tree.child(root, other));
}

TEST_CASE("radix_tree: the bytes it says it holds are those it has allocated, but for few") {
    std::int32_t const n = 3000;
    std::vector<node_id> leaves(n), halves(n);
    std::size_t const before = testing::bytes_held();
    tree_type tree{16, true};
    auto const check = [&] {
        std::size_t const allocated = testing::bytes_held() - before;
        CHECK(tree.bytes() <= allocated);
        CHECK(tree.bytes() + 1000 > allocated); // roots, and lists of chunks of nodes
    };
    node_id const root = tree.make_root({});
    check();
    for (std::size_t i = 0; i < leaves.size(); ++i)
        leaves[i] = add(tree, root, std::vector<std::int32_t>(50, static_cast<std::int32_t>(i)));
    check();
    for (std::uint32_t i = 0; i < leaves.size(); ++i)
        halves[i] = tree.split(leaves[i], 5 + i % 40);
    check();
    for (std::size_t i = 0; i < leaves.size(); ++i)
        if (i % 3 == 0)
            (void)tree.merge_into_child(halves[i]);
        else
            tree.remove_leaf(leaves[i]); // what is left is mostly room, or not
    check();
    for (std::size_t i = 0; i < leaves.size(); ++i)
        tree.remove_leaf(i % 3 == 0 ? leaves[i] : halves[i]);
    check();
    CHECK(tree.size() == 1);
}
