#include "traces.hpp"

#include <marconi/core/error.hpp>
#include <marconi/policy/admission/always.hpp>
#include <marconi/policy/admission/spaced.hpp>
#include <marconi/policy/eviction/gdsf.hpp>
#include <marconi/policy/eviction/lru.hpp>
#include <marconi/policy/eviction/reuse_odds.hpp>
#include <marconi/tune/learning_cache.hpp>
#include <marconi/tune/tuned_cache.hpp>

#include <support/catch.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <new>
#include <span>
#include <stdexcept>
#include <vector>

using namespace marconi;
using namespace marconi::tests;
using policy::age_bucket;
using policy::reuse_class;
using policy::reuse_kind;
using tune::learning_cache;
using tune::learning_options;

namespace {

/// Each of twenty texts, in turn, `rounds` times.
std::vector<tokens> round_robin(std::size_t rounds) {
    std::vector<tokens> all;
    for (std::size_t i = 0; i < 20 * rounds; ++i)
        all.push_back(numbered(static_cast<std::int32_t>(i % 20), 40));
    return all;
}

/// Ten texts that come back after 40 others, each of which is asked twice and then no more.
std::vector<tokens> returning_and_not(std::size_t rounds) {
    std::vector<tokens> all;
    std::int32_t fresh = 1000;
    for (std::size_t round = 0; round < rounds; ++round)
        for (std::int32_t text = 0; text < 10; ++text) {
            all.push_back(numbered(text, 40));
            for (int i = 0; i < 4; ++i, ++fresh)
                for (int twice = 0; twice < 2; ++twice)
                    all.push_back(numbered(fresh, 40));
        }
    return all;
}

template <class Cache>
std::size_t hits_of(Cache& cache, std::vector<tokens> const& all) {
    for (tokens const& t : all)
        (void)ask(cache, t);
    CHECK(cache::audit(cache).empty());
    return cache.stats().hits;
}

template <class Eviction>
std::size_t hits_with(std::uint64_t pages, std::vector<tokens> const& all) {
    cache::prefix_cache<memory::ledger_store, policy::branch_and_tail, Eviction> cache{
        tiny_store(pages)};
    return hits_of(cache, all);
}

/// What one would ask of a cache's state: everything that it holds.
template <class Cache>
std::vector<std::uint64_t> figures_of(Cache const& cache) {
    auto const holds = cache.holds();
    auto const& s = cache.stats();
    return {holds.used.value(),       holds.nodes,   holds.checkpoint_count, s.hits,
            s.tokens_resumed.value(), s.evictions(), s.checkpoints_stored};
}

} // namespace

TEST_CASE("what comes back after a long time is kept, though it is never recent") {
    auto const all = round_robin(30);
    constexpr std::uint64_t room_for_ten = 10 * 50;
    CHECK(hits_with<policy::lru>(room_for_ten, all) == 0);
    learning_cache cache{tiny_store(room_for_ten)};
    CHECK(hits_of(cache, all) > all.size() / 4); // the most that can be is a little under half
}

TEST_CASE("what is used twice and then no more makes way for what comes back") {
    auto const all = returning_and_not(20);
    std::size_t const twice = all.size() / 9 * 4; // is hit by any policy
    constexpr std::uint64_t room_for_twelve = 12 * 50;
    CHECK(hits_with<policy::lru>(room_for_twelve, all) == twice);
    CHECK(hits_with<policy::gdsf>(room_for_twelve, all) < twice + 20);
    learning_cache cache{tiny_store(room_for_twelve)};
    CHECK(hits_of(cache, all) > twice + 60); // of 190
}

TEST_CASE("caches that get the same calls learn the same") {
    learning_cache one{tiny_store(300)}, other{tiny_store(300)};
    for (turn const& t : conversations(1500, 11)) {
        (void)tune::replay(one, t.request());
        (void)tune::replay(other, t.request());
        REQUIRE(figures_of(one) == figures_of(other));
    }
    CHECK(one.stats().evictions() > 500);
    CHECK(one.learning().horizon_ticks == other.learning().horizon_ticks);
    CHECK(one.learning().horizon_ticks > 0);
}

