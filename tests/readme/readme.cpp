// The snippets of README.md and of examples/README.md, with what they take for granted around them.

#include <marconi/marconi.hpp>

#include <support/catch.hpp>
#include <support/engine.hpp>

#include <algorithm>
#include <cmath>
#include <list>
#include <span>
#include <vector>

using namespace marconi::literals;

namespace {

/// An engine whose state is its memory, never written: what it would copy at each position.
struct engine_in_the_snippet {
    marconi::state_view state;
    std::vector<marconi::captured_state> prefill(std::vector<std::int32_t> const& prompt,
                                                 marconi::token_count resume,
                                                 std::span<marconi::token_count const> at) const {
        std::vector<marconi::captured_state> captured;
        for (marconi::token_count const position : at)
            if (position > resume) captured.push_back({position, state});
        captured.push_back({marconi::token_count{prompt.size()}, state});
        return captured;
    }
};

using cache_in_the_snippets = marconi::prefix_cache<marconi::host_store>;

/// A request of an engine whose state can be told right from wrong.
struct request_in_the_snippets {
    explicit request_in_the_snippets(marconi::footprint const& model, support::sequence prompt)
        : memory{model}, tokens{std::move(prompt)} {}

    marconi::kv_view kv_view() { return memory.kv(); }
    marconi::state_view state_view() { return memory.state(); }
    void copy_state() {
        copies.push_back(memory.state_at(tokens, computed));
        auto& pieces = addresses.emplace_back();
        for (auto& piece : copies.back())
            pieces.push_back(piece.data());
        copied.push_back({marconi::token_count{computed}, {pieces}});
    }
    std::vector<marconi::captured_state> const& copied_states() const { return copied; }
    bool has_copy_at(std::size_t position) const {
        return !copied.empty() && copied.back().position == marconi::token_count{position};
    }
    void forget_copies() { copied.clear(); }

    support::engine_request memory;
    marconi::scope scope;
    support::sequence tokens;
    std::size_t computed = 0;
    std::vector<marconi::page_id> pages;
    std::size_t settled = 0;
    std::list<std::vector<std::vector<std::byte>>> copies;
    std::list<std::vector<std::byte*>> addresses;
    std::vector<marconi::captured_state> copied;
    cache_in_the_snippets::lease lease;
};

/// The page for engine developers, put together.
struct engine_of_the_page {
    cache_in_the_snippets cache{marconi::host_store{
        support::hybrid_model(), 100_KiB, marconi::page_options{.block_tokens = 4_tokens}}};
    std::size_t chunk = 7;
    std::size_t running = 1;

    void forward(request_in_the_snippets& request, std::size_t until) const {
        request.memory.compute(request.tokens, request.computed, until);
    }
    void admit(request_in_the_snippets& request) {
#include "snippet_5.inc"
    }
    void step(request_in_the_snippets& request) {
        engine_of_the_page const& engine = *this;
#include "snippet_6.inc"
    }
    void commit(request_in_the_snippets& request, bool finished) {
#include "snippet_7.inc"
    }
    static void preempt(request_in_the_snippets& request) { request.lease.release(); }
    /// Writes the KV of the next tokens in place.
    void step_in_place(request_in_the_snippets& request, std::size_t end) {
#include "snippet_8.inc"
        for (; request.computed < end; ++request.computed)
            for (std::size_t layer : {0u, 1u})
                std::ranges::copy(request.memory.row(request.tokens, request.computed, layer, 0),
                                  key_of(layer, request.computed));
        auto const first = request.memory.row(request.tokens, 0, 1, 0);
        CHECK(std::equal(first.begin(), first.end(), key_of(1, 0)));
    }
    /// Serves a prompt of which `known` tokens can be resumed, and checks what came back.
    void serve(support::sequence const& prompt, std::size_t known) {
        request_in_the_snippets request{cache.store().layout().model(), prompt};
        admit(request);
        CHECK(request.computed == known);
        CHECK((known == 0 || request.memory.holds(prompt, known)));
        while (request.computed < request.tokens.size())
            step(request);
        commit(request, false);
        request.tokens.insert(request.tokens.end(), {1, 2}); // an answer of two tokens
        while (request.computed + 1 < request.tokens.size()) {
            forward(request, request.computed + 1);
            ++request.computed;
        }
        commit(request, true);
        CHECK(request.lease.stale());
    }
};

} // namespace

