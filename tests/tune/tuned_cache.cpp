#include "traces.hpp"

#include <marconi/memory/ledger_store.hpp>
#include <marconi/memory/relay_store.hpp>

#include <support/catch.hpp>

#include <atomic>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

using namespace marconi;
using namespace marconi::tests;
using tune::tuned_cache;
using tune::tuning_options;
using tune::tuning_state;

namespace {

constexpr tuning_options at_once{.deterministic = true};

/// Asks one sequence after the other, checking the cache after each.
template <class Cache>
void ask_all(Cache& cache, std::vector<tokens> const& sequences) {
    for (tokens const& t : sequences) {
        (void)ask(cache, t);
        REQUIRE(cache::audit(cache).empty());
    }
}

/// A long text every third time, and short ones that never come back.
std::vector<tokens> long_one_returns(std::size_t count) {
    std::vector<tokens> all;
    for (std::size_t i = 0; i < count; ++i)
        all.push_back(i % 3 == 0 ? numbered(1, 90) : numbered(100 + static_cast<int>(i), 10));
    return all;
}

/// A short text every second time, and long ones that never come back.
std::vector<tokens> short_one_returns(std::size_t count) {
    std::vector<tokens> all;
    for (std::size_t i = 0; i < count; ++i)
        all.push_back(i % 2 == 0 ? numbered(1, 10) : numbered(100 + static_cast<int>(i), 90));
    return all;
}

} // namespace

TEST_CASE("a large alpha wins where a long text returns among short ones") {
    // Room for the long text (90 + 10 pages) and one short text (10 + 10). Of the two the long one
    // is the older when the second short one arrives: recency 0 against 1, efficiency 1 against 0.
    // It stays if alpha > 1; at 1 the scores are equal, and the oldest goes.
    tuned_cache cache{tiny_store(120), {}, at_once};
    ask_all(cache, long_one_returns(11));
    CHECK(cache.tuning().state == tuning_state::recording);
    CHECK(cache.eviction().alpha() == 0);
    ask_all(cache, {numbered(999, 10)});

    auto const& report = cache.tuning();
    CHECK(report.state == tuning_state::done);
    CHECK(report.requests_before == 2);
    CHECK(report.window == 10);
    CHECK(report.requests_logged == 10);
    CHECK(report.alpha == 1.1);
    CHECK(report.failure.empty());
    CHECK(cache.eviction().alpha() == 1.1);
    CHECK(report.replays.start.nodes == 2);
    CHECK(report.replays.start.used == byte_count{120 * 256});
    CHECK(report.replays.asked == flop_count{3 * 8100 + 7 * 100});
    REQUIRE(report.replays.scores.size() == 21);
    for (std::size_t i = 0; i <= 20; ++i) {
        CHECK(report.replays.scores[i].alpha == static_cast<double>(i) / 10);
        CHECK(report.replays.scores[i].saved == flop_count{i <= 10 ? 0.0 : 3 * 8100.0});
    }

    // From here on the long text stays.
    (void)ask(cache, numbered(1, 90));
    flop_count const before = cache.stats().flops_saved;
    ask_all(cache, {numbered(50, 10), numbered(51, 10), numbered(1, 90)});
    CHECK(cache.stats().flops_saved - before == flop_count{8100});
}

TEST_CASE("what an alpha saved counts by the requests' weights") {
    tuned_cache cache{tiny_store(120), {}, at_once};
    for (tokens const& t : long_one_returns(12)) {
        auto request = whole(t);
        request.weight = 2;
        (void)tune::replay(cache, request);
    }
    REQUIRE(cache.tuning().state == tuning_state::done);
    CHECK(cache.tuning().replays.scores.back().saved == flop_count{2 * 3 * 8100.0});
    CHECK(cache.tuning().replays.asked == flop_count{2 * (3 * 8100.0 + 7 * 100)});
}

