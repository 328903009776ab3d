// The exact figures of a history of 2,000 requests. Any change of what is matched, admitted,
// evicted or stored turns them red. To regenerate, after making sure that the change is meant: run
// this program with "the figures of a history" and copy what it says was found.

#include <cache/short_requests.hpp>

#include <marconi/policy/eviction/flop_aware.hpp>
#include <marconi/policy/eviction/gdsf.hpp>

#include <array>
#include <random>

using namespace cache_tests;

namespace {

/// Conversations over a few shared beginnings: each request is a beginning, or a conversation so
/// far, and something new.
std::vector<sequence> conversations() {
    std::mt19937_64 random{2025};
    auto const below = [&](std::uint64_t n) { return random() % n; };
    std::vector<sequence> beginnings, open, all;
    for (std::int32_t i = 0; i < 12; ++i)
        beginnings.push_back(numbered(i, 20 + below(200)));
    for (std::int32_t i = 0; i < 2'000; ++i) {
        auto const news = numbered(100 + i, 5 + below(below(4) ? 40 : 300));
        if (!open.empty() && below(3) != 0) {
            auto& conversation = open[below(open.size())];
            conversation = conversation + news;
            all.push_back(conversation);
            if (conversation.size() > 1'500) conversation = open.front();
        } else {
            // The first beginnings are the most frequent.
            auto const& beginning = beginnings[below(1 + below(beginnings.size()))];
            all.push_back(first(beginning, beginning.size() - below(3) * below(10)) + news);
            open.push_back(all.back());
            if (open.size() > 40) open.erase(open.begin());
        }
    }
    return all;
}

// g++
using figures = std::array<std::uint64_t, 9>;

template <class Eviction>
figures figures_of(Eviction eviction, footprint const& model, std::uint64_t block) {
    counting_cache<Eviction> cache{room_for(model, 12'000 / block, block), {}, {}, eviction};
    for (sequence const& tokens : conversations())
        serve(cache, tokens);
    CHECK_SOUND(cache);
    auto const& s = cache.stats();
    auto const o = cache.holds();
    std::uint64_t nodes_evicted = 0, checkpoints_evicted = 0;
    for (std::size_t i = 0; i < cache::eviction_reasons; ++i) {
        nodes_evicted += s.nodes_evicted[i];
        checkpoints_evicted += s.checkpoints_evicted[i];
    }
    return {s.hits,        s.tokens_matched.value(), s.tokens_resumed.value(),
            nodes_evicted, checkpoints_evicted,      s.checkpoints_stored,
            o.nodes,       o.checkpoint_count,       pages_used(cache)};
}

/// A checkpoint is worth 40 tokens of KV.
footprint heavy_states() {
    footprint model = hybrid();
    model.state_pieces[0].fixed_bytes = 40 * 256;
    model.flops.per_token = 1000;
    return model;
}

} // namespace

// hits, tokens matched, tokens resumed, nodes evicted, checkpoints evicted, checkpoints stored;
// nodes, checkpoints and pages at the end
TEST_CASE("the figures of a history, least recently used first") {
    CHECK(figures_of(policy::lru{}, heavy_states(), 1) ==
          figures{1830, 367913, 352264, 836, 1479, 2433, 118, 118, 11755});
    CHECK(figures_of(policy::lru{}, heavy_states(), 16) ==
          figures{1824, 364608, 345529, 863, 1187, 2146, 114, 96, 735});
    CHECK(figures_of(policy::lru{}, attention_only(), 16) ==
          figures{1973, 384931, 384931, 646, 0, 0, 106, 0, 746});
}

TEST_CASE("the figures of a history, by frequency and compute saved") {
    CHECK(figures_of(policy::gdsf{}, heavy_states(), 1) ==
          figures{1916, 352044, 346760, 1864, 469, 2436, 103, 103, 11941});
    CHECK(figures_of(policy::gdsf{}, heavy_states(), 16) ==
          figures{1915, 350328, 340649, 1866, 126, 2062, 88, 70, 750});
    CHECK(figures_of(policy::gdsf{}, attention_only(), 16) ==
          figures{1962, 336825, 336825, 1314, 0, 0, 48, 0, 747});
}

TEST_CASE("the figures of a history, by recency and compute saved") {
    CHECK(figures_of(policy::flop_aware{1}, heavy_states(), 1) ==
          figures{1790, 336017, 322351, 1835, 817, 2723, 71, 71, 11853});
    CHECK(figures_of(policy::flop_aware{1}, heavy_states(), 16) ==
          figures{1738, 329153, 308045, 1867, 299, 2222, 68, 56, 748});
    CHECK(figures_of(policy::flop_aware{1}, attention_only(), 16) ==
          figures{1695, 286611, 286611, 1534, 0, 0, 37, 0, 747});
}
