// Caches that learn, and one that tunes itself, whose commits let others in while they copy: what
// is seen of a request then comes out of the order in which it began.

#include <marconi/cache/options.hpp>
#include <marconi/core/types.hpp>
#include <marconi/core/units.hpp>
#include <marconi/memory/host_store.hpp>
#include <marconi/tune/learning_cache.hpp>
#include <marconi/tune/tuned_cache.hpp>

#include <support/catch.hpp>
#include <support/crowd.hpp>
#include <support/engine.hpp>

#include <cstdint>
#include <vector>

using namespace marconi;
using namespace marconi::literals;

namespace {

std::vector<footprint> const models{support::hybrid_model(), support::attention_model(),
                                    support::recurrent_model()};

/// 32 states, or 300 tokens.
byte_count capacity_for(footprint const& model) { return model.has_kv() ? 10'000_B : 2_MiB; }

} // namespace

TEST_CASE("a cache learns from commits inside the copies of commits") {
    using cache_type = tune::learning_cache<memory::host_store>;
    auto const which = GENERATE(0u, 1u, 2u);
    auto const block = GENERATE(1u, 7u);
    CAPTURE(which, block);
    support::set_up<cache_type> s{models[which], block, capacity_for(models[which])};
    support::crowd<cache_type> requests{s, 100 + 10 * which + block};
    for (int i = 0; i < 5'000; ++i)
        requests.act(0);
    CHECK(requests.overtaken() > 10);
    CHECK(s.cache.stats().evictions() > 0);

    auto const learned = s.cache.learning();
    CHECK(learned.failure.empty());
    CHECK(learned.requests > 100);
    CHECK(learned.requests <= s.cache.stats().requests);
    CHECK(learned.shadow.requests == learned.requests);
    CHECK(learned.by_odds.requests == learned.requests);
    CHECK(learned.by_gdsf.requests == learned.requests);
    requests.end();
}

TEST_CASE("a cache is tuned once, by commits inside the copies of commits") {
    using cache_type = tune::tuned_cache<memory::host_store>;
    auto const block = GENERATE(1u, 7u);
    support::set_up<cache_type> s{models[0], block, capacity_for(models[0]), cache::cache_options{},
                                  tune::tuning_options{.deterministic = true}};
    support::crowd<cache_type> requests{s, 200 + block};
    for (int i = 0; i < 5'000; ++i)
        requests.act(0);
    CHECK(requests.overtaken() > 10);
    auto const tuned = s.cache.tuning();
    CHECK(tuned.failure.empty());
    CHECK(tuned.state == tune::tuning_state::done);
    CHECK(tuned.window > 0);
    requests.end();
}