TEST_CASE("alpha stays 0 where a short text returns among long ones") {
    // Above 1 the short text goes for the long one that is never asked again.
    tuned_cache cache{tiny_store(120), {}, at_once};
    ask_all(cache, short_one_returns(18));
    auto const& report = cache.tuning();
    REQUIRE(report.state == tuning_state::done);
    CHECK(report.requests_before == 3);
    CHECK(report.window == 15);
    CHECK(report.alpha == 0);
    CHECK(cache.eviction().alpha() == 0);
    for (tune::alpha_score const& s : report.replays.scores)
        CHECK(s.saved == flop_count{s.alpha <= 1 ? 700.0 : 0.0});
}

TEST_CASE("nothing is recorded as the window before the first eviction") {
    tuned_cache cache{tiny_store(1000), {}, at_once, {}, policy::flop_aware{1.5}};
    CHECK(cache.eviction().alpha() == 0);
    ask_all(cache, long_one_returns(10));
    CHECK(cache.stats().evictions() == 0);
    CHECK(cache.tuning().state == tuning_state::waiting);
    CHECK(cache.tuning().requests_before == 10);
    CHECK(cache.tuning().window == 0);
    CHECK(cache.tuning().log_bytes > byte_count{});
}

TEST_CASE("the window is the multiplier times the requests before it") {
    std::uint64_t const multiplier = GENERATE(1u, 2u, 15u);
    tuned_cache cache{tiny_store(120), {}, {.multiplier = multiplier, .deterministic = true}};
    std::size_t asked = 0;
    for (tokens const& t : long_one_returns(100)) {
        if (cache.tuning().state == tuning_state::done) break;
        (void)ask(cache, t);
        ++asked;
    }
    CHECK(asked == 2 + 2 * multiplier);
    CHECK(cache.tuning().requests_logged == 2 * multiplier);
}

TEST_CASE("the memory of the log is gone when tuning is done") {
    tuned_cache cache{tiny_store(120), {}, at_once};
    ask_all(cache, long_one_returns(12));
    CHECK(cache.tuning().state == tuning_state::done);
    CHECK(cache.tuning().log_bytes == byte_count{});
    ask_all(cache, long_one_returns(12));
    CHECK(cache.tuning().log_bytes == byte_count{});
    CHECK(cache.tuning().requests_logged == 10);
}

TEST_CASE("replays start from the cache as it stood at the first eviction") {
    std::uint64_t const block_tokens = GENERATE(1u, 4u, 16u);
    bool const two_commits = GENERATE(false, true);
    tuned_cache cache{tiny_store(900 / block_tokens, block_tokens), {}, at_once};
    cache::occupancy start;
    for (turn const& t : conversations(2000, 7)) {
        if (cache.tuning().state == tuning_state::done) break;
        auto const request = t.request();
        auto const all = std::span{t.sequence};
        auto const plan = cache.plan(cache.match(t.in, all.first(t.prompt)));
        auto const lease = cache.acquire(plan);
        auto const captured = tune::captures_of(plan, token_count{all.size()});
        std::span<cache::captured_state const> late = captured;
        auto const commit = [&](std::span<std::int32_t const> sequence,
                                std::span<cache::captured_state const> states) {
            auto const before = cache.holds();
            (void)cache.commit(lease, sequence, {.checkpoints = states});
            if (start.nodes == 0 && cache.stats().evictions() > 0) start = before;
        };
        if (two_commits) {
            std::size_t const early = captured.empty() ? 0 : captured.size() - 1;
            commit(request.tokens.first(t.prompt), late.first(early));
            late = late.subspan(early);
        }
        commit(request.tokens, late);
    }
    auto const& report = cache.tuning();
    REQUIRE(report.state == tuning_state::done);
    REQUIRE(report.requests_before > 5);
    CAPTURE(block_tokens, two_commits, start.checkpoint_count, start.used.value(), start.leases);
    CHECK(start.nodes > 5);
    CHECK(report.replays.start.nodes == start.nodes);
    CHECK(report.replays.start.checkpoint_count == start.checkpoint_count);
    CHECK(report.replays.start.used == start.used);
    CHECK(report.replays.start.scopes == start.scopes);
}

