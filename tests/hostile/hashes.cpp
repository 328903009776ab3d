// Tokens, scopes and orders chosen by somebody who has read the hash functions.

#include <marconi/core/hash.hpp>
#include <marconi/index/child_table.hpp>
#include <marconi/policy/eviction/index/use_tree.hpp>

#include <support/catch.hpp>

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <vector>

using namespace marconi;

namespace {

/// The x whose mix is `y`.
std::uint64_t unmix(std::uint64_t y) {
    std::uint64_t constexpr factor = 0xE9846AF9B1A615Du;
    std::uint64_t inverse = factor; // Newton's iteration doubles the bits that are right
    for (int i = 0; i < 6; ++i)
        inverse *= 2 - factor * inverse;
    y ^= (y >> 28) ^ (y >> 56);
    y *= inverse;
    y ^= y >> 32;
    y *= inverse;
    return y ^ (y >> 32);
}

/// How often looking up each of the tokens, all children of one node, proposes another.
std::uint64_t wrong_proposals(index::child_table& table, node_id parent,
                              std::vector<std::uint64_t> const& tokens) {
    for (std::uint32_t i = 0; i < tokens.size(); ++i) {
        table.reserve(1);
        table.insert(table.hash(parent, tokens[i]), node_id{i});
    }
    std::uint64_t wrong = 0;
    for (std::uint32_t i = 0; i < tokens.size(); ++i)
        (void)table.find(table.hash(parent, tokens[i]), [&](node_id c) {
            wrong += c != node_id{i};
            return c == node_id{i};
        });
    return wrong;
}

std::size_t depth(policy::use_tree const& tree) {
    std::size_t deepest = 0;
    std::vector<std::pair<policy::use_tree::link, std::size_t>> left{{tree.root(), 1}};
    while (!left.empty()) {
        auto const [at, level] = left.back();
        left.pop_back();
        if (at == policy::use_tree::none) continue;
        deepest = std::max(deepest, level);
        left.emplace_back(tree[at].left, level + 1);
        left.emplace_back(tree[at].right, level + 1);
    }
    return deepest;
}

} // namespace

TEST_CASE("hostile: tokens whose hashes collide must be found for each table anew") {
    node_id const parent{17};
    std::vector<std::uint64_t> tokens;
    for (std::uint64_t i = 0; i < 4000; ++i)
        tokens.push_back(unmix((i << 32) | 12345) ^ mix(0 ^ parent.value()));

    index::child_table known{0};
    for (std::uint64_t const t : tokens)
        REQUIRE(known.hash(parent, t) == 12345);
    CHECK(wrong_proposals(known, parent, tokens) > 1'000'000);

    index::child_table unknown;
    CHECK(wrong_proposals(unknown, parent, tokens) < 40);
}

TEST_CASE("hostile: tokens that begin in one place of the table") {
    // With 32 bits a token the table's low bits are what an attacker can choose.
    node_id const parent{17};
    std::vector<std::int32_t> tokens;
    for (std::int32_t t = 0; tokens.size() < 1000; ++t)
        if (index::child_hash(0, parent, t) % 2048 == 0) tokens.push_back(t);
    index::child_table const unknown;
    std::vector<std::uint32_t> places;
    for (std::int32_t const t : tokens)
        places.push_back(unknown.hash(parent, t) % 2048);
    std::sort(places.begin(), places.end());
    auto const distinct = std::unique(places.begin(), places.end()) - places.begin();
    CHECK(distinct > 600); // 790 where a thousand are spread over 2,048 by chance
}

TEST_CASE("hostile: no order of uses makes a use_tree deep") {
    std::uint32_t const n = 2000;
    std::vector<std::uint32_t> order(n);
    std::iota(order.begin(), order.end(), 0u);
    std::sort(order.begin(), order.end(), [](auto a, auto b) { return mix(a) > mix(b); });
    auto const filled = [&](policy::use_tree tree) {
        for (std::uint32_t i = 0; i < n; ++i)
            tree.insert(node_id{order[i]}, tick{i}, 1);
        return depth(tree);
    };
    CHECK(filled(policy::use_tree{1, 0}) == n);
    CHECK(filled(policy::use_tree{}) < 100); // about 25 by chance
}
