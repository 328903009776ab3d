#include "traces.hpp"

#include <marconi/memory/host_store.hpp>
#include <marconi/policy/admission/always.hpp>
#include <marconi/policy/admission/branch_and_tail.hpp>
#include <marconi/policy/eviction/flop_aware.hpp>
#include <marconi/tune/alpha_search.hpp>
#include <marconi/tune/request_log.hpp>

#include <support/catch.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

using namespace marconi;
using namespace marconi::tests;

namespace {

std::vector<std::uint64_t> positions(std::vector<cache::captured_state> const& captured) {
    std::vector<std::uint64_t> all;
    for (cache::captured_state const& c : captured)
        all.push_back(c.position.value());
    return all;
}

using at = std::vector<std::uint64_t>;

} // namespace

TEST_CASE("captures are the plan's up to the limit, multiples past it, and the tail, each once") {
    cache::request_plan plan;
    plan.match.limit = token_count{20};
    plan.match.resumable = token_count{4};
    plan.captures.at = {token_count{8}, token_count{12}};
    CHECK(positions(tune::captures_of(plan, token_count{30})) == at{8, 12});
    plan.captures.tail = true;
    CHECK(positions(tune::captures_of(plan, token_count{30})) == at{8, 12, 30});
    plan.captures.every = token_count{6};
    CHECK(positions(tune::captures_of(plan, token_count{30})) == at{8, 12, 24, 30});
    CHECK(positions(tune::captures_of(plan, token_count{26})) == at{8, 12, 24, 26});
    plan.captures = {.tail = true};
    CHECK(tune::captures_of(plan, token_count{4}).empty());
}

TEST_CASE("an engine that asks position by position captures what a replay does") {
    for (policy::capture_rule const& rule :
         {policy::capture_rule{.at = {token_count{8}}, .every = token_count{4}},
          policy::capture_rule{.at = {token_count{5}}, .tail = true}}) {
        cache::request_plan plan;
        plan.match.limit = token_count{11}; // of a prompt of 12
        plan.match.resumable = token_count{4};
        plan.captures = rule;
        at asked;
        for (std::uint64_t p = 5; p <= 20; ++p)
            if (cache::is_captured(rule, plan.match.limit, token_count{p}, p == 20))
                asked.push_back(p);
        CHECK(positions(tune::captures_of(plan, token_count{20})) == asked);
    }
}

TEST_CASE("a replayed request says what it asked and what it saved") {
    tune::tuned_cache cache{tiny_store(1000)};
    tokens const t = numbered(1, 30);
    auto const first =
        tune::replay(cache, {.tokens = t, .prompt = token_count{20}, .limit = token_count{19}});
    CHECK(first.asked == flop_count{400});
    CHECK(first.saved == flop_count{});
    CHECK(first.outcome.stored_tokens == token_count{30});
    CHECK(first.outcome.stored_checkpoints == 1);
    tokens next = t;
    next.resize(40, 7);
    auto const second = tune::replay(
        cache,
        {.tokens = next, .prompt = token_count{35}, .limit = token_count{34}, .weight = 0.5});
    CHECK(second.worth == flop_count{15 * 30});
    CHECK(second.asked == flop_count{35 * 35});
    CHECK(second.saved == flop_count{30 * 30});
    CHECK(cache.stats().flops_saved == second.saved);
    CHECK(cache.holds().leases == 0);
}

TEST_CASE("a replayed request's prompt is of its tokens") {
    tune::tuned_cache cache{tiny_store(1000)};
    tokens const t = numbered(1, 30);
    CHECK_THROWS_WITH(tune::replay(cache, {.tokens = t, .prompt = token_count{31}}),
                      "prompt is 31; expected at most the request's tokens, 30");
    CHECK(cache.stats().requests == 0);
}

TEST_CASE("a ledger like a store has its layout and capacity, and is empty") {
    memory::host_store const host{tiny_model(), 1_MiB, {.block_tokens = token_count{16}}};
    auto const ledger = tune::ledger_like(host);
    CHECK(ledger.layout().page_bytes() == host.layout().page_bytes());
    CHECK(ledger.layout().block_tokens() == 16);
    CHECK(ledger.pages().capacity() == host.pages().capacity());
    CHECK(ledger.pages().used() == 0);

    footprint recurrent = tiny_model();
    recurrent.kv_layers.clear();
    memory::ledger_store const pageless{recurrent, 1_MiB, {.page_bytes = 512_B}};
    CHECK(tune::ledger_like(pageless).layout().page_bytes() == 512_B);
    CHECK(tune::ledger_like(pageless).pages().capacity() == 2048);
}

