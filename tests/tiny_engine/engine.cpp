// The example's engine: what becomes of requests that are dropped, sent back, or too large.

#include <tiny_engine/engine.hpp>
#include <tiny_engine/proof.hpp>

#include <support/catch.hpp>

#include <new>
#include <numeric>
#include <span>

using namespace tiny;
using namespace marconi::literals;

namespace {

using cache_type = marconi::prefix_cache<marconi::host_store>;

model_shape const masma{.layers = "MASMA"};

std::vector<token> counting(std::size_t count, token from = 0) {
    std::vector<token> made(count);
    for (std::size_t i = 0; i < count; ++i)
        made[i] = (from + static_cast<token>(i)) % static_cast<token>(masma.vocabulary);
    return made;
}

struct set_up {
    explicit set_up(kv_memory memory, marconi::byte_count capacity = 1_MiB)
        : cache{marconi::host_store{runs.footprint(), capacity, {.block_tokens = 4_tokens}}},
          serves{runs, &cache, {.memory = memory, .chunk = 8, .batch = 2, .block_tokens = 4}} {}

    std::vector<sequence> finish() {
        while (serves.step()) {
        }
        return serves.take_finished();
    }
    /// The answer to a request by itself.
    std::vector<token> answer(request const& asked) {
        (void)serves.submit(asked);
        auto const done = finish();
        REQUIRE(done.size() == 1);
        return done[0].tokens;
    }
    bool sound() const { return marconi::audit(cache).empty() && cache.holds().leases == 0; }

    model runs{masma, 7};
    cache_type cache;
    engine<cache_type> serves;
};

} // namespace

TEST_CASE("the next turn resumes where the last one ended") {
    for (kv_memory const memory : {kv_memory::copy, kv_memory::in_place}) {
        set_up on{memory};
        request turn{.in = {}, .prompt = counting(50), .answer_tokens = 10};
        turn.prompt = on.answer(turn);
        CHECK(turn.prompt.size() == 60);
        turn.prompt.push_back(3);
        (void)on.serves.submit(turn);
        CHECK(on.finish().at(0).resumed == 59); // the last token sampled was not processed
        CHECK(on.sound());
    }
}

TEST_CASE("an answer that is given is taken") {
    set_up on{kv_memory::in_place};
    std::vector<token> const given{5, 6, 7};
    auto tokens = counting(20);
    auto const whole = on.answer({.in = {}, .prompt = tokens, .answer_tokens = 3, .answer = given});
    tokens.insert(tokens.end(), given.begin(), given.end());
    CHECK(whole == tokens);
}

TEST_CASE("an aborted request leaves what it committed and nothing else") {
    for (kv_memory const memory : {kv_memory::copy, kv_memory::in_place}) {
        set_up on{memory};
        auto const early = on.serves.submit({.in = {}, .prompt = counting(50), .answer_tokens = 9});
        auto const queued = on.serves.submit({.in = {}, .prompt = counting(9), .answer_tokens = 9});
        auto const third = on.serves.submit({.in = {}, .prompt = counting(9), .answer_tokens = 9});
        on.serves.step();
        on.serves.abort(early); // in the middle of its prompt
        on.serves.abort(third); // in the queue
        for (int i = 0; i < 5; ++i)
            on.serves.step();
        CHECK(on.serves.answered(queued) > 1);
        on.serves.abort(queued); // in the middle of its answer
        on.serves.abort(12345);  // nobody's
        auto const done = on.finish();
        CHECK(done.size() == 3);
        for (sequence const& s : done)
            CHECK(s.end == ending::aborted);
        CHECK(on.sound());
        // Its prompt was committed, without a checkpoint.
        CHECK(on.cache.match({}, counting(50)).matched == 9_tokens);
        CHECK(on.cache.match({}, counting(50)).resumable == 0_tokens);
    }
}

namespace {

/// Finds no memory to open a lease, so many times.
struct forgetful_cache : cache_type {
    using cache_type::cache_type;
    int failures = 0;

    lease open(marconi::scope const& in, std::span<token const> tokens,
               marconi::match_options const& options) {
        if (failures-- > 0) throw std::bad_alloc{};
        return cache_type::open(in, tokens, options);
    }
};

} // namespace

TEST_CASE("a request that finds no memory waits, and begins when there is some") {
    for (kv_memory const memory : {kv_memory::copy, kv_memory::in_place}) {
        model runs{masma, 7};
        forgetful_cache cache{
            marconi::host_store{runs.footprint(), 1_MiB, {.block_tokens = 4_tokens}}};
        engine<forgetful_cache> serves{
            runs, &cache, {.memory = memory, .chunk = 8, .batch = 2, .block_tokens = 4}};
        request const asked{.in = {}, .prompt = counting(50), .answer_tokens = 5};
        auto const id = serves.submit(asked);
        cache.failures = 3; // more than there are slots
        for (int i = 0; i < 3; ++i)
            CHECK_THROWS_AS(serves.step(), std::bad_alloc);
        CHECK(serves.running_ids().empty());
        while (serves.step()) {
        }
        auto const done = serves.take_finished();
        REQUIRE(done.size() == 1);
        CHECK(done[0].id == id);
        CHECK(done[0].tokens == set_up{memory}.answer(asked));
        CHECK(cache.holds().leases == 0);
    }
}

