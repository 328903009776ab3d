#include <replay/future.hpp>

#include <marconi/cache/prefix_cache.hpp>
#include <marconi/core/units.hpp>
#include <marconi/memory/ledger_store.hpp>
#include <marconi/policy/admission/branch_and_tail.hpp>
#include <marconi/tune/replay.hpp>
#include <replay/run.hpp>
#include <replay/synthetic.hpp>
#include <support/catch.hpp>

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <vector>

using namespace marconi;
using namespace marconi::replay;

namespace {

request asking(std::vector<std::int32_t> const& input, std::vector<std::int32_t> const& output) {
    request r{.prompt_tokens = static_cast<std::uint32_t>(input.size())};
    r.tokens = input;
    r.tokens.insert(r.tokens.end(), output.begin(), output.end());
    return r;
}

/// Conversations that share beginnings, of few tokens, so that they part anywhere.
trace forking_requests(std::size_t count) {
    std::mt19937 random{7};
    trace made{.name = "forks", .requests = {}};
    while (made.requests.size() < count) {
        std::vector<std::int32_t> input;
        if (!made.requests.empty() && random() % 8 != 0) {
            auto const& from = made.requests[random() % made.requests.size()].tokens;
            auto const kept = random() % 3 == 0 ? random() % from.size() : from.size();
            input.assign(from.begin(), from.begin() + static_cast<std::ptrdiff_t>(kept));
        }
        for (auto more = 1 + random() % 6; more > 0; --more)
            input.push_back(static_cast<std::int32_t>(random() % 3));
        made.requests.push_back(asking(input, {static_cast<std::int32_t>(random() % 3), 1}));
    }
    return made;
}

bool begins_with(request const& r, std::span<std::int32_t const> tokens) {
    return r.tokens.size() >= tokens.size() &&
           std::ranges::equal(tokens, std::span{r.tokens}.first(tokens.size()));
}

/// Tokens on the way to each node, as a snapshot of the cache has them.
struct paths_heard {
    std::map<node_id, std::vector<std::int32_t>> tokens;
    void observe(cache::event<std::int32_t> const& e) {
        if (e.kind != cache::event_kind::kv_published) return;
        auto whole = tokens[e.parent];
        whole.insert(whole.end(), e.tokens.begin(), e.tokens.end());
        tokens[e.node] = whole;
    }
};

footprint const hybrid{.model = "hybrid",
                       .kv_layers = {{64, 64}},
                       .state_pieces = {{.fixed_bytes = 512}},
                       .flops = {.per_token = 10, .per_pair = 1}};

} // namespace

TEST_CASE("future: the next request that can resume at a path's end, and goes no further") {
    trace const t{.name = "t",
                  .requests = {asking({1, 2, 3}, {4}), asking({9, 9}, {}), asking({1, 2, 5}, {}),
                               asking({1, 2, 3, 4, 6}, {}), asking({1, 2, 3}, {7})}};
    future const known{t, false};
    CHECK(known.next({0, 2}, {}, 1) == 2);
    CHECK(known.next({0, 2}, {}, 3) == 3);
    CHECK(known.next({0, 2}, {}, 5) == future::never);
    CHECK(known.next({0, 4}, {}, 1) == 3);
    CHECK(known.next({0, 4}, {}, 4) == future::never);
    CHECK(known.next({3, 5}, {}, 0) == future::never); // its last token is computed
    CHECK(known.next({1, 1}, {}, 0) == 1);
    // Who can go on to the end of 1 2 3 4 does not resume at that of 1 2; the last one cannot.
    CHECK(known.next({0, 2}, path{0, 4}, 3) == 4);
    CHECK(known.next({0, 2}, path{0, 4}, 1) == 2);

    future const whole{t, true};
    CHECK(whole.next({3, 5}, {}, 0) == 3);
    CHECK(whole.next({0, 3}, {}, 4) == 4);
}

TEST_CASE("future: as trying every request finds it") {
    trace const t = forking_requests(60);
    future const known{t, false};
    std::mt19937 random{1};
    for (int trial = 0; trial < 4000; ++trial) {
        std::size_t const of = random() % 60, from = random() % 61;
        auto const& tokens = t.requests[of].tokens;
        std::size_t const depth = random() % (tokens.size() + 1);
        std::optional<path> longer;
        if (random() % 2 == 0) longer = path{of, depth + random() % (tokens.size() + 1 - depth)};
        std::size_t expected = future::never;
        for (std::size_t i = from; i < 60 && expected == future::never; ++i) {
            request const& r = t.requests[i];
            auto const can_resume = [&](std::size_t at) {
                return at < r.prompt_tokens && begins_with(r, std::span{tokens}.first(at));
            };
            if (can_resume(depth) && !(longer && can_resume(longer->depth))) expected = i;
        }
        REQUIRE(known.next({of, depth}, longer, from) == expected);
    }
}

TEST_CASE(
    "known_nodes: every node's tokens, its only child, through splits, merges and evictions") {
    trace const t = forking_requests(300);
    known_nodes nodes;
    cache::prefix_cache cache{
        memory::ledger_store{hybrid, byte_count{256 * 60}, {.block_tokens = token_count{2}}},
        {},
        policy::branch_and_tail{},
        policy::gdsf{},
        known_nodes_observer{&nodes}};
    std::size_t looked_at = 0, only_children = 0;
    for (std::size_t i = 0; i < t.requests.size(); ++i) {
        request const& r = t.requests[i];
        nodes.current = i;
        token_count const prompt{r.prompt_tokens};
        tune::replay(cache,
                     {.tokens = r.tokens, .prompt = prompt, .limit = prompt - token_count{1}});
        paths_heard heard;
        cache.snapshot(heard);
        for (auto const& [id, tokens] : heard.tokens) {
            if (tokens.empty()) continue; // the root
            ++looked_at;
            path const at = nodes.path_to(id);
            REQUIRE(at.depth == tokens.size());
            REQUIRE(begins_with(t.requests[at.request], tokens));
            if (auto const past = nodes.path_past(id)) {
                ++only_children;
                REQUIRE(past->depth > at.depth);
                REQUIRE(begins_with(t.requests[past->request], tokens));
            }
        }
    }
    CHECK(cache.stats().evictions() > 100);
    CHECK(looked_at > 1000);
    CHECK(only_children > 100);
}

TEST_CASE("who knows the future saves more than who does not") {
    for (auto const kind : {workload::chat, workload::agent}) {
        trace const t = make_synthetic({.kind = kind, .seed = 3, .sessions = 30});
        options chosen;
        footprint const model = footprint_of(chosen);
        auto const saved = [&](char const* name, std::uint64_t bytes) {
            result const r = run_one(t, parse_policy(name), byte_count{bytes}, model, chosen);
            return std::pair{r.flops_saved / r.flops_asked, r.peak_bytes};
        };
        auto const [most, peak] = saved("infinite", 0);
        for (auto const* other : {"lru", "gdsf", "learned", "marconi"}) {
            CAPTURE(kind, other);
            CHECK(saved("oracle", peak / 10).first > 1.02 * saved(other, peak / 10).first);
        }
        CHECK(saved("oracle", peak).first == Approx(most));
    }
}
