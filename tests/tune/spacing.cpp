// Whether spaced checkpoints pay: what they gain, and what a learning cache makes of it.

#include "traces.hpp"

#include <marconi/cache/prefix_cache.hpp>
#include <marconi/policy/admission/always.hpp>
#include <marconi/policy/admission/spaced.hpp>
#include <marconi/policy/eviction/lru.hpp>
#include <marconi/tune/learning_cache.hpp>
#include <marconi/tune/spacing.hpp>

#include <support/catch.hpp>

#include <cstdint>
#include <vector>

using namespace marconi;
using namespace marconi::tests;
using tune::spacing_gain;

namespace {

using spacing_cache = tune::learning_cache<memory::ledger_store, policy::spaced>;

spacing_cache cache_of(std::uint64_t pages, std::uint64_t every = 16) {
    return spacing_cache{tiny_store(pages), {}, {}, policy::spaced{token_count{every}}};
}

/// A request that may resume from all of its prompt but the last token.
template <class Cache>
tune::replayed serve(Cache& cache, tokens const& prompt) {
    token_count const size{prompt.size()};
    return tune::replay(
        cache, {.in = {}, .tokens = prompt, .prompt = size, .limit = size - token_count{1}});
}

/// Question `question` about the text that begins so: 100 tokens and 5.
tokens about(std::int32_t text, std::int32_t question) {
    tokens t = numbered(text, 100);
    for (std::int32_t i = 0; i < 5; ++i)
        t.push_back(-question * 10 - i);
    return t;
}

/// A cache, and the gain that its matches show.
struct seen {
    explicit seen(std::uint64_t step) : gain{token_count{step}} {}

    void match(tokens const& prompt, double weight = 1) {
        gain.note(cache.internals(), cache.match({}, prompt, {.weight = weight}));
    }
    void store(tokens const& t, std::vector<std::uint64_t> const& positions) {
        std::vector<cache::captured_state> states;
        for (std::uint64_t const p : positions)
            states.push_back({token_count{p}});
        auto const lease = cache.open({}, t);
        (void)cache.commit(lease, t, {.checkpoints = states});
    }

    cache::prefix_cache<memory::ledger_store, policy::branch_and_tail, policy::lru> cache{
        tiny_store(1000)};
    spacing_gain gain;
};

} // namespace

TEST_CASE("spaced checkpoints pay until something is seen") {
    seen nothing{16};
    CHECK(nothing.gain.pays(true));
    nothing.match(numbered(1, 100));
    CHECK(nothing.gain.pays(true));
}

TEST_CASE("what resumes at a tail gains nothing from spaced checkpoints") {
    seen s{16};
    s.store(numbered(1, 50), {50});
    s.match(numbered(1, 60));
    CHECK_FALSE(s.gain.pays(true));
    s.match(about(1, 1)); // resumes at 50, too, and has no multiple of 16 beyond it here
    CHECK_FALSE(s.gain.pays(true));
}

TEST_CASE("what a spaced checkpoint would have saved is a gain, and what it did save") {
    seen missing{16};
    missing.store(numbered(1, 50), {50});
    missing.match(numbered(1, 45)); // 32 of 44
    CHECK(missing.gain.pays(false));

    seen there{16};
    there.store(numbered(1, 50), {10, 32, 50});
    there.match(numbered(1, 60)); // at 50: 2,500 FLOPs saved
    CHECK_FALSE(there.gain.pays(true));
    there.match(numbered(1, 45)); // at 32: 1,024, of which 924 beyond 10
    CHECK(there.gain.pays(true));
    CHECK(there.gain.pays(false));
}

TEST_CASE("it takes more to come back than to stay, by the requests' weights") {
    // 2,500 FLOPs are saved at 50, and 924 gained of 1,024 at 32.
    auto const pays = [](int tails, bool so_far, double weight = 1) {
        seen s{16};
        s.store(numbered(1, 50), {10, 32, 50});
        for (int i = 0; i < tails; ++i)
            s.match(numbered(1, 60));
        s.match(numbered(1, 45), weight);
        return s.gain.pays(so_far);
    };
    CHECK(pays(6, false));  // 924 of 16,024
    CHECK(!pays(7, false)); // of 18,524
    CHECK(pays(18, true));  // of 46,024
    CHECK(!pays(19, true)); // of 48,524: 1.9 %
    CHECK(pays(19, true, 2));
    CHECK(!pays(6, false, 0.5));
}

TEST_CASE("what was seen fades, and a step of 0 sees nothing") {
    seen s{16}, none{0};
    for (seen* each : {&s, &none}) {
        each->store(numbered(1, 50), {50});
        each->match(numbered(1, 60));
    }
    CHECK_FALSE(s.gain.pays(true));
    CHECK(none.gain.pays(true));
    s.gain.fade(0);
    CHECK(s.gain.pays(true));
}

TEST_CASE("of documents that many ask about the second request resumes, and goes on to") {
    auto cache = cache_of(4000);
    for (std::int32_t text = 1; text <= 40; ++text)
        for (std::int32_t question = 0; question < 3; ++question) {
            auto const done = serve(cache, about(text, 3 * text + question));
            std::uint64_t const expected = question == 0 ? 0 : question == 1 ? 96 : 100;
            REQUIRE(done.match.resumable.value() == expected);
        }
    CHECK(cache.learning().spacing_pays);
    CHECK(cache.admission().every == 16_tokens);
}

TEST_CASE("where only conversations go on no spaced checkpoints are made, until documents come") {
    auto cache = cache_of(2000);
    tokens chat = numbered(1, 61);
    for (int turn = 0; turn < 40; ++turn) {
        (void)ask(cache, chat);
        for (std::int32_t i = 0; i < 7; ++i)
            chat.push_back(-100 - turn);
    }
    CHECK_FALSE(cache.learning().spacing_pays);
    CHECK(cache.admission().every == 0_tokens);
    std::uint64_t const checkpoints = cache.stats().checkpoints_stored;
    (void)serve(cache, about(2, 1));
    CHECK(cache.stats().checkpoints_stored == checkpoints + 1);

    // As many FLOPs as the chat has saved until then are a million.
    for (std::int32_t text = 3; text < 60; ++text)
        for (std::int32_t question = 0; question < 2; ++question)
            (void)serve(cache, about(text, 2 * text + question));
    CHECK(cache.learning().spacing_pays);
    CHECK(cache.admission().every == 16_tokens);
    (void)serve(cache, about(70, 1));
    CHECK(serve(cache, about(70, 2)).match.resumable == 96_tokens);
    CHECK(cache::audit(cache).empty());
}

TEST_CASE("a step of 0 stays one, and other policies are left alone") {
    auto cache = cache_of(2000, 0);
    tune::learning_cache<memory::ledger_store, policy::always> other{
        tiny_store(2000), {}, {}, policy::always{16_tokens}};
    for (std::int32_t i = 1; i <= 40; ++i) {
        (void)serve(cache, about(i / 2, i));
        (void)serve(other, about(i / 2, i));
    }
    CHECK(cache.admission().every == 0_tokens);
    CHECK(cache.learning().spacing_pays);
    CHECK(other.admission().every == 16_tokens);
}

TEST_CASE("whether to space checkpoints is decided by the calls alone") {
    auto const all = conversations(400, 5);
    auto const run = [&] {
        auto cache = cache_of(300, 8);
        std::vector<std::uint64_t> told;
        for (turn const& t : all) {
            (void)tune::replay(cache, t.request());
            told.push_back(cache.admission().every.value() + cache.stats().checkpoints_stored);
        }
        return told;
    };
    CHECK(run() == run());
}
