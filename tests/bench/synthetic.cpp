#include <replay/synthetic.hpp>

#include <replay/describe.hpp>
#include <replay/random.hpp>

#include <marconi/core/error.hpp>
#include <support/catch.hpp>

#include <algorithm>
#include <cstdint>
#include <map>
#include <vector>

using namespace marconi::replay;

namespace {

/// FNV-1a over all of a trace.
std::uint64_t checksum(trace const& of) {
    std::uint64_t sum = 0xCBF29CE484222325u;
    auto const add = [&](std::uint64_t value) { sum = (sum ^ value) * 0x100000001B3u; };
    for (request const& r : of.requests) {
        add(r.session);
        add(r.turn);
        add(static_cast<std::uint64_t>(r.seconds * 1000 + 0.5));
        add(r.prompt_tokens);
        for (std::int32_t const token : r.tokens)
            add(static_cast<std::uint32_t>(token));
    }
    return sum;
}

bool same(request const& a, request const& b) {
    return a.session == b.session && a.turn == b.turn && a.seconds == b.seconds &&
           a.tokens == b.tokens && a.prompt_tokens == b.prompt_tokens;
}

trace_statistics statistics_of(workload kind) {
    return describe(make_synthetic({.kind = kind, .seed = 1, .sessions = 200}));
}

auto between(double low, double high) {
    return (Approx((low + high) / 2).margin((high - low) / 2));
}

} // namespace

TEST_CASE("random numbers are the published ones of SplitMix64") {
    random_source random{1234567};
    CHECK(random.next() == 6457827717110365317u);
    CHECK(random.next() == 3203168211198807973u);
    CHECK(random.next() == 9817491932198370423u);
}

TEST_CASE("draws follow their quantiles") {
    constexpr quantiles table = {
        {10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 200, 300, 400, 1000, 2000, 3000}};
    random_source random{1};
    std::map<std::uint32_t, int> at_most;
    int const draws = 200'000;
    for (int i = 0; i < draws; ++i) {
        std::uint32_t const value = random.draw(table);
        REQUIRE(value >= 10);
        REQUIRE(value <= 3000);
        for (std::uint32_t const bound : {20u, 50u, 80u, 300u, 1000u})
            at_most[bound] += value <= bound;
    }
    CHECK(at_most[20] == between(0.008 * draws, 0.012 * draws));
    CHECK(at_most[50] == between(0.19 * draws, 0.22 * draws));
    CHECK(at_most[80] == between(0.49 * draws, 0.52 * draws));
    CHECK(at_most[300] == between(0.89 * draws, 0.91 * draws));
    CHECK(at_most[1000] == between(0.989 * draws, 0.991 * draws));
    CHECK(random_source{5}.draw({{7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7}}) == 7);
}

TEST_CASE("a synthetic trace hangs on its options alone") {
    workload const kind =
        GENERATE(workload::chat, workload::agent, workload::fewshot, workload::mixed);
    trace const once = make_synthetic({.kind = kind, .seed = 3, .sessions = 12});
    CHECK(checksum(once) == checksum(make_synthetic({.kind = kind, .seed = 3, .sessions = 12})));
    CHECK(checksum(once) != checksum(make_synthetic({.kind = kind, .seed = 4, .sessions = 12})));
    CHECK(once.name == "synthetic-" + std::string{workload_name(kind)});
}

TEST_CASE("synthetic traces are the same on every platform") {
    auto const [kind, requests, sum] = GENERATE(table<workload, std::size_t, std::uint64_t>({
        {workload::chat, 108, 17221182384573793032u},
        {workload::agent, 537, 2100595419056144060u},
        {workload::fewshot, 443, 11509830633630891108u},
        {workload::mixed, 330, 12135314236396298247u},
    }));
    trace const made = make_synthetic({.kind = kind, .seed = 1, .sessions = 20});
    CHECK(made.requests.size() == requests);
    CHECK(checksum(made) == sum);
}

TEST_CASE("a session does not change when more are asked for") {
    auto const first_sessions = [](std::uint32_t of) {
        std::vector<request> kept;
        for (request& r :
             make_synthetic({.kind = workload::mixed, .seed = 1, .sessions = of}).requests)
            if (r.session < 6) kept.push_back(std::move(r));
        return kept;
    };
    std::vector<request> const few = first_sessions(6);
    std::vector<request> const many = first_sessions(60);
    REQUIRE_FALSE(few.empty());
    CHECK(std::equal(few.begin(), few.end(), many.begin(), many.end(), same));
}

TEST_CASE("a limit takes the first requests of a synthetic trace") {
    workload const kind =
        GENERATE(workload::chat, workload::agent, workload::fewshot, workload::mixed);
    trace const whole = make_synthetic({.kind = kind, .seed = 5, .sessions = 30});
    auto const size = whole.requests.size();
    for (std::size_t const limit :
         {std::size_t{1}, std::size_t{2}, size / 7, size / 2, size - 1, size, size + 1}) {
        trace const first =
            make_synthetic({.kind = kind, .seed = 5, .sessions = 30, .limit = limit});
        CHECK(first.requests.size() == std::min(limit, size));
        CHECK(
            std::equal(first.requests.begin(), first.requests.end(), whole.requests.begin(), same));
    }
}

