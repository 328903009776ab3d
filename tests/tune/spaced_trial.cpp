// Whether spaced checkpoints pay: what two ghosts say, and what a learning cache makes of it.

#include "traces.hpp"

#include <marconi/policy/admission/always.hpp>
#include <marconi/policy/admission/spaced.hpp>
#include <marconi/policy/eviction/gdsf.hpp>
#include <marconi/tune/admission_trials.hpp>
#include <marconi/tune/learning_cache.hpp>

#include <support/catch.hpp>

#include <cstdint>
#include <random>
#include <vector>

using namespace marconi;
using namespace marconi::tests;

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

/// Requests of one who asks whether checkpoints at multiples of 16 would pay.
struct trial {
    explicit trial(std::uint64_t every = 16)
        : ghosts{tiny_store(4000), {}, policy::spaced{token_count{every}}} {}

    void ask(tokens const& prompt, double weight = 1,
             std::vector<cache::captured_state> const& captured = {}) {
        token_count const size{prompt.size()};
        ghosts.ask({.in = {},
                    .tokens = prompt,
                    .prompt = size,
                    .limit = size - token_count{1},
                    .weight = weight,
                    .captured = captured},
                   now += tick{2});
    }
    /// A prompt that goes on from itself: 49^2 FLOPs saved either way, but for the first time.
    void go_on(int times) {
        tokens prompt = numbered(1, 49);
        prompt.push_back(-1);
        for (; times > 0; --times)
            ask(prompt, 1, {{token_count{49}}});
    }
    /// 96^2 FLOPs that only spaced checkpoints save.
    void ask_about_another_text(double weight = 1,
                                std::vector<cache::captured_state> const& captured = {}) {
        ++texts;
        for (std::int32_t question : {1, 2})
            ask(about(texts, question), weight, captured);
    }
    bool pays() {
        (void)ghosts.decide(chosen);
        CHECK((chosen.every > 0_tokens) == ghosts.pays());
        return ghosts.pays();
    }

    tune::admission_trial<tune::spaced_states, policy::spaced, policy::gdsf, std::int32_t> ghosts;
    policy::spaced chosen{16_tokens};
    tick now{2};
    std::int32_t texts = 1;
};

/// Requests on a learning cache with spaced checkpoints, and on one without.
struct beside {
    beside(std::uint64_t pages, std::uint64_t every)
        : spaced{cache_of(pages, every)}, plain{cache_of(pages, 0)} {}

    void serve(tokens const& prompt) {
        with += ::serve(spaced, prompt).saved.value();
        without += ::serve(plain, prompt).saved.value();
        while_on += spaced.learning().spacing_pays;
        ++requests;
    }

    spacing_cache spaced, plain;
    double with = 0, without = 0;
    std::uint64_t while_on = 0, requests = 0;
};

} // namespace

TEST_CASE("spaced checkpoints are made until some requests were seen") {
    trial t;
    CHECK(t.pays());
    t.go_on(60);
    CHECK(t.pays());
    t.go_on(10);
    CHECK_FALSE(t.pays());
}

TEST_CASE("it takes more to come back than to stay, by the requests' weights") {
    // 500 times 2,401 FLOPs, of which earlier ones count less: some 870,000.
    auto const pays = [](bool so_far, int texts, double weight = 1) {
        trial t;
        t.go_on(500);
        if (!so_far) CHECK_FALSE(t.pays());
        for (; texts > 0; --texts)
            t.ask_about_another_text(weight);
        return t.pays();
    };
    CHECK(pays(true, 1)); // 9,216 more: 1.06 %
    CHECK_FALSE(pays(true, 1, 0.4));
    CHECK_FALSE(pays(false, 1));
    CHECK(pays(false, 2)); // 2.1 %
    CHECK_FALSE(pays(false, 2, 0.4));
    CHECK(pays(false, 1, 2));
}