TEST_CASE("a preempted request goes on where it was") {
    for (kv_memory const memory : {kv_memory::copy, kv_memory::in_place})
        for (std::size_t const steps : {1u, 3u, 8u, 12u}) {
            CAPTURE(steps);
            request const asked{.in = {}, .prompt = counting(50), .answer_tokens = 10};
            auto const right = set_up{memory}.answer(asked);
            set_up on{memory};
            auto const id = on.serves.submit(asked);
            for (std::size_t i = 0; i < steps; ++i)
                on.serves.step();
            on.serves.preempt(id);
            CHECK(on.serves.running_ids().empty());
            auto const done = on.finish();
            REQUIRE(done.size() == 1);
            CHECK(done[0].tokens == right);
            CHECK(done[0].resumed == std::min<std::size_t>(8 * steps, 43 + steps));
            CHECK(on.sound());
        }
}

TEST_CASE("in place, those that come last wait where there is no room for all") {
    set_up alone{kv_memory::in_place};
    request const one{.in = {}, .prompt = counting(100), .answer_tokens = 20};
    request const other{.in = {}, .prompt = counting(100, 9), .answer_tokens = 20};
    auto const right_one = alone.answer(one);
    auto const right_other = alone.answer(other);
    auto const layout = alone.cache.store().layout();
    set_up on{kv_memory::in_place, layout.page_bytes() * 40}; // a request takes 30
    (void)on.serves.submit(one);
    (void)on.serves.submit(other);
    auto const done = on.finish();
    REQUIRE(done.size() == 2);
    CHECK(on.serves.preemptions() > 0);
    CHECK(done[0].tokens == right_one);
    CHECK(done[1].tokens == right_other);
    CHECK(on.sound());
}

TEST_CASE("in place, a request that fits only without what it resumed from starts over") {
    request const shorter{.in = {}, .prompt = counting(50), .answer_tokens = 4};
    set_up alone{kv_memory::in_place};
    auto begun = alone.answer(shorter);
    // Once its prompt is committed it holds nothing twice: only a long prompt does not fit.
    bool const in_prefill = GENERATE(false, true);
    request longer{.in = {}, .prompt = begun, .answer_tokens = in_prefill ? 2u : 20u};
    longer.prompt.resize(in_prefill ? 118 : 100, 9);
    auto const right = alone.answer(longer);

    auto const page = alone.cache.store().layout().page_bytes();
    set_up on{kv_memory::in_place, page * 30}; // 119 tokens and no copy of the 14th block
    CHECK(on.answer(shorter) == begun);
    (void)on.serves.submit(longer);
    (void)on.serves.submit({.in = {}, .prompt = counting(30, 5), .answer_tokens = 4});
    auto const done = on.finish();
    REQUIRE(done.size() == 2);
    CHECK(on.serves.preemptions() == 1); // of the other one, which then waits
    CHECK(done[0].end == ending::answered);
    CHECK(done[0].starts_over == in_prefill);
    CHECK(done[0].resumed == (in_prefill ? 0 : 53));
    CHECK(done[0].tokens == right);
    CHECK(on.sound());
}

TEST_CASE("in place, a request that the cache cannot hold is told so") {
    set_up small{kv_memory::in_place, 4_KiB}; // 4 pages
    (void)small.serves.submit({.in = {}, .prompt = counting(100), .answer_tokens = 4});
    (void)small.serves.submit({.in = {}, .prompt = counting(6), .answer_tokens = 4});
    auto const done = small.finish();
    REQUIRE(done.size() == 2);
    CHECK(done[0].end == ending::no_room);
    CHECK(done[1].end == ending::answered);
    CHECK(small.sound());
}

TEST_CASE("an engine without a cache computes everything, to the same end") {
    request const asked{.in = {.tenant = 1, .adapter = 2}, .prompt = counting(70)};
    model runs{masma, 7};
    engine<cache_type> plain{runs, nullptr, {.memory = kv_memory::copy, .chunk = 16}};
    (void)plain.submit(asked);
    (void)plain.submit(asked);
    while (plain.step()) {
    }
    set_up on{kv_memory::in_place};
    auto const right = on.answer(asked);
    for (sequence const& s : plain.take_finished()) {
        CHECK(s.tokens == right);
        CHECK(s.resumed == 0);
    }
}

TEST_CASE("requests that the engine was not made for are refused") {
    set_up on{kv_memory::copy};
    CHECK_THROWS_AS(on.serves.submit({}), marconi::invalid_argument);
    CHECK_THROWS_AS(on.serves.submit({.in = {}, .prompt = counting(512)}),
                    marconi::invalid_argument);
    CHECK_THROWS_AS(on.serves.submit({.in = {}, .prompt = counting(5), .answer_tokens = 0}),
                    marconi::invalid_argument);
    CHECK_FALSE(on.serves.step());
}

TEST_CASE("a model of any layers can be put to the test") {
    for (std::string const layers : {"A", "M", "S", "SS", "AMS"})
        for (kv_memory const memory : {kv_memory::copy, kv_memory::in_place}) {
            CAPTURE(layers);
            proof_result const r =
                prove({.requests = 100, .seed = 3, .memory = memory, .shape = {.layers = layers}});
            CHECK(r.resumed > 0);
            CHECK(r.evictions > 0);
            CHECK(r.differing == 0);
            CHECK(r.faults.empty());
        }
}

TEST_CASE("a proof says what it put to the test") {
    for (kv_memory const memory : {kv_memory::copy, kv_memory::in_place}) {
        proof_result const r = prove({.requests = 60, .seed = 3, .memory = memory});
        CHECK(r.requests == 60);
        CHECK(r.answered + r.aborted + r.no_room == 60);
        CHECK(r.compared > 10'000);
        CHECK(r.differing == 0);
        CHECK(r.faults.empty());
    }
}
