// Requests that are not worth the same: what weighs little goes first, under every policy that goes
// by compute saved per byte.

#include <cache/short_requests.hpp>

#include <marconi/policy/eviction/expected_savings.hpp>
#include <marconi/policy/eviction/flop_aware.hpp>
#include <marconi/policy/eviction/gdsf.hpp>
#include <marconi/policy/eviction/scored.hpp>

#include <cstdint>
#include <map>
#include <string_view>

using namespace cache_tests;

namespace {

template <class Cache>
void serve_weighing(Cache& cache, double weight, std::string_view letters) {
    auto const lease = cache.open({}, text(letters), {.weight = weight});
    commit(cache, lease, text(letters), {letters.size()});
}

template <class Cache>
bool holds_text(Cache const& cache, std::string_view letters) {
    return look(cache, letters, letters.size()).resumable == letters.size();
}

/// Alpha high enough for efficiency to matter more than age.
struct mostly_flops : policy::flop_aware {
    mostly_flops() : flop_aware{2.0} {}
};

} // namespace

TEMPLATE_TEST_CASE("of what is alike the lighter goes first", "", policy::gdsf, mostly_flops,
                   policy::expected_savings) {
    // Each takes 12 pages; there is room for two.
    counting_cache<TestType> cache{room_for(hybrid(), 24)};
    serve_weighing(cache, 10, "aaaaaaaaaa");
    serve_weighing(cache, 1, "bbbbbbbbbb");
    serve_weighing(cache, 0.5, "cccccccccc");
    CHECK(holds_text(cache, "aaaaaaaaaa"));
    CHECK(holds_text(cache, "cccccccccc"));
    serve_weighing(cache, 1, "dddddddddd");
    CHECK(holds_text(cache, "aaaaaaaaaa"));
    CHECK(holds_text(cache, "dddddddddd"));
    CHECK_SOUND(cache);
}

TEST_CASE("lru minds no weight") {
    small_cache cache{room_for(hybrid(), 24)};
    serve_weighing(cache, 10, "aaaaaaaaaa");
    serve_weighing(cache, 0, "bbbbbbbbbb");
    serve_weighing(cache, 0, "cccccccccc");
    CHECK_FALSE(holds_text(cache, "aaaaaaaaaa"));
}

TEST_CASE("what was stored at a weight of 0 makes room before all else") {
    counting_cache<policy::gdsf> cache{room_for(hybrid(), 36)};
    serve_weighing(cache, 1, "aaaaaaaaaa");
    serve_weighing(cache, 0, "bbbbbbbbbb");
    serve_weighing(cache, 1, "cccccccccc");
    for (std::string_view const once : {"dddddddddd", "eeeeeeeeee", "ffffffffff"})
        serve_weighing(cache, 0, once);
    CHECK(holds_text(cache, "aaaaaaaaaa"));
    CHECK(holds_text(cache, "cccccccccc"));
}

TEST_CASE("a use adds weight, and none takes it away") {
    counting_cache<mostly_flops> cache{room_for(hybrid(), 26)};
    serve_weighing(cache, 1, "aaaaaaaaaa");
    double const heavier = GENERATE(1.0, 20.0);
    for (double const weight : {heavier, 0.0}) {
        cache::match_options const whole{.limit = token_count{10}, .weight = weight};
        CHECK(cache.open({}, text("aaaaaaaaaa"), whole).resume_at() == token_count{10});
    }
    serve_weighing(cache, 5, "bbbbbbbbbb");
    serve_weighing(cache, 1, "cccccccccc");
    CHECK(holds_text(cache, "aaaaaaaaaa") == (heavier > 5));
    CHECK(holds_text(cache, "bbbbbbbbbb") == (heavier < 5));
}

namespace {

/// Refreshes paths, as block caches do, and notes the weight at each depth.
struct path_lru : policy::lru {
    static constexpr bool refreshes_path = true;
    std::map<std::uint64_t, double> weights{};

    void insert(node_id n, policy::usage const& h, policy::candidate_facts const& facts) {
        weights[facts.depth.value()] = facts.weight;
        lru::insert(n, h, facts);
    }
    void update(node_id n, policy::usage const& h, policy::candidate_facts const& facts) {
        weights[facts.depth.value()] = facts.weight;
        lru::update(n, h, facts);
    }
};

} // namespace

TEST_CASE("what lies above keeps its weight, where hits refresh it, too") {
    counting_cache<path_lru> cache{room_for(hybrid(), 100)};
    serve_weighing(cache, 1, "0123");
    serve_weighing(cache, 2, "01234567");
    cache.open({}, text("01234567"), {.limit = 8_tokens, .weight = 9}).release();
    CHECK(cache.eviction().weights == std::map<std::uint64_t, double>{{4, 2}, {8, 9}});
}

TEST_CASE("a policy of one's own is told of the weight, and evicts by it if it likes") {
    auto const by_weight = [](policy::usage const&, policy::candidate_facts const& facts, tick) {
        return facts.weight;
    };
    cache::prefix_cache cache{
        room_for(hybrid(), 24), {}, policy::branch_and_tail{}, policy::scored{by_weight}};
    serve_weighing(cache, 3, "aaaaaaaaaa");
    serve_weighing(cache, 2, "bbbbbbbbbb");
    serve_weighing(cache, 1, "cccccccccc");
    CHECK(holds_text(cache, "aaaaaaaaaa"));
    CHECK(holds_text(cache, "cccccccccc"));
}
