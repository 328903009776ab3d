#include <marconi/core/error.hpp>
#include <marconi/policy/admission/always.hpp>
#include <marconi/policy/admission/branch_and_tail.hpp>

#include <support/catch.hpp>

#include <vector>

using namespace marconi;
using namespace marconi::policy;

namespace {

using positions = std::vector<token_count>;

request_facts request(std::uint64_t tokens, std::uint64_t limit, std::uint64_t matched,
                      std::uint64_t resumable, std::uint64_t block = 1, std::uint64_t grid = 1) {
    return {.tokens = token_count{tokens},
            .limit = token_count{limit},
            .matched = token_count{matched},
            .resumable = token_count{resumable},
            .block_tokens = token_count{block},
            .checkpoint_grid = token_count{grid}};
}

positions at(std::initializer_list<std::uint64_t> values) {
    positions out;
    for (auto value : values)
        out.push_back(token_count{value});
    return out;
}

} // namespace

TEST_CASE("always says how often to capture, and wants no tail") {
    auto const rule = always{.every = token_count{7}}.captures(request(100, 99, 70, 64));
    CHECK(rule.at.empty());
    CHECK(rule.every == token_count{7});
    CHECK_FALSE(rule.tail);
    CHECK(always{}.every == token_count{32});
    CHECK_THROWS_AS(always{.every = token_count{0}}.captures(request(4, 3, 0, 0)),
                    invalid_argument);
}

TEST_CASE("branch_and_tail captures where the request leaves what is cached") {
    branch_and_tail const policy;
    CHECK(policy.captures(request(100, 99, 40, 0)).at == at({40}));
    CHECK(policy.captures(request(100, 99, 40, 10)).at == at({40}));
    CHECK(policy.captures(request(100, 99, 0, 0)).at.empty());
    CHECK(policy.captures(request(100, 99, 40, 40)).at.empty());
    CHECK(policy.captures(request(1, 0, 1, 0)).at.empty());
    CHECK(policy.captures(request(0, 0, 0, 0)).at.empty());
}

TEST_CASE("branch_and_tail stays within the limit") {
    branch_and_tail const policy;
    CHECK(policy.captures(request(100, 99, 100, 0)).at == at({99}));
    CHECK(policy.captures(request(100, 100, 100, 0)).at == at({100}));
    CHECK(policy.captures(request(100, 99, 100, 99)).at.empty());
    CHECK(policy.captures(request(200, 127, 200, 0, 16, 64)).at == at({64}));
}

TEST_CASE("branch_and_tail captures on the grid only") {
    branch_and_tail const policy;
    CHECK(policy.captures(request(300, 299, 200, 0, 16, 64)).at == at({192}));
    CHECK(policy.captures(request(300, 299, 192, 0, 16, 64)).at == at({192}));
    CHECK(policy.captures(request(300, 299, 200, 192, 16, 64)).at.empty());
    CHECK(policy.captures(request(300, 299, 255, 192, 16, 64)).at.empty());
    CHECK(policy.captures(request(300, 299, 256, 192, 16, 64)).at == at({256}));
    CHECK(policy.captures(request(300, 299, 63, 0, 16, 64)).at.empty());
    // The tail of an earlier request may stand off the grid and past the rounded branch point.
    CHECK(policy.captures(request(300, 299, 210, 200, 16, 64)).at.empty());
    CHECK_THROWS_AS(policy.captures(request(300, 299, 200, 0, 16, 0)), invalid_argument);
}

TEST_CASE("branch_and_tail wants a block or 16 tokens saved") {
    branch_and_tail const policy;
    CHECK(policy.captures(request(100, 99, 11, 10, 1)).at == at({11}));
    CHECK(policy.captures(request(100, 99, 17, 10, 8)).at.empty());
    CHECK(policy.captures(request(100, 99, 18, 10, 8)).at == at({18}));
    CHECK(policy.captures(request(100, 99, 25, 10, 256)).at.empty());
    CHECK(policy.captures(request(100, 99, 26, 10, 256)).at == at({26}));
}

TEST_CASE("branch_and_tail always wants the tail and nothing periodic") {
    for (std::uint64_t matched : {0u, 40u, 100u}) {
        auto const rule = branch_and_tail{}.captures(request(100, 99, matched, 0));
        CHECK(rule.tail);
        CHECK(rule.every == token_count{0});
    }
}