TEST_CASE("of alphas that saved the same the smallest is the best") {
    using tune::alpha_score, tune::best_alpha;
    CHECK(best_alpha({}) == 0);
    std::vector<alpha_score> const none{{0.5, flop_count{}}, {1, flop_count{}}};
    CHECK(best_alpha(none) == 0.5);
    std::vector<alpha_score> const some{{0, flop_count{1}},
                                        {0.5, flop_count{3}},
                                        {1, flop_count{3 * (1 + 4e-16)}},
                                        {2, flop_count{2}}};
    CHECK(best_alpha(some) == 0.5);
    std::vector<alpha_score> const close{{0, flop_count{1}}, {0.5, flop_count{1.001}}};
    CHECK(best_alpha(close) == 0.5);
}

namespace {

cache::lease_record request_number(std::uint64_t number, std::uint64_t prompt) {
    cache::lease_record r;
    r.request = number;
    r.granted.match.tokens = token_count{prompt};
    r.granted.match.limit = token_count{prompt - 1};
    return r;
}

} // namespace

TEST_CASE("the log keeps the tokens of a request's last commit, in the order of the first ones") {
    tune::request_log<std::int32_t> log{1_MiB};
    tokens const a = numbered(1, 50), b = numbered(2, 30);
    CHECK(
        log.record(request_number(2, 20), std::span{a}.first(20), {.first = true, .ended = true}));
    CHECK(log.record(request_number(1, 30), b, {.first = true, .ended = true}));
    CHECK(log.record(request_number(2, 20), a, {.first = false, .ended = true}));
    REQUIRE(log.size() == 2);
    CHECK(log[0].tokens.size() == 50);
    CHECK(log[0].prompt == token_count{20});
    CHECK(log[0].limit == token_count{19});
    CHECK(log[1].tokens.size() == 30);
    CHECK(log.before_window() == 2);
    CHECK(log.in_window() == 0);
    log.forget_all();
    CHECK(log.size() == 0);
    CHECK(log.bytes() == byte_count{});
}

TEST_CASE("the log keeps a request's weight") {
    tune::request_log<std::int32_t> log{1_MiB};
    tokens const t = numbered(1, 50);
    auto lease = request_number(1, 20);
    lease.granted.match.weight = 3;
    CHECK(log.record(lease, std::span{t}.first(20), {.first = true, .ended = false}));
    CHECK(log.record(lease, t, {.first = false, .ended = true}));
    CHECK(log[0].weight == 3);
}

TEST_CASE("the log copies of a later commit what is new, and counts the room it takes") {
    tune::request_log<std::int32_t> log{1_MiB};
    tokens const a = numbered(1, 4000);
    std::size_t moves = 0;
    std::int32_t const* where = nullptr;
    for (std::size_t size = 10; size <= a.size(); ++size) {
        CHECK(log.record(
            request_number(1, 9), std::span{a}.first(size),
            {.first = size == 10, .ended = true, .from = token_count{size == 10 ? 0 : size - 1}}));
        moves += std::exchange(where, log[0].tokens.data()) != where;
    }
    CHECK(moves < 40);
    CHECK(log.bytes().value() >= a.size() * sizeof(std::int32_t));
    CHECK(log.bytes().value() <= a.size() * sizeof(std::int32_t) * 5 / 4 + 400);
    REQUIRE(log.size() == 1);
    CHECK(std::ranges::equal(log[0].tokens, a));
    tokens const other = numbered(2, 4000); // what was declined may come again as something else
    CHECK(log.record(request_number(1, 9), other, {.first = false, .ended = true}));
    CHECK(std::ranges::equal(log[0].tokens, other));
    CHECK(log.record(request_number(1, 9), std::span{a}.first(5), {.first = false, .ended = true}));
    CHECK(std::ranges::equal(log[0].tokens, std::span{a}.first(5)));
    log.forget_all();
    CHECK(log.bytes() == byte_count{});
}