TEST_CASE("a replay at the alpha in use saves what the cache saved") {
    tuned_cache cache{tiny_store(300), {}, at_once};
    flop_count saved, asked;
    for (turn const& t : conversations(2000, 3)) {
        flop_count const saved_before = cache.stats().flops_saved;
        flop_count const asked_before = cache.stats().flops_asked;
        (void)tune::replay(cache, t.request());
        if (cache.tuning().state == tuning_state::waiting) continue;
        saved += cache.stats().flops_saved - saved_before;
        asked += cache.stats().flops_asked - asked_before;
        if (cache.tuning().state == tuning_state::done) break;
    }
    auto const& replays = cache.tuning().replays;
    REQUIRE(replays.scores.size() == 21);
    CHECK(saved > flop_count{});
    CHECK(replays.scores.front().saved == saved);
    CHECK(replays.asked == asked);
}

namespace {

/// Counts, like ledger_store, but asks for the time of copies.
struct copying_ledger : memory::ledger_store {
    static constexpr bool holds_bytes = true;
    static constexpr bool reads_views = false;
    using memory::ledger_store::ledger_store;
    explicit copying_ledger(memory::ledger_store s) : memory::ledger_store{std::move(s)} {}
};

} // namespace

TEST_CASE("a commit whose copy saw the window closed by another one tells nobody of it") {
    tuned_cache cache{copying_ledger{tiny_store(120)}, {}, at_once};
    auto const commit = [&](tokens const& t, auto const& meanwhile) {
        auto const lease = cache.open({}, t);
        cache::captured_state const tail{token_count{t.size()}};
        cache.commit(lease, t,
                     {.kv = memory::relay_store::kv_on_ranks(), .checkpoints = {&tail, 1}},
                     memory::no_stream{}, [&](auto const& copy) {
                         copy();
                         meanwhile();
                     });
    };
    for (tokens const& t : long_one_returns(11))
        commit(t, [] {});
    REQUIRE(cache.tuning().state == tuning_state::recording);
    bool closed = false;
    commit(numbered(999, 10), [&] {
        for (int i = 0; i < 10 && !closed; ++i) {
            commit(numbered(500 + i, 10), [] {});
            closed = cache.tuning().state == tuning_state::done;
        }
    });
    CHECK(closed);
    CHECK(cache.tuning().failure.empty());
    CHECK(cache.tuning().requests_logged == cache.tuning().window);
    CHECK(cache.tuning().log_bytes == byte_count{});
    CHECK(cache::audit(cache).empty());
}

TEST_CASE("on a thread the tuner chooses what it chooses at once") {
    auto const turns = conversations(3000, 11);
    tuned_cache now{tiny_store(400), {}, at_once};
    tuned_cache later{tiny_store(400)};
    std::size_t at = 0;
    for (; now.tuning().state != tuning_state::done; ++at) {
        (void)tune::replay(now, turns.at(at).request());
        (void)tune::replay(later, turns.at(at).request());
    }
    CHECK(later.tuning().window == now.tuning().window);
    SECTION("which a commit after the replays adopts") {
        for (std::uint64_t i = 0; i < 100'000'000; ++i) {
            if (later.tuning().state == tuning_state::done) break;
            (void)tune::replay(later, turns[i % turns.size()].request());
            std::this_thread::yield();
        }
    }
    SECTION("or waiting for it") { later.wait_for_tuning(); }
    REQUIRE(later.tuning().state == tuning_state::done);
    CHECK(later.eviction().alpha() == now.eviction().alpha());
    CHECK(later.tuning().alpha == now.tuning().alpha);
    REQUIRE(later.tuning().replays.scores.size() == now.tuning().replays.scores.size());
    for (std::size_t i = 0; i < 21; ++i)
        CHECK(later.tuning().replays.scores[i].saved == now.tuning().replays.scores[i].saved);
    CHECK(cache::audit(later).empty());
    for (std::size_t i = 0; i < 50; ++i) {
        (void)tune::replay(later, turns[at + i].request());
        REQUIRE(cache::audit(later).empty());
    }
}