TEST_CASE("a model of one's own has a footprint") {
#include "snippet_4.inc"
    CHECK(on_one_rank.kv_bytes_per_token() == marconi::byte_count{4 * 2 * 4 * 128 * 2});
    REQUIRE(on_one_rank.state_pieces.size() == 48);
    CHECK(on_one_rank.state_pieces[0].fixed_bytes == 2 * 64 * 64 * 128);
    CHECK(on_one_rank.state_pieces[1].fixed_bytes < on_one_rank.state_pieces[0].fixed_bytes);
    CHECK(on_one_rank.flops.per_pair > 0);
}

TEST_CASE("the ten lines store a prompt") {
    std::vector<std::int32_t> const prompt(100, 1);
    marconi::footprint const same = marconi::model::find_preset("nemotron-h-8b").footprint();
    std::vector<std::byte> bytes(same.checkpoint_bytes(100_tokens).value() +
                                 100 * same.kv_bytes_per_token().value());
    std::vector<marconi::kv_layer_view> const layers(same.kv_layers.size(),
                                                     {.key = bytes.data(), .value = bytes.data()});
    std::vector<std::byte*> const pieces(same.state_pieces.size(), bytes.data());
    marconi::kv_view const kv{layers};
    marconi::state_view const state{pieces};
    engine_in_the_snippet const engine{state};
#include "snippet_1.inc"
    CHECK(match.matched == 0_tokens);
    CHECK(outcome.complete());
    CHECK(outcome.stored_tokens == 100_tokens);
    CHECK(outcome.stored_checkpoints == 1);
}

TEST_CASE("the page for engine developers is an engine") {
    engine_of_the_page engine;
    auto const prompt = [](std::int32_t question) {
        support::sequence made(30, 7);
        made.resize(50, question);
        return made;
    };
    engine.serve(prompt(10), 0);
    engine.serve(prompt(11), 0);  // leaves the first inside a block: the state there is copied
    engine.serve(prompt(12), 30); // and used
    auto next_turn = prompt(12);
    next_turn.insert(next_turn.end(), {1, 2, 3});
    engine.serve(next_turn, 51);
    CHECK(marconi::audit(engine.cache).empty());
}

TEST_CASE("the page's lines for KV in place reserve, write and give way") {
    engine_of_the_page engine;
    auto const& layout = engine.cache.store().layout();
    request_in_the_snippets request{layout.model(), support::sequence(20, 5)};
    request.lease = engine.cache.open({}, request.tokens);
    engine.step_in_place(request, 20);
    CHECK(request.computed == 20);
    CHECK(request.pages.size() == 5);
    CHECK(engine.cache.commit(request.lease, request.tokens).stored_tokens == 20_tokens);
    engine.running = 2; // there are pages, but none to spare then
    auto const all = engine.cache.holds().capacity - engine.cache.holds().used;
    std::size_t const more = all / layout.page_bytes() * layout.block_tokens();
    engine.step_in_place(request, 20 + more);
    CHECK(request.lease.stale());
    CHECK(marconi::audit(engine.cache).empty());
}

TEST_CASE("a cache that learns has a report") {
    marconi::footprint const model = marconi::model::find_preset("paper-7b").footprint();
#include "snippet_2.inc"
    CHECK(by_odds);
    CHECK(learned.requests == 0);
    CHECK(possible == marconi::flop_count{});
    CHECK(learned.shadow_now.capacity == cache.holds().capacity * 16);
}

TEST_CASE("the policy of one function evicts") {
    marconi::ledger_store store{marconi::model::find_preset("paper-7b").footprint(), 200_MB};
#include "snippet_3.inc"
    for (std::int32_t i = 0; i < 10; ++i) {
        std::vector<std::int32_t> const prompt(1000, i);
        auto lease = cache.open({}, prompt);
        std::vector<marconi::captured_state> const tail{{1000_tokens}};
        CHECK(cache.commit(lease, prompt, {.checkpoints = tail}).complete());
    }
    CHECK(cache.stats().evictions() > 0);
}