// All of it would take more than 30 GB.
TEST_CASE("of a synthetic trace with a limit no more is made than overlaps") {
    trace const few = make_synthetic({.seed = 1, .sessions = 40, .limit = 12});
    trace const of_many = make_synthetic({.seed = 1, .sessions = most_sessions, .limit = 12});
    REQUIRE(of_many.requests.size() == 12);
    CHECK(checksum(of_many) == checksum(few));
}

TEST_CASE("synthetic requests are in order of time, sessions overlap, turns count up") {
    trace const made = make_synthetic({.kind = workload::mixed, .seed = 1, .sessions = 60});
    std::map<std::uint32_t, std::uint32_t> next_turn;
    double last = 0;
    int switches = 0;
    std::uint32_t last_session = 0;
    for (request const& r : made.requests) {
        REQUIRE(r.seconds >= last);
        REQUIRE(r.turn == next_turn[r.session]++);
        REQUIRE(r.prompt_tokens >= 1);
        REQUIRE(r.prompt_tokens <= r.tokens.size());
        REQUIRE(r.tokens.size() <= 32'768);
        for (std::int32_t const token : r.tokens)
            if (token < 3 || token >= 32'000) FAIL("token " << token);
        switches += r.session != last_session;
        last_session = r.session;
        last = r.seconds;
    }
    CHECK(next_turn.size() == 60);
    CHECK(switches > static_cast<int>(made.requests.size() / 2));
}

// The bands hold the real trace's figure, given behind.
TEST_CASE("chats are like ShareGPT's") {
    trace_statistics const s = statistics_of(workload::chat);
    CHECK(s.sessions == 200);
    CHECK(s.turns.mean == between(5.5, 6.5));        // 6.2
    CHECK(s.input.mean == between(1000, 1200));      // 1,093
    CHECK(s.input.median == between(950, 1120));     // 1,034
    CHECK(s.input.p95 == between(2150, 2500));       // 2,313
    CHECK(s.input.max <= 3000);                      // 2,629
    CHECK(s.output.mean == between(260, 320));       // 289
    CHECK(s.repeated_share == between(0.90, 0.94));  // 0.913
    CHECK(s.growth_per_turn == between(300, 370));   // 327
    CHECK(s.continued_share == 1);                   // 1
    CHECK(s.requests_per_second == between(0.5, 3)); // 0.9
}

TEST_CASE("agents are like those of SWE-bench and tau-bench") {
    trace made = make_synthetic({.kind = workload::agent, .seed = 1, .sessions = 300});
    trace software, forgetful, service;
    for (request& r : made.requests) {
        bool const serves = r.session % 3 == 2;
        trace& kind = serves ? service : r.session % 6 == 1 ? forgetful : software;
        kind.requests.push_back(std::move(r));
    }
    trace_statistics const s = describe(software);
    CHECK(s.turns.mean == between(30, 36));         // 33.3
    CHECK(s.input.mean == between(13'500, 16'000)); // 15,115
    CHECK(s.input.p95 == between(27'000, 30'500));  // 29,108
    CHECK(s.output.mean == between(310, 380));      // 329
    CHECK(s.repeated_share == between(0.96, 0.98)); // 0.971
    CHECK(s.growth_per_turn == between(670, 780));  // 708
    CHECK(s.continued_share == 1);                  // 1

    trace_statistics const f = describe(forgetful); // no real trace at hand
    CHECK(f.continued_share == between(0.1, 0.2));
    CHECK(f.repeated_share == between(0.6, 0.75));

    trace_statistics const t = describe(service);
    CHECK(t.turns.mean == between(10.5, 13));        // 11.8
    CHECK(t.input.mean == between(6'000, 7'000));    // 6,507
    CHECK(t.output.mean == between(110, 130));       // 120
    CHECK(t.repeated_share == between(0.96, 0.975)); // 0.970
    CHECK(t.growth_per_turn == between(300, 350));   // 321
}

TEST_CASE("few-shot jobs share templates and nothing else") {
    trace_statistics const s = statistics_of(workload::fewshot);
    CHECK(s.continued_share == 0);
    CHECK(s.repeated_share == between(0.75, 0.9));
    CHECK(s.input.mean == between(1'000, 2'000));
    CHECK(s.output.mean == between(30, 80));
    CHECK(s.turns.mean == between(16, 24));
}

TEST_CASE("a mixed trace has a third of each kind") {
    trace const mixed = make_synthetic({.kind = workload::mixed, .seed = 1, .sessions = 30});
    std::size_t parts = 0;
    for (workload const kind : {workload::chat, workload::agent, workload::fewshot})
        parts += make_synthetic({.kind = kind, .seed = 1, .sessions = 10}).requests.size();
    CHECK(mixed.requests.size() == parts);
}

TEST_CASE("synthetic options out of range") {
    CHECK_THROWS_WITH(make_synthetic({.kind = workload::chat, .sessions = 9}, 30'000),
                      "sessions is 9; expected fewer, or a limit on the requests: the first 7 have "
                      "more than 30000 tokens");
    CHECK_FALSE(make_synthetic({.kind = workload::chat, .sessions = 4}, 30'000).requests.empty());
    CHECK_THROWS_WITH(make_synthetic({.sessions = 0}), "sessions is 0; expected 1 to 100000");
    CHECK_THROWS_WITH(make_synthetic({.sessions = 100'001}),
                      "sessions is 100001; expected 1 to 100000");
    CHECK_THROWS_WITH(parse_workload("web"),
                      "synthetic is web; expected chat, agent, fewshot or mixed");
    CHECK(parse_workload("agent") == workload::agent);
}