TEST_CASE("the report tells what a larger cache would have saved") {
    learning_cache cache{tiny_store(300), {}, {.shadow_multiple = 1000}};
    for (turn const& t : conversations(500, 11))
        (void)tune::replay(cache, t.request());
    cache::prefix_cache endless{tiny_store(300'000)};
    for (turn const& t : conversations(500, 11))
        (void)tune::replay(endless, t.request());
    auto const report = cache.learning();
    CHECK(report.requests == 500);
    CHECK(report.shadow.flops_saved == endless.stats().flops_saved);
    CHECK(report.shadow.flops_saved > cache.stats().flops_saved);
    CHECK(report.shadow_now.used == endless.holds().used);
    CHECK(report.memory > byte_count{});
    CHECK(report.failure.empty());
}

TEST_CASE("the report tells what either policy alone would have saved") {
    bool const weighed = GENERATE(false, true);
    auto const all = conversations(1500, 11);
    learning_cache cache{tiny_store(300)};
    learning_cache odds_alone{tiny_store(300), {}, {.duel_half_life = 0}};
    cache::prefix_cache greedy{tiny_store(300)}; // gdsf
    for (turn const& t : all) {
        auto request = t.request();
        if (weighed) request.weight = t.in.tenant == 1 ? 20 : 0.1;
        (void)tune::replay(cache, request);
        (void)tune::replay(odds_alone, request);
        (void)tune::replay(greedy, request);
    }
    auto const report = cache.learning();
    // Nearly: they are shown the states that this cache asked for, beside those they would ask for.
    auto const nearly = [](cache::counters const& alone) {
        return Approx(alone.flops_saved.value()).epsilon(0.02);
    };
    CHECK(report.by_odds.flops_saved.value() == nearly(odds_alone.stats()));
    CHECK(report.by_gdsf.flops_saved.value() == nearly(greedy.stats()));
    CHECK(report.by_odds.requests == all.size());
    CHECK(report.by_gdsf.requests == all.size());
    CHECK(report.changes > 0);
    CHECK(cache.stats().flops_saved > flop_count{});
    CHECK(odds_alone.learning().by_gdsf.requests == 0);
    CHECK(odds_alone.learning().changes == 0);
    CHECK(odds_alone.rules_by_odds());
    CHECK(odds_alone.learning().memory < report.memory);
}

TEST_CASE("what either policy would have saved is told at this cache's time") {
    // Most requests are given up: they change nothing here but the time.
    learning_cache cache{tiny_store(300)};
    learning_cache odds_alone{tiny_store(300), {}, {.duel_half_life = 0}};
    for (turn const& t : conversations(1500, 11)) {
        for (int i = 0; i < 20; ++i) {
            (void)cache.acquire(cache.plan(cache.match({}, numbered(-1, 2))));
            (void)odds_alone.acquire(odds_alone.plan(odds_alone.match({}, numbered(-1, 2))));
        }
        (void)tune::replay(cache, t.request());
        (void)tune::replay(odds_alone, t.request());
    }
    CHECK(cache.learning().by_odds.flops_saved.value() ==
          Approx(odds_alone.stats().flops_saved.value()).epsilon(0.01));
}

TEST_CASE("greedy-dual rules while it would save more, and what was learned while that would") {
    learning_cache cache{tiny_store(300)};
    std::int32_t fresh = 1000;
    for (int i = 0; i < 500; ++i) { // what comes back comes at once
        tokens const t = numbered(++fresh, 30);
        (void)ask(cache, t);
        (void)ask(cache, t);
    }
    CHECK(cache.rules_by_odds());
    for (int round = 0; round < 20; ++round) { // a long text comes back among short ones
        (void)ask(cache, numbered(1, 100));
        for (int i = 0; i < 30; ++i)
            (void)ask(cache, numbered(++fresh, 10));
    }
    CHECK_FALSE(cache.rules_by_odds());
    std::size_t const changes = cache.learning().changes;
    for (tokens const& t : round_robin(60))
        (void)ask(cache, t);
    CHECK(cache.rules_by_odds());
    CHECK(cache.learning().changes > changes);
    CHECK(cache::audit(cache).empty());
}

TEST_CASE("how long a cache takes to take in what it holds is told by what came of late") {
    tune::intake taken_in;
    CHECK(taken_in.ticks_for(100) == 1e9); // nothing came
    taken_in.note(1000, 10);
    CHECK(taken_in.ticks_for(100) == 1);
    taken_in.fade(0.5);
    CHECK(taken_in.ticks_for(100) == 1);
    taken_in.note(1500, 30); // 500 more in 20 ticks
    CHECK(taken_in.ticks_for(100) == 2.5);
    taken_in.note(1100, 50); // given back
    taken_in.note(1500, 70);
    CHECK(taken_in.ticks_for(100) == 6.5);
}

TEST_CASE("what was seen counts half after the half-life") {
    auto const reuses_of = [](std::uint64_t half_life) {
        learning_cache cache{tiny_store(10'000), {}, {.half_life = half_life}};
        for (int i = 0; i < 640; ++i) // the first is none
            (void)ask(cache, numbered(1, 40));
        return cache.learning().reuses;
    };
    CHECK(reuses_of(1'000'000'000) == Approx(639).epsilon(1e-3));
    CHECK(reuses_of(16) == Approx(16).epsilon(1e-3)); // of each 16 half, a quarter, ...
    CHECK(reuses_of(1) < 1);
}

TEST_CASE("an engine that commits chunk by chunk, and while it decodes, teaches the same") {
    bool const attention_only = GENERATE(false, true);
    footprint model = tiny_model();
    if (attention_only) model.state_pieces.clear();
    memory::ledger_store const store{
        model, byte_count{256 * 100'000}, {.block_tokens = token_count{1}}};
    learning_cache whole{store}, in_steps{store};
    for (turn const& t : conversations(300, 2)) {
        (void)tune::replay(whole, t.request());

        auto const all = std::span{t.sequence};
        auto const plan = in_steps.plan(in_steps.match(t.in, all.first(t.prompt)));
        auto lease = in_steps.acquire(plan);
        auto const states = tune::captures_of(plan, token_count{all.size()});
        std::size_t told = 0;
        for (std::size_t end = plan.resume_at().value() + 1;; end = std::min(end + 7, all.size())) {
            std::vector<cache::captured_state> captured;
            for (; told < states.size() && states[told].position.value() <= end; ++told)
                captured.push_back(states[told]);
            (void)in_steps.commit(lease, all.first(end), {.checkpoints = captured});
            if (end == all.size()) break;
        }
        (void)in_steps.commit(lease, all); // nothing new
    }
    CHECK(figures_of(whole) == figures_of(in_steps));
    auto const one = whole.learning(), other = in_steps.learning();
    CHECK(one.shadow.hits > 100);
    CHECK(other.shadow.tokens_asked == one.shadow.tokens_asked);
    if (attention_only) return; // of an answer, only what passes a multiple of 1,024 tokens is told
    CHECK(other.shadow.hits == one.shadow.hits);
    CHECK(other.shadow.flops_saved == one.shadow.flops_saved);
    CHECK(other.shadow_now.checkpoint_count == one.shadow_now.checkpoint_count);
}

TEST_CASE("a commit that finds no room is told of once") {
    learning_cache cache{tiny_store(30)}; // nothing fits with its checkpoint
    tokens const t = numbered(1, 60);
    auto lease = cache.acquire(cache.plan(cache.match({}, std::span{t}.first(50))));
    cache::captured_state const tail{token_count{60}};
    for (std::size_t const size : {50u, 40u, 55u})
        CHECK_FALSE(cache.commit(lease, std::span{t}.first(size)).complete());
    CHECK_FALSE(cache.commit(lease, t, {.checkpoints = std::span{&tail, 1}}).complete());
    auto const report = cache.learning();
    CHECK(report.requests == 1);
    CHECK(report.shadow.requests == 1);
    CHECK(report.shadow.tokens_asked == token_count{50});
    CHECK(report.shadow_now.checkpoint_count == 1); // the answer's end
}

TEST_CASE("an engine that commits whole blocks, with states at their ends, is understood") {
    learning_cache cache{tiny_store(10'000, 16), {.checkpoint_grid = token_count{16}}};
    for (int round = 0; round < 2; ++round)
        for (std::int32_t text = 0; text < 5; ++text) {
            tokens const t = numbered(text, 120);
            auto const prompt = std::span{t}.first(100);
            auto lease = cache.acquire(cache.plan(cache.match({}, prompt)));
            cache::captured_state const early{token_count{96}}, late{token_count{112}};
            (void)cache.commit(lease, prompt.first(96), {.checkpoints = std::span{&early, 1}});
            (void)cache.commit(lease, std::span{t}.first(112),
                               {.checkpoints = std::span{&late, 1}});
        }
    auto const report = cache.learning();
    CHECK(report.requests == 10);
    CHECK(cache.stats().hits == 5);
    CHECK(report.shadow.hits == 5);
    CHECK(report.shadow_now.checkpoint_count == cache.holds().checkpoint_count);
    (void)ask(cache, numbered(9, 3)); // less than a block
    CHECK(cache.learning().requests == 11);
}

namespace {

/// Commits of tokens up to an end; with the state there, if any.
struct step {
    std::size_t end;
    bool state;
};

/// What a cache that has room for all saved, with turns of some conversations committed so.
template <class Steps>
void shadow_and_rivals_save_the_same(Steps steps) {
    learning_cache cache{tiny_store(100'000)};
    for (std::int32_t talk = 0; talk < 8; ++talk) {
        tokens all = numbered(talk, 50);
        for (std::int32_t turn = 0; turn < 5; ++turn) {
            std::size_t const prompt = all.size() + 5;
            all.resize(prompt + 100, talk * 1000 + turn);
            std::span<std::int32_t const> const t = all;
            auto lease = cache.acquire(cache.plan(cache.match({}, t.first(prompt))));
            for (step const& s : steps(prompt, all.size())) {
                cache::captured_state const state{token_count{s.end}};
                (void)cache.commit(lease, t.first(s.end),
                                   {.checkpoints = std::span{&state, s.state ? 1u : 0u}});
            }
        }
    }
    REQUIRE(cache.stats().evictions() == 0);
    CHECK(cache.stats().hits >= 8 * 4);
    auto const report = cache.learning();
    CHECK(report.shadow.flops_saved == cache.stats().flops_saved);
    CHECK(report.by_odds.flops_saved == cache.stats().flops_saved);
    CHECK(report.by_gdsf.flops_saved == cache.stats().flops_saved);
}

} // namespace

namespace {

/// Knows nothing but a prefix_cache.
template <class Store, class Admission, class Eviction, class Observer, class Attendant>
void commit_and_clear(
    cache::prefix_cache<Store, Admission, Eviction, Observer, std::int32_t, Attendant>& cache,
    tokens const& all) {
    auto const lease = cache.open({}, all);
    std::vector<cache::captured_state> const end{{token_count{all.size()}}};
    CHECK(cache.commit(lease, all, {.checkpoints = end}).complete());
    CHECK(cache.holds().nodes > 0);
    cache.clear(scope{});
}

} // namespace

TEST_CASE("what comes through a reference to a plain prefix_cache is learned from, too") {
    learning_cache cache{tiny_store(100)};
    commit_and_clear(cache, numbered(1, 20));
    CHECK(cache.learning().requests == 1);
    CHECK(cache.learning().shadow_now.nodes == 0);
    tune::tuned_cache tuned{tiny_store(100)};
    commit_and_clear(tuned, numbered(1, 20));
    commit_and_clear(tuned, numbered(2, 20));
    CHECK(tuned.tuning().requests_before == 2);
    CHECK(tuned.tuning().log_bytes == byte_count{});
}

TEST_CASE("who learns is told of a request's weight and answer, whichever part of it comes") {
    cache::prefix_cache cache{tiny_store(100)};
    tokens const all = numbered(1, 20);
    cache::lease_record lease;
    lease.granted.match.tokens = token_count{10};
    lease.granted.match.answer_from = token_count{8};
    lease.granted.match.weight = 3;
    for (std::size_t const size : {10u, 15u}) {
        std::vector<cache::captured_state> const states{{token_count{size}}};
        auto const shown = tune::request_shown(lease, std::span{all}.first(size),
                                               {.checkpoints = states}, cache.internals());
        REQUIRE(shown);
        CHECK((shown->prompt == token_count{}) == (size == 15)); // more of an answer
        CHECK(shown->weight == 3);
        CHECK(shown->answer_from == token_count{8});
        lease.offered = lease.captured = static_cast<std::uint32_t>(size);
    }
}

TEST_CASE("a request is seen once, whatever its commits end at") {
    // Blocks of 64 tokens: the first of these commits completes all but a block that is not full.
    auto const ends = GENERATE(std::vector<std::size_t>{448, 486, 502},
                               std::vector<std::size_t>{64, 486, 502, 520},
                               std::vector<std::size_t>{486, 512, 520});
    learning_cache cache{tiny_store(1000, 64)};
    tokens const all = numbered(1, 520);
    auto const lease = cache.open({}, std::span{all}.first(502));
    for (std::size_t const end : ends) {
        std::vector<cache::captured_state> const states{{token_count{end}}};
        (void)cache.commit(lease, std::span{all}.first(end), {.checkpoints = states});
    }
    CHECK(cache.learning().requests == 1);
}

TEST_CASE("the states of an answer are told of, whichever commit brings them") {
    using steps = std::vector<step>;
    SECTION("with its tokens") {
        shadow_and_rivals_save_the_same([](std::size_t, std::size_t all) {
            return steps{{all, true}};
        });
    }
    SECTION("after its tokens") {
        shadow_and_rivals_save_the_same([](std::size_t, std::size_t all) {
            return steps{{all, false}, {all, true}};
        });
    }
    SECTION("after those of the prompt, and its own") {
        shadow_and_rivals_save_the_same([](std::size_t prompt, std::size_t all) {
            return steps{{prompt, false}, {all, false}, {all, true}};
        });
    }
    SECTION("shortly after another") {
        shadow_and_rivals_save_the_same([](std::size_t prompt, std::size_t all) {
            return steps{{prompt + 5, true}, {all, true}};
        });
    }
}

TEST_CASE("states at an engine's own positions are told of, if chunks brought them before") {
    bool const in_chunks = GENERATE(false, true);
    bool const in_the_plan =
        GENERATE(false, true); // or nobody asked, as where a second tier had it
    learning_cache cache{tiny_store(100'000)};
    token_count const mark{500};
    for (std::int32_t i = 0; i < 20; ++i) { // two at a time begin alike
        tokens t = numbered(i / 2, 500);
        t.resize(1000, -1 - i);
        auto plan = cache.plan(cache.match({}, t));
        if (plan.resume_at() < mark && in_the_plan) plan.captures.at = {mark};
        auto lease = cache.acquire(plan);
        cache::captured_state const states[] = {{mark}, {token_count{1000}}};
        bool const marked = lease.resume_at() < mark;
        std::span const all{states};
        if (in_chunks && marked)
            (void)cache.commit(lease, std::span{t}.first(512), {.checkpoints = all.first(1)});
        (void)cache.commit(lease, t, {.checkpoints = in_chunks || !marked ? all.last(1) : all});
    }
    CHECK(cache.stats().hits == 10);
    CHECK(cache.learning().shadow.flops_saved == cache.stats().flops_saved);
    CHECK(cache.learning().by_odds.flops_saved == cache.stats().flops_saved);
}

TEST_CASE("who resumes at the very end need bring no state: a rival takes it anew") {
    learning_cache cache{tiny_store(300)};
    tokens const t = numbered(1, 60);
    (void)ask(cache, t);
    auto const resume_at_the_end = [&] {
        auto lease = cache.acquire(cache.plan(cache.match({}, t, {.limit = token_count{60}})));
        REQUIRE(lease.resume_at() == token_count{60});
        (void)cache.commit(lease, t);
        return lease;
    };
    auto const pins_it = resume_at_the_end();
    for (std::int32_t i = 10; i < 60; ++i) // what rivals do not pin goes
        (void)ask(cache, numbered(i, 60));
    auto const hits = [&] { return cache.learning().by_gdsf.hits; };
    auto const before = hits();
    (void)resume_at_the_end();
    CHECK(hits() == before);
    (void)resume_at_the_end();
    CHECK(hits() == before + 1);
}

TEST_CASE("a chunk that is less than a block is not a whole prompt") {
    learning_cache cache{tiny_store(10'000, 256)};
    tokens const t = numbered(1, 250);
    auto lease = cache.acquire(cache.plan(cache.match({}, t)));
    (void)cache.commit(lease, std::span{t}.first(128));
    CHECK(cache.learning().requests == 0);
    (void)cache.commit(lease, t);
    CHECK(cache.learning().requests == 1);
    CHECK(cache.learning().shadow.tokens_asked == cache.stats().tokens_asked);
}

TEST_CASE("a shadow's report tells of the requests that it has room to see") {
    learning_cache cache{tiny_store(1'000'000), {}, {.shadow_memory = 1_MiB}};
    for (std::int32_t i = 0; i < 5; ++i)
        (void)ask(cache, numbered(i, 100'000));
    for (std::int32_t i = 5; i < 12; ++i)
        (void)ask(cache, numbered(i, 100));
    tune::learning_report const report = cache.learning();
    CHECK(report.requests == 12);
    CHECK(report.shadow.requests == 7);
    CHECK(report.shadow.tokens_asked == 700_tokens);
    CHECK(report.by_gdsf.requests == 12);
    CHECK(report.by_gdsf.tokens_asked == 500'700_tokens);
}

TEST_CASE("a long answer is not told of with every state that it brings") {
    learning_cache<memory::ledger_store, policy::always> cache{
        tiny_store(100'000), {}, {}, policy::always{token_count{64}}};
    tokens const t = numbered(1, 20'000);
    auto lease = cache.acquire(cache.plan(cache.match({}, std::span{t}.first(100))));
    std::uint64_t const before = cache.learning().shadow.commits;
    for (std::size_t end = 128; end < t.size(); end += 64) {
        cache::captured_state const state{token_count{end}};
        (void)cache.commit(lease, std::span{t}.first(end), {.checkpoints = std::span{&state, 1}});
    }
    CHECK(cache.learning().shadow.commits - before < 25);
    CHECK(cache.learning().shadow_now.checkpoint_count > 250);
}

TEST_CASE("what is cleared is forgotten by the shadow, too") {
    learning_cache cache{tiny_store(300)};
    scope const gone{.tenant = 1}, stays{.tenant = 2};
    (void)ask(cache, numbered(1, 30), gone);
    (void)ask(cache, numbered(2, 30), stays);
    cache.clear(gone);
    CHECK(cache.learning().shadow_now.nodes == 1);
    (void)ask(cache, numbered(1, 30), gone);
    CHECK(cache.learning().shadow.hits == 0);
    (void)ask(cache, numbered(2, 30), stays);
    CHECK(cache.learning().shadow.hits == 1);
    cache.forget(stays);
    CHECK(cache.learning().shadow_now.nodes == 1);
    cache.clear();
    CHECK(cache.learning().shadow_now.nodes == 0);
    CHECK(cache.holds().nodes == 0);
}

namespace {

/// Asked in turn by the cache and by those that learn for it, it fails one of these once.
struct failing_admission : policy::branch_and_tail {
    std::shared_ptr<int> calls = std::make_shared<int>(0);
    bool no_memory = false;

    [[nodiscard]] policy::capture_rule captures(policy::request_facts const& facts) const {
        if (++*calls == 40 && no_memory) throw std::bad_alloc{};
        if (*calls == 40) throw std::runtime_error{"a bug"};
        return branch_and_tail::captures(facts);
    }
};

} // namespace

TEST_CASE("a shadow or a duel that fails ends the learning and no request") {
    bool const no_memory = GENERATE(false, true);
    bool const in_duel = GENERATE(false, true);
    failing_admission admission;
    admission.no_memory = no_memory;
    learning_cache<memory::ledger_store, failing_admission> cache{
        tiny_store(300), {}, {.duel_half_life = in_duel ? 64u : 0u}, admission};
    auto const all = conversations(400, 9);
    for (turn const& t : all)
        (void)tune::replay(cache, t.request());
    auto const report = cache.learning();
    CHECK(report.failure == (no_memory ? "no memory" : "policy threw"));
    CHECK(report.requests == (in_duel ? 10 : 19));
    CHECK(report.memory == byte_count{});
    CHECK(cache.stats().requests == 400);
    CHECK(cache.stats().evictions() > 100); // by the odds that it had
    CHECK(cache::audit(cache).empty());
    cache.clear();
    cache.clear(all[0].in);
    CHECK(cache.holds().used == byte_count{});
    CHECK(cache.learning().failure == report.failure);
}

TEST_CASE("learning options out of range are errors") {
    double const infinity = std::numeric_limits<double>::infinity();
    auto const with = [](learning_options options) {
        (void)learning_cache{tiny_store(10), {}, options};
    };
    CHECK_THROWS_AS(with({.shadow_multiple = 0}), invalid_argument);
    CHECK_THROWS_AS(with({.shadow_multiple = 1001}), invalid_argument);
    CHECK_THROWS_AS(with({.horizon = 0}), invalid_argument);
    CHECK_THROWS_AS(with({.horizon = -1}), invalid_argument);
    CHECK_THROWS_AS(with({.horizon = std::nan("")}), invalid_argument);
    CHECK_THROWS_AS(with({.horizon = infinity}), invalid_argument);
    CHECK_THROWS_AS(with({.half_life = 0}), invalid_argument);
    CHECK_NOTHROW(with({.shadow_multiple = 1000, .shadow_memory = {}, .half_life = 1}));
}

TEST_CASE("a large cache has a shadow of as many pages as ids can count") {
    memory::ledger_store const large{
        tiny_model(), byte_count{256} * 4'000'000'000u, {.block_tokens = token_count{1}}};
    CHECK(tune::ledger_like(large, 16).pages().capacity() ==
          std::numeric_limits<std::uint32_t>::max() - 1);
    CHECK(tune::ledger_like(tiny_store(10), 16).pages().capacity() == 160);
}

TEST_CASE("answers begin where they do in the ghosts, too, if a commit ends before the prompt") {
    auto const stored = [](std::vector<std::size_t> const& ends) {
        learning_cache cache{tiny_store(1000, 16), {}, {}, policy::branch_and_tail{8_tokens}};
        for (std::int32_t i = 0; i < 20; ++i) {
            tokens const prompt = numbered(i, 104);
            auto const lease = cache.open({}, prompt);
            CHECK(lease.capture_at().size() == 1);
            std::vector<cache::captured_state> const state{{.position = 96_tokens}};
            bool brought = false;
            for (std::size_t const end : ends) {
                std::span const part = std::span{prompt}.first(end);
                if (std::exchange(brought, true))
                    cache.commit(lease, part);
                else
                    cache.commit(lease, part, {.checkpoints = state});
            }
        }
        auto const report = cache.learning();
        CHECK(cache.stats().checkpoints_stored == 20);
        return std::vector{report.by_odds.checkpoints_stored, report.by_gdsf.checkpoints_stored,
                           report.shadow.checkpoints_stored};
    };
    std::vector<std::uint64_t> const right(3, 20);
    CHECK(stored({104}) == right);
    CHECK(stored({96, 104}) == right);
}

namespace {

/// What was learned of forty conversations that take turns, too many for the cache. An answer
/// begins with thoughts, which later prompts leave out, or keep.
policy::reuse_odds odds_after_conversations(bool thoughts_kept) {
    learning_cache cache{tiny_store(2400), {}, {}, policy::branch_and_tail{2_tokens}};
    std::int32_t name = 0;
    auto const append = [](tokens& to, tokens const& more) {
        to.insert(to.end(), more.begin(), more.end());
    };
    tokens const opening = numbered(name++, 2);
    std::vector<tokens> histories(40);
    for (int turn = 0; turn < 16; ++turn)
        for (tokens& history : histories) {
            if (turn % 4 == 0) history.clear(); // another conversation
            append(history, numbered(name++, 10));
            tokens all = history;
            append(all, opening);
            token_count const prompt{all.size()};
            append(all, numbered(name++, 10)); // thoughts
            if (thoughts_kept) history = all;
            tokens const said = numbered(name++, 5);
            append(all, said);
            append(history, said);
            (void)tune::replay(cache,
                               {.tokens = all, .prompt = prompt, .limit = prompt - 1_tokens});
        }
    CHECK(cache.stats().evictions() > 200);
    return cache.eviction().first().odds();
}

} // namespace

TEST_CASE("whether prompts come back to the ends of answers is learned") {
    std::size_t const a_round_later = age_bucket::of(80);
    reuse_class const question{reuse_kind::passing, 0}, answer{reuse_kind::passing, 0, true};
    auto const kept = odds_after_conversations(true), left_out = odds_after_conversations(false);
    CHECK(kept.at(answer, a_round_later) == Approx(kept.at(question, a_round_later)).epsilon(0.1));
    CHECK(left_out.at(answer, a_round_later) < left_out.at(question, a_round_later) / 5);
}

TEST_CASE("nothing is learned from what nobody asked for") {
    using spaced_cache = learning_cache<memory::ledger_store, policy::spaced>;
    auto const made = [] {
        return std::make_unique<spaced_cache>(tiny_store(300), cache::cache_options{},
                                              learning_options{}, policy::spaced{token_count{8}});
    };
    auto const loaded = made(), empty = made();
    for (turn const& t : conversations(100, 3)) {
        auto const lease =
            loaded->open(t.in, t.sequence, {.limit = token_count{}, .counted = false});
        cache::captured_state const end{token_count{t.sequence.size()}};
        (void)loaded->commit(lease, std::span{t.sequence}.first(t.prompt));
        (void)loaded->commit(lease, t.sequence, {.checkpoints = {&end, 1}});
    }
    CHECK(loaded->holds().checkpoint_count > 0);
    CHECK(loaded->stats().evictions() > 0);
    CHECK(loaded->learning().requests == 0);
    CHECK(loaded->learning().shadow == cache::counters{});
    CHECK(loaded->learning().shadow_now.nodes == 0);
    CHECK(loaded->learning().by_odds == cache::counters{});

    // So both learn the same from what comes then, except that time has gone by.
    for (turn const& t : conversations(100, 4)) {
        (void)tune::replay(*loaded, t.request());
        (void)tune::replay(*empty, t.request());
    }
    CHECK(loaded->learning().requests == 100);
    CHECK(loaded->learning().shadow == empty->learning().shadow);
}
