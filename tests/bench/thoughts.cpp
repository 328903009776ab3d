#include <replay/line_source.hpp>
#include <replay/thoughts.hpp>

#include <marconi/core/footprint.hpp>
#include <replay/run.hpp>
#include <replay/run_all.hpp>
#include <support/catch.hpp>

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <set>
#include <vector>

using namespace marconi;
using namespace marconi::replay;

namespace {

/// A conversation of four turns: inputs of 50, 80, 110 and 140 tokens, outputs of 20.
trace conversation() {
    std::vector<std::int32_t> all(160);
    std::iota(all.begin(), all.end(), 1);
    trace made{.name = "turns", .requests = {}};
    for (std::uint32_t turn = 0; turn < 4; ++turn) {
        request r{.turn = turn, .prompt_tokens = 50 + 30 * turn};
        r.tokens.assign(all.begin(), all.begin() + r.prompt_tokens + 20);
        made.requests.push_back(r);
    }
    return made;
}

options chosen_with(std::uint32_t before_answer, bool prompts_only) {
    options o;
    o.block_tokens = 1;
    o.before_answer = before_answer;
    o.prompts_only = prompts_only;
    return o;
}

/// Without a limit; resumed_tokens of it is what can be resumed at all.
result infinite(trace const& t, std::uint32_t before_answer, bool prompts_only = false) {
    options const o = chosen_with(before_answer, prompts_only);
    return run_one(t, {.kind = "infinite", .alpha = {}}, {}, footprint_of(o), o);
}

} // namespace

TEST_CASE("a trace that thoughts would make too long is refused") {
    trace t = conversation();
    CHECK_NOTHROW(add_thoughts(t, 10, 500));
    CHECK_THROWS_AS(add_thoughts(t, 1, 500), trace_error);
    CHECK(t.requests[0].tokens.size() == 80);
}

TEST_CASE("thoughts begin outputs, and nothing else has them") {
    trace const plain = conversation();
    trace thinking = plain;
    add_thoughts(thinking, 30);
    std::set<std::int32_t> seen;
    for (std::size_t i = 0; i < 4; ++i) {
        request const &was = plain.requests[i], &is = thinking.requests[i];
        CHECK(std::ranges::equal(is.input(), was.input()));
        REQUIRE(is.output().size() == 50);
        CHECK(std::ranges::equal(is.output().subspan(30), was.output()));
        for (std::int32_t const thought : is.output().first(30)) {
            CHECK(thought < 0);
            CHECK(thought == is.output().front());
        }
        CHECK(seen.insert(is.output().front()).second);
    }
    add_thoughts(thinking, 0);
    CHECK(thinking.requests[3].tokens.size() == 190);
}

TEST_CASE("turns of a reasoning model resume where the answer began, if a state is kept there") {
    trace thinking = conversation();
    CHECK(infinite(thinking, 0).resumed_tokens == 69 + 99 + 129); // the last token has no KV
    add_thoughts(thinking, 30);
    CHECK(infinite(thinking, 0).resumed_tokens == 50 + 80); // a turn late
    CHECK(infinite(thinking, 2).resumed_tokens == 48 + 78 + 108);
    CHECK(infinite(thinking, 2).before_answer == 2);

    result const with = infinite(thinking, 2), without = infinite(thinking, 2, true);
    CHECK(without.resumed_tokens == 48 + 78 + 108);
    CHECK(without.peak_bytes < with.peak_bytes);
    CHECK(without.checkpoints == 4); // where answers began, and no tails
    CHECK(without.prompts_only);
}

TEST_CASE("shares of an infinite cache are of the same size whatever is kept") {
    trace thinking = conversation();
    add_thoughts(thinking, 30);
    auto const size_of_half = [&](std::uint32_t before_answer, bool prompts_only) {
        options o = chosen_with(before_answer, prompts_only);
        o.policies = {{.kind = "lru", .alpha = {}}};
        o.capacities = {parse_capacity("50%")};
        return run_all(thinking, o).at(0).capacity_bytes;
    };
    CHECK(size_of_half(0, false) == size_of_half(2, false));
    CHECK(size_of_half(0, false) == size_of_half(2, true));
}