TEST_CASE("the log cuts a prompt to what was committed of it") {
    tune::request_log<std::int32_t> log{1_MiB};
    tokens const a = numbered(1, 50);
    CHECK(
        log.record(request_number(1, 50), std::span{a}.first(10), {.first = true, .ended = true}));
    CHECK(log[0].prompt == token_count{10});
    CHECK(log[0].limit == token_count{10});
}

TEST_CASE("the log forgets the oldest before the window, and nothing in it") {
    tokens const a = numbered(1, 1000);
    tune::request_log<std::int32_t> log{byte_count{20'000}};
    for (std::uint64_t n = 1; n <= 5; ++n)
        CHECK(log.record(request_number(n, 1000), a, {.first = true, .ended = true}));
    REQUIRE(log.size() == 2); // two and their overhead are half the bound
    CHECK(log.before_window() == 5);
    CHECK(log.record(request_number(4, 1000), std::span{a}.first(1),
                     {.first = false, .ended = true}));
    CHECK(log[0].tokens.size() == 1); // the fourth was the oldest left
    log.open_window();
    CHECK(log.window_start() == 2);
    CHECK(log.record(request_number(5, 1000), std::span{a}.first(500),
                     {.first = false, .ended = true}));
    REQUIRE(log.size() == 3);
    CHECK(log[1].tokens.size() == 1000);
    CHECK(log[2].prompt == token_count{});
    CHECK(log[2].tokens.size() == 500);
    CHECK(log.in_window() == 0);
    std::uint64_t n = 6;
    while (log.record(request_number(n, 1000), a, {.first = true, .ended = true}))
        REQUIRE(++n < 20);
    CHECK(log.in_window() == n - 6);
    CHECK(log.in_window() == 3);
    CHECK(log.bytes() <= byte_count{20'000});
}

TEST_CASE("the log forgets a scope's requests, and goes on with those of others") {
    tune::request_log<std::int32_t> log{1_MiB};
    auto const of = [](std::uint64_t number, std::uint64_t tenant) {
        cache::lease_record r = request_number(number, 10);
        r.granted.match.in = scope{.tenant = tenant};
        return r;
    };
    tokens const a = numbered(1, 50);
    auto const commit = [&](cache::lease_record const& r, std::size_t size, bool first) {
        CHECK(log.record(r, std::span{a}.first(size), {.first = first, .ended = true}));
    };
    commit(of(1, 7), 10, true);
    commit(of(2, 8), 10, true);
    commit(of(3, 8), 10, true);
    log.forget(scope{.tenant = 7});
    REQUIRE(log.size() == 2);
    commit(of(3, 8), 30, false);
    commit(of(1, 7), 40, false); // what it held was cleared
    REQUIRE(log.size() == 3);
    CHECK(log[0].tokens.size() == 10);
    CHECK(log[1].tokens.size() == 30);
    CHECK(log[2].tokens.size() == 40);
    CHECK(log[2].prompt == token_count{});
}

TEST_CASE("replays begin with alpha 0, whatever the policy's was") {
    tune::request_log<std::int32_t> log{1_MiB};
    std::uint64_t number = 0;
    for (turn const& t : conversations(160, 11)) {
        cache::lease_record r = request_number(++number, t.prompt);
        r.granted.match.in = t.in;
        CHECK(log.record(r, t.sequence, {.first = true, .ended = true}));
        if (number == 120) log.open_window();
    }
    std::atomic<bool> const stop{false};
    std::vector<double> const alphas{0, 2};
    auto const found_from = [&](double alpha) {
        tune::alpha_search<policy::branch_and_tail, policy::flop_aware, std::int32_t> search{
            tiny_store(300), {}, {}, policy::flop_aware{alpha}};
        return search.run(log, alphas, stop).value();
    };
    auto const from_zero = found_from(0), from_two = found_from(2);
    REQUIRE(from_zero.scores.size() == 2);
    CHECK(from_zero.scores[0].saved.value() != from_zero.scores[1].saved.value());
    for (std::size_t i = 0; i < 2; ++i)
        CHECK(from_two.scores[i].saved.value() == from_zero.scores[i].saved.value());
}
