#include <marconi/core/error.hpp>
#include <marconi/policy/admission/always.hpp>
#include <marconi/policy/admission/branch_and_tail.hpp>
#include <marconi/policy/admission/spaced.hpp>

#include <support/catch.hpp>

#include <cstdint>
#include <limits>
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
            .answer_from = token_count{tokens},
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

TEST_CASE("branch_and_tail captures where the answer begins, if it is told to") {
    branch_and_tail const policy{.before_answer = token_count{5}};
    CHECK(policy.captures(request(100, 99, 0, 0)).at == at({95}));
    CHECK(policy.captures(request(100, 99, 40, 0)).at == at({40, 95}));
    CHECK(policy.captures(request(100, 99, 40, 40)).at == at({95}));
    CHECK(policy.captures(request(100, 99, 0, 0)).tail);
    // Only as far past what is captured, or resumed from, as pays: six tokens, or a block.
    CHECK(policy.captures(request(100, 99, 90, 0)).at == at({90}));
    CHECK(policy.captures(request(100, 99, 89, 0)).at == at({89, 95}));
    CHECK(policy.captures(request(100, 99, 90, 90)).at.empty());
    CHECK(policy.captures(request(100, 99, 89, 89)).at == at({95}));
    CHECK(policy.captures(request(100, 99, 88, 88, 8)).at.empty());
    CHECK(policy.captures(request(100, 99, 87, 87, 8)).at == at({95}));
    CHECK(policy.captures(request(100, 99, 95, 95)).at.empty());
    CHECK(policy.captures(request(100, 99, 99, 97)).at.empty());
}

TEST_CASE("what the next turn leaves is the answer's start, and no branch point") {
    branch_and_tail const policy{.before_answer = token_count{5}};
    for (std::uint64_t matched : {95u, 98u, 100u})
        CHECK(policy.captures(request(130, 129, matched, 95)).at == at({125}));
    CHECK(policy.captures(request(130, 129, 101, 95)).at == at({101, 125}));
}

TEST_CASE("a branch point past the answer's start is taken there") {
    branch_and_tail const policy{.before_answer = token_count{5}};
    CHECK(policy.captures(request(100, 99, 99, 0)).at == at({95}));
    CHECK(policy.captures(request(100, 99, 100, 89)).at == at({95}));
}

TEST_CASE("the answer's start is on the grid, within the limit and in the prompt") {
    branch_and_tail const policy{.before_answer = token_count{5}};
    CHECK(policy.captures(request(100, 99, 0, 0, 1, 10)).at == at({90}));
    CHECK(policy.captures(request(100, 99, 97, 0, 1, 10)).at == at({90}));
    CHECK(policy.captures(request(100, 94, 0, 0)).at.empty());
    CHECK(policy.captures(request(100, 94, 94, 0)).at == at({94}));
    CHECK(policy.captures(request(100, 94, 94, 93)).at == at({94})); // no answer: one token will do
    CHECK(policy.captures(request(100, 95, 0, 0)).at == at({95}));
    CHECK(policy.captures(request(5, 4, 0, 0)).at.empty());
    CHECK(policy.captures(request(4, 3, 3, 0)).at == at({3}));
    CHECK(policy.captures(request(10, 9, 0, 0)).at.empty());
    CHECK(policy.captures(request(11, 10, 0, 0)).at == at({6}));
    CHECK_THROWS_AS(policy.captures(request(300, 299, 200, 0, 16, 0)), invalid_argument);
    branch_and_tail const prompt_end{.before_answer = token_count{1}};
    CHECK(prompt_end.captures(request(100, 99, 0, 0)).at == at({99}));
    branch_and_tail const huge{.before_answer =
                                   token_count{std::numeric_limits<std::uint64_t>::max()}};
    CHECK(huge.captures(request(100, 99, 40, 0)).at == at({40}));
}

TEST_CASE("a step needs a grid") {
    CHECK(spaced{token_count{30}}.step_on(token_count{8}) == token_count{32});
    CHECK_THROWS_AS(spaced{token_count{30}}.step_on(token_count{}), invalid_argument);
}

