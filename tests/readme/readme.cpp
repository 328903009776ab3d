// The snippets of README.md, with what they take for granted around them.

#include <marconi/marconi.hpp>

#include <support/catch.hpp>

#include <cmath>
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

} // namespace

TEST_CASE("the ten lines store a prompt") {
    std::vector<std::int32_t> const prompt(100, 1);
    marconi::footprint const same = marconi::model::find_preset("nemotron-h-8b").footprint();
    std::vector<std::byte> bytes(same.checkpoint_bytes(100_tokens).value() +
                                 100 * same.kv_bytes_per_token().value());
    std::vector<marconi::kv_layer_view> const layers(same.kv_layers.size(),
                                                     {bytes.data(), 8, bytes.data(), 8});
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

TEST_CASE("the policy of one function evicts") {
    marconi::ledger_store store{marconi::model::find_preset("paper-7b").footprint(), 200_MB};
#include "snippet_2.inc"
    for (std::int32_t i = 0; i < 10; ++i) {
        std::vector<std::int32_t> const prompt(1000, i);
        auto lease = cache.acquire(cache.plan(cache.match({}, prompt)));
        std::vector<marconi::captured_state> const tail{{1000_tokens}};
        CHECK(cache.commit(lease, prompt, {.checkpoints = tail}).complete());
    }
    CHECK(cache.stats().evictions() > 0);
}