TEST_CASE("the log stays under its bound") {
    SECTION("before the first eviction the oldest requests are forgotten") {
        byte_count const bound{8000};
        tuned_cache cache{tiny_store(100'000), {}, {.log_bytes = bound, .deterministic = true}};
        for (turn const& t : conversations(200, 5)) {
            (void)tune::replay(cache, t.request());
            REQUIRE(cache.tuning().log_bytes <= bound);
        }
        CHECK(cache.tuning().state == tuning_state::waiting);
        CHECK(cache.tuning().requests_before == 200);
    }
    SECTION("in the window it ends the window") {
        byte_count const bound{20'000};
        tuned_cache cache{tiny_store(600), {}, {.log_bytes = bound, .deterministic = true}};
        for (turn const& t : conversations(1000, 5)) {
            (void)tune::replay(cache, t.request());
            REQUIRE(cache.tuning().log_bytes <= bound);
        }
        CHECK(cache.tuning().state == tuning_state::done);
        CHECK(cache.tuning().requests_logged > 0);
        CHECK(cache.tuning().requests_logged < cache.tuning().window);
        CHECK(cache.tuning().replays.scores.size() == 21);
    }
    SECTION("of which nothing is left for a request larger than it") {
        tuned_cache cache{tiny_store(120), {}, {.log_bytes = 64_B, .deterministic = true}};
        ask_all(cache, long_one_returns(12));
        CHECK(cache.tuning().state == tuning_state::done);
        CHECK(cache.tuning().alpha == 0);
        CHECK(cache.tuning().requests_logged == 0);
    }
}

TEST_CASE("what an earlier request commits in the window does not count as one of it") {
    tuned_cache cache{tiny_store(120), {}, at_once};
    tokens const early = numbered(1, 30);
    auto const lease = cache.acquire(cache.plan(cache.match({}, std::span{early}.first(20))));
    (void)cache.commit(lease, std::span{early}.first(20));
    ask_all(cache, {numbered(2, 70)}); // 20 + 80 pages
    auto const start = cache.holds();
    ask_all(cache, {numbered(3, 20)}); // does not fit
    CHECK(cache.tuning().state == tuning_state::recording);
    CHECK(cache.tuning().requests_logged == 1);
    cache::captured_state const tail{token_count{30}};
    CHECK(cache.commit(lease, early, {.checkpoints = std::span{&tail, 1}}).complete());
    CHECK(cache.tuning().requests_logged == 1);
    for (int i = 4; cache.tuning().state != tuning_state::done && i < 100; ++i)
        ask_all(cache, {numbered(i, 20)});
    CHECK(cache.tuning().requests_logged == 10);
    CHECK(cache.tuning().replays.asked == flop_count{10 * 400});
    CHECK(cache.tuning().replays.start.used == start.used);
    CHECK(cache.tuning().replays.start.nodes == start.nodes);
}

TEST_CASE("clearing is no want of room, and clears the log before the window") {
    tuned_cache cache{tiny_store(1000), {}, at_once};
    for (int i = 0; i < 4; ++i)
        (void)ask(cache, numbered(i, 20), {.tenant = i % 2 == 0 ? 1u : 2u});
    byte_count const logged = cache.tuning().log_bytes;
    cache.clear({.tenant = 1});
    CHECK(cache.stats().evictions() == 2);
    CHECK(cache.tuning().log_bytes.value() * 2 == logged.value());
    cache.clear();
    CHECK(cache.holds().nodes == 0);
    CHECK(cache.tuning().log_bytes == byte_count{});
    (void)ask(cache, numbered(9, 20));
    CHECK(cache.tuning().state == tuning_state::waiting);
    CHECK(cache.tuning().log_bytes.value() * 4 == logged.value());
}

TEST_CASE("what is cleared within the window is forgotten, and replays go on without it") {
    scope const mine{.tenant = 1}, theirs{.tenant = 2};
    tuned_cache cache{tiny_store(100), {}, at_once}; // room for three texts of 20 + 10 pages
    for (int i = 0; i < 3; ++i)
        (void)ask(cache, numbered(i, 20), i == 0 ? theirs : mine);
    (void)ask(cache, numbered(3, 20), theirs); // the first of the window
    flop_count asked = ask(cache, numbered(4, 20), mine).asked;
    REQUIRE(cache.tuning().state == tuning_state::recording);
    byte_count const logged = cache.tuning().log_bytes;

    SECTION("a scope's requests") {
        cache.clear(theirs);
        CHECK(cache.tuning().log_bytes.value() * 5 == logged.value() * 3);
        CHECK(cache.tuning().requests_logged == 1); // the window goes on for as many more
    }
    SECTION("all requests") {
        cache.clear();
        CHECK(cache.tuning().log_bytes == byte_count{});
        CHECK(cache.tuning().requests_logged == 0);
        asked = {};
    }
    bool const all = cache.tuning().log_bytes == byte_count{};
    for (int i = 5; cache.tuning().state == tuning_state::recording; ++i)
        asked += ask(cache, numbered(i % 3, 20), mine).asked;
    auto const& report = cache.tuning();
    CHECK(report.failure == "");
    CHECK(report.requests_logged == report.window);
    CHECK(report.replays.asked == asked);
    CHECK(report.replays.start.nodes == (all ? 0 : 2));
}

TEST_CASE("what nobody asked for is no request of the window, nor before it") {
    tuned_cache cache{tiny_store(120), {}, at_once};
    auto const load = [&](std::int32_t first) {
        tokens const t = numbered(first, 20);
        auto const lease = cache.open({}, t, {.counted = false});
        (void)cache.commit(lease, t);
    };
    for (std::int32_t i = 0; i < 10; ++i) // of which six fit
        load(i);
    CHECK(cache.stats().evictions() > 0);
    CHECK(cache.tuning().state == tuning_state::waiting);
    CHECK(cache.tuning().log_bytes == byte_count{});
    (void)ask(cache, numbered(20, 20));
    CHECK(cache.tuning().state == tuning_state::recording);
    load(30);
    CHECK(cache.tuning().requests_before == 0);
    CHECK(cache.tuning().requests_logged == 1);
}

TEST_CASE("explicit eviction is want of room") {
    tuned_cache cache{tiny_store(1000), {}, at_once};
    ask_all(cache, {numbered(1, 20), numbered(2, 20)});
    cache.evict(1_B);
    ask_all(cache, {numbered(3, 20)});
    CHECK(cache.tuning().state == tuning_state::recording);
    CHECK(cache.tuning().window == 10);
}

namespace {

/// What the replays' thread asks before it plans a request.
struct gate {
    std::thread::id const owner = std::this_thread::get_id();
    std::atomic<bool> open{false};
    std::atomic<bool> broken{false};
    std::atomic<std::uint64_t> plans{0}; ///< by the replays
};

struct gated_admission {
    std::shared_ptr<gate> at;

    [[nodiscard]] policy::capture_rule captures(policy::request_facts const& facts) const {
        if (at && std::this_thread::get_id() != at->owner) {
            ++at->plans;
            at->plans.notify_all();
            at->open.wait(false);
            if (at->broken) throw std::runtime_error{"broken"};
        }
        return policy::branch_and_tail{}.captures(facts);
    }
};

using gated_cache = tuned_cache<memory::ledger_store, gated_admission>;

/// Plays turns until the window is closed; requests played.
std::uint64_t close_window(gated_cache& cache, std::vector<turn> const& turns) {
    std::uint64_t played = 0;
    while (cache.tuning().state < tuning_state::replaying)
        (void)tune::replay(cache, turns.at(played++).request());
    return played;
}

} // namespace

TEST_CASE("replays hold up no request, and what they find is adopted") {
    auto const turns = conversations(2000, 2);
    auto const door = std::make_shared<gate>();
    gated_cache cache{tiny_store(300), {}, {}, gated_admission{door}};
    std::uint64_t const played = close_window(cache, turns);
    for (std::uint64_t i = 0; i < 100; ++i) {
        (void)tune::replay(cache, turns.at(played + i).request());
        REQUIRE(cache::audit(cache).empty());
        REQUIRE(cache.tuning().state == tuning_state::replaying);
        REQUIRE(cache.eviction().alpha() == 0);
    }
    door->open = true;
    door->open.notify_all();
    cache.wait_for_tuning();
    CHECK(cache.tuning().state == tuning_state::done);
    CHECK(door->plans == 21 * played);
    CHECK(cache.eviction().alpha() == cache.tuning().alpha);
    CHECK(cache.tuning().replay_time > std::chrono::nanoseconds{});
}

TEST_CASE("destruction stops the replays at the next request") {
    auto const turns = conversations(20'000, 2);
    auto const door = std::make_shared<gate>();
    std::uint64_t played = 0;
    {
        gated_cache cache{tiny_store(5000), {}, {}, gated_admission{door}};
        played = close_window(cache, turns);
        door->plans.wait(0);
        door->open = true;
        door->open.notify_all();
    }
    CHECK(door->plans >= 1);
    CHECK(door->plans < 21 * played);
}

TEST_CASE("a policy that throws in the replays ends the tuning and no request") {
    auto const turns = conversations(2000, 2);
    auto const door = std::make_shared<gate>();
    door->open = true;
    door->broken = true;
    gated_cache cache{tiny_store(300), {}, {}, gated_admission{door}};
    close_window(cache, turns);
    cache.wait_for_tuning();
    CHECK(cache.tuning().state == tuning_state::done);
    CHECK(cache.tuning().failure == "policy threw");
    CHECK(cache.tuning().replays.scores.empty());
    CHECK(cache.eviction().alpha() == 0);
    (void)tune::replay(cache, turns.front().request());
    CHECK(cache::audit(cache).empty());
}

TEST_CASE("a lease of a tuned cache works as any other") {
    tuned_cache cache{tiny_store(200), {}, at_once};
    tokens const t = numbered(1, 40);
    auto lease = cache.acquire(cache.plan(cache.match({}, t)));
    CHECK(cache.reserve(lease, token_count{40}) == token_count{40});
    CHECK(cache.block_table(lease).size() == 40);
    CHECK(cache.commit(lease, t).complete());
    lease.release();
    CHECK_THROWS_AS(cache.commit(lease, t), contract_violation);
    CHECK(cache::audit(cache).empty());
}

namespace {
struct named_token {
    explicit named_token(std::int32_t n) : name{n} {}
    std::int32_t name;
};
static_assert(token<named_token> && !std::default_initializable<named_token>);
} // namespace

TEST_CASE("tokens may be of a type that none is made of by default") {
    tuned_cache<memory::ledger_store, policy::branch_and_tail, policy::flop_aware,
                cache::no_observer, named_token>
        cache{tiny_store(120), {}, at_once};
    std::vector<named_token> all;
    for (int i = 0; i < 30; ++i)
        all.emplace_back(i);
    std::span const tokens{std::as_const(all)};
    auto const lease = cache.open({}, tokens);
    for (std::size_t const end : {20u, 30u})
        CHECK(cache.commit(lease, tokens.first(end)).position == token_count{end});
    CHECK(cache.tuning().state == tuning_state::waiting);
}

TEST_CASE("tuning options out of range are refused") {
    auto const refused = [](tuning_options options) {
        CHECK_THROWS_AS((tuned_cache{tiny_store(100), {}, options}), invalid_argument);
    };
    refused({.multiplier = 0});
    refused({.multiplier = 16});
    refused({.largest_alpha = -1});
    refused({.largest_alpha = 1e10, .alpha_step = 1e10});
    refused({.largest_alpha = 1e-10, .alpha_step = 1e-10});
    refused({.alpha_step = 0});
    refused({.alpha_step = 0.001});
}