TEST_CASE("spaced and the answer's start keep their distance") {
    spaced const policy{token_count{30}, {.before_answer = token_count{5}}};
    CHECK(policy.captures(request(100, 99, 0, 0)).at == at({30, 60, 95}));
    CHECK(policy.captures(request(101, 100, 0, 0)).at == at({30, 60, 90, 96}));
    CHECK(policy.captures(request(101, 100, 0, 0, 7)).at == at({30, 60, 96}));
    CHECK(policy.captures(request(93, 92, 0, 0)).at == at({30, 60, 88}));
    CHECK(policy.captures(request(95, 94, 0, 0)).at == at({30, 60, 90}));
    CHECK(policy.captures(request(100, 99, 94, 0)).at == at({94}));
    CHECK(policy.captures(request(100, 99, 99, 0)).at == at({95}));
    CHECK(policy.captures(request(101, 100, 40, 40)).at == at({60, 90, 96}));
    CHECK(policy.captures(request(101, 100, 55, 55)).at == at({60, 90, 96}));
    CHECK(policy.captures(request(101, 100, 55, 55, 6)).at == at({90, 96}));
    CHECK(policy.captures(request(20, 19, 0, 0)).at == at({15})); // shorter than a step
    CHECK(policy.captures(request(100, 92, 0, 0)).at == at({30, 60, 90}));
    CHECK_THROWS_AS(policy.captures(request(300, 299, 200, 0, 16, 0)), invalid_argument);
}

TEST_CASE("spaced captures every so many tokens of what is new") {
    spaced const policy{token_count{30}};
    CHECK(policy.captures(request(100, 99, 0, 0)).at == at({30, 60, 90}));
    CHECK(policy.captures(request(91, 90, 0, 0)).at == at({30, 60, 90}));
    CHECK(policy.captures(request(90, 89, 0, 0)).at == at({30, 60}));
    CHECK(policy.captures(request(30, 29, 0, 0)).at.empty());
    CHECK(policy.captures(request(0, 0, 0, 0)).at.empty());
    // After the branch point, or where the request resumes.
    CHECK(policy.captures(request(100, 99, 40, 0)).at == at({40, 60, 90}));
    CHECK(policy.captures(request(100, 99, 40, 30)).at == at({40, 60, 90}));
    CHECK(policy.captures(request(100, 99, 60, 60)).at == at({90}));
    CHECK(policy.captures(request(100, 99, 99, 0)).at == at({99}));
    auto const rule = policy.captures(request(100, 99, 0, 0));
    CHECK(rule.tail);
    CHECK(rule.every == token_count{0});
}

TEST_CASE("spaced captures on the grid only, and at multiples that all requests agree on") {
    spaced const policy{token_count{30}};
    CHECK(policy.captures(request(100, 99, 0, 0, 1, 10)).at == at({30, 60, 90}));
    CHECK(policy.captures(request(100, 99, 0, 0, 1, 16)).at == at({32, 64, 96}));
    CHECK(policy.captures(request(100, 99, 47, 0, 1, 16)).at == at({32, 64, 96}));
    CHECK(policy.captures(request(100, 99, 70, 40, 1, 16)).at == at({64, 96}));
    CHECK(policy.captures(request(100, 99, 0, 0, 1, 64)).at == at({64}));
    CHECK(policy.captures(request(100, 99, 0, 0, 1, 128)).at.empty());
    CHECK_THROWS_AS(policy.captures(request(300, 299, 200, 0, 16, 0)), invalid_argument);
}

TEST_CASE("a spaced checkpoint gains a block or 16 tokens") {
    spaced const policy{token_count{30}};
    CHECK(policy.captures(request(100, 99, 26, 0, 4)).at == at({26, 30, 60, 90}));
    CHECK(policy.captures(request(100, 99, 27, 0, 4)).at == at({27, 60, 90}));
    CHECK(policy.captures(request(100, 99, 14, 14, 64)).at == at({30, 60, 90}));
    CHECK(policy.captures(request(100, 99, 15, 15, 64)).at == at({60, 90}));
}

TEST_CASE("spaced by nothing, or by more than a prompt, is branch and tail") {
    constexpr std::uint64_t most = std::numeric_limits<std::uint64_t>::max();
    for (std::uint64_t const every : {std::uint64_t{0}, std::uint64_t{100}, most})
        for (std::uint64_t const grid : {std::uint64_t{1}, std::uint64_t{7}, most})
            for (std::uint64_t const matched : {0u, 40u, 99u}) {
                auto const facts = request(100, 99, matched, 0, 1, grid);
                auto const rule = spaced{token_count{every}}.captures(facts);
                CHECK(rule.at == branch_and_tail{}.captures(facts).at);
                CHECK(rule.tail);
            }
    CHECK(spaced{token_count{1}}.captures(request(100, 99, 0, 0, 1, most)).at.empty());
    CHECK(spaced{}.every == token_count{4096});
}
