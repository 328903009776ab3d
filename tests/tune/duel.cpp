#include "traces.hpp"

#include <marconi/policy/admission/branch_and_tail.hpp>
#include <marconi/policy/eviction/gdsf.hpp>
#include <marconi/policy/eviction/lru.hpp>
#include <marconi/tune/duel.hpp>

#include <support/catch.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

using namespace marconi;
using namespace marconi::tests;
using policy::rival;

namespace {

using request = tune::replay_request<std::int32_t>;

/// A duel beside a cache whose engine commits once for each request.
struct lru_against_gdsf
    : tune::duel<policy::branch_and_tail, policy::lru, policy::gdsf, std::int32_t> {
    using duel::duel;
    void ask(request const& r) { duel::ask(r, time += tick{2}); }
    tick time;
};

template <class Eviction>
using alone = cache::prefix_cache<memory::ledger_store, policy::branch_and_tail, Eviction>;

/// Short texts that are asked once: long ones, asked before and after, are worth more.
void a_flood_of_short_ones(lru_against_gdsf& between, std::int32_t& fresh) {
    between.ask(whole(numbered(1, 100)));
    for (int i = 0; i < 30; ++i)
        between.ask(whole(numbered(++fresh, 10)));
}

/// Short texts that are each asked twice in a row, among long ones that do not come back.
void short_ones_twice(lru_against_gdsf& between, std::int32_t& fresh) {
    between.ask(whole(numbered(++fresh, 200)));
    for (int i = 0; i < 4; ++i) {
        tokens const t = numbered(++fresh, 30);
        between.ask(whole(t));
        between.ask(whole(numbered(++fresh, 60)));
        between.ask(whole(t));
    }
}

} // namespace

TEST_CASE("each side of a duel saves what it saves alone, and ahead is who saved more of late") {
    double const half_life = GENERATE(1.0, 20.0);
    bool const weighed = GENERATE(false, true);
    std::uint64_t const pages = GENERATE(150u, 300u);
    lru_against_gdsf between{tiny_store(pages), {}, {}, half_life};
    alone<policy::lru> first{tiny_store(pages)};
    alone<policy::gdsf> second{tiny_store(pages)};
    std::vector<double> by_first, by_second;
    bool first_leads = true;
    int changes = 0;
    for (turn const& t : conversations(600, 4)) {
        auto asked = t.request();
        if (weighed) asked.weight = t.prompt % 3 == 0 ? 8 : 0.25;
        between.ask(asked);
        by_first.push_back(asked.weight * tune::replay(first, asked).saved.value());
        by_second.push_back(asked.weight * tune::replay(second, asked).saved.value());
        auto more = asked; // of an answer: held, but no request
        more.prompt = more.limit = {};
        between.ask(more);
        (void)tune::replay(first, more);
        (void)tune::replay(second, more);
        auto const of_late = [&](std::vector<double> const& saved) {
            double sum = 0;
            for (std::size_t i = 0; i < saved.size(); ++i)
                sum += saved[i] * std::exp2(-static_cast<double>(saved.size() - 1 - i) / half_life);
            return sum;
        };
        double const one = of_late(by_first), other = of_late(by_second);
        bool const passed = first_leads ? other > 1.02 * one : one > 1.02 * other;
        changes += passed;
        first_leads = first_leads != passed;
        REQUIRE((between.ahead() == rival::first) == first_leads);
    }
    CHECK(changes > 2);
    CHECK(between.first().stats().flops_saved == first.stats().flops_saved);
    CHECK(between.second().stats().flops_saved == second.stats().flops_saved);
    CHECK(first.stats().flops_saved != second.stats().flops_saved);
    CHECK(between.first().stats().evictions() > 100);
    CHECK(between.memory() == tune::memory_of(first) + tune::memory_of(second));
}

TEST_CASE("who is ahead changes with what is asked") {
    lru_against_gdsf between{tiny_store(300), {}, {}, 64};
    std::int32_t fresh = 10;
    CHECK(between.ahead() == rival::first);
    for (int i = 0; i < 20; ++i)
        a_flood_of_short_ones(between, fresh);
    CHECK(between.ahead() == rival::second);
    for (int i = 0; i < 40; ++i)
        short_ones_twice(between, fresh);
    CHECK(between.ahead() == rival::first);
}

TEST_CASE("more of an answer is no request in a duel, but is held") {
    lru_against_gdsf between{tiny_store(300), {}, {}, 64};
    tokens const t = numbered(1, 50);
    between.ask({.tokens = t, .prompt = {}, .limit = {}});
    auto const before = between.first().stats().hits;
    between.ask(whole(t));
    CHECK(between.first().stats().hits == before + 1);
    CHECK(between.ahead() == rival::first);
}

TEST_CASE("both sides of a duel forget what is cleared") {
    lru_against_gdsf between{tiny_store(300), {}, {}, 64};
    scope const gone{.tenant = 1}, stays{.tenant = 2};
    tokens const t = numbered(1, 50);
    auto const ask_in = [&](scope const& in) {
        between.ask(whole(t, in));
        return between.first().stats().hits + 100 * between.second().stats().hits;
    };
    CHECK(ask_in(gone) == 0);
    CHECK(ask_in(stays) == 0);
    between.clear(gone);
    CHECK(ask_in(stays) == 101);
    CHECK(ask_in(gone) == 101);
    between.clear();
    CHECK(ask_in(stays) == 101);
}