TEST_CASE("what the cache at work has captured at multiples of the step decides nothing") {
    std::vector<cache::captured_state> brought;
    for (std::uint64_t p = 16; p < 105; p += 16)
        brought.push_back({token_count{p}});
    trial t;
    for (int text = 0; text < 40; ++text)
        t.ask_about_another_text(1, brought);
    CHECK(t.pays());
    trial cut; // as where commits have whole blocks of 16 only
    for (std::int32_t text = 1; text < 40; ++text)
        for (std::int32_t question : {1, 2}) {
            tokens prompt = about(text, question);
            token_count const whole{prompt.size()}, end{96};
            prompt.resize(end.value());
            cut.ghosts.ask({.in = {},
                            .tokens = prompt,
                            .prompt = end,
                            .limit = end,
                            .captured = brought,
                            .answer_from = whole},
                           cut.now += tick{2});
        }
    CHECK(cut.pays());
    trial off{0};
    off.ask_about_another_text();
    CHECK_FALSE(off.ghosts.decide(off.chosen));
    CHECK(off.ghosts.memory() == byte_count{});
}

TEST_CASE("spaced checkpoints stay where texts come back after the cache has forgotten them") {
    beside both{1500, 32};
    std::mt19937 random{1};
    for (std::int32_t visit = 0; visit < 1500; ++visit) {
        auto const text = static_cast<std::int32_t>(1 + random() % 60);
        for (std::int32_t question : {1, 2})
            both.serve(about(text, 2 * visit + question));
    }
    CHECK(both.while_on == both.requests);
    CHECK(both.with > 1.5 * both.without);
}

TEST_CASE("spaced checkpoints go where they take the place of what comes back") {
    // Chats that nearly fit, and texts that are asked about again when no cache of this size has
    // them any more: a larger one would.
    beside both{1000, 16};
    std::vector<tokens> chats(6);
    std::mt19937 random{1};
    for (std::int32_t i = 0; i < 4000; ++i) {
        if (i % 2 == 0) {
            both.serve(about(100 + i / 2 % 300, i));
            continue;
        }
        tokens& chat = chats[random() % chats.size()];
        if (chat.empty() || chat.size() > 90) chat = numbered(1000 + i, 33);
        for (int more = 0; more < 5; ++more)
            chat.push_back(-i);
        both.serve(chat);
    }
    CHECK(both.while_on < 200);
    CHECK(both.with > 0.97 * both.without);
}

TEST_CASE("a beginning that all share, at a multiple of the step, is no reason to go on") {
    beside both{1500, 16};
    for (std::int32_t i = 0; i < 1000; ++i) {
        tokens prompt = numbered(1, 64);
        for (std::int32_t more = 0; more < 30; ++more)
            prompt.push_back(-i * 100 - more);
        both.serve(prompt);
    }
    CHECK(both.while_on < 200);
    CHECK(both.spaced.stats().checkpoints_stored < both.plain.stats().checkpoints_stored + 500);
}

TEST_CASE("a model without FLOPs gains nothing from spaced checkpoints") {
    footprint model = tiny_model();
    model.flops = {};
    spacing_cache cache{
        memory::ledger_store{model, byte_count{4000 * 256}, {.block_tokens = 1_tokens}},
        {},
        {},
        policy::spaced{16_tokens}};
    for (std::int32_t i = 0; i < 120; ++i)
        (void)serve(cache, about(1 + i / 3, i));
    CHECK_FALSE(cache.learning().spacing_pays);
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
    for (int turn = 0; turn < 80; ++turn) {
        (void)ask(cache, chat);
        for (std::int32_t i = 0; i < 3; ++i)
            chat.push_back(-100 - turn);
    }
    CHECK_FALSE(cache.learning().spacing_pays);
    CHECK(cache.admission().every == 0_tokens);
    std::uint64_t const checkpoints = cache.stats().checkpoints_stored;
    (void)serve(cache, about(2, 1));
    CHECK(cache.stats().checkpoints_stored == checkpoints + 1);

    // The chat has saved two million FLOPs until then.
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
