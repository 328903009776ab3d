// KV that is restored layer by layer, for an engine that begins while later layers still load.

#include <marconi/cache/prefix_cache.hpp>
#include <marconi/core/error.hpp>
#include <marconi/core/types.hpp>
#include <marconi/core/units.hpp>
#include <marconi/memory/host_store.hpp>
#include <marconi/memory/views.hpp>

#include <support/catch.hpp>
#include <support/engine.hpp>

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <string>
#include <vector>

using namespace marconi;
using namespace marconi::literals;
using memory::kv_view;
using support::engine_request;
using support::sequence;

namespace {

constexpr std::size_t stored = 23;

sequence some_tokens(std::size_t count) {
    sequence tokens(count);
    std::iota(tokens.begin(), tokens.end(), 1);
    return tokens;
}

kv_view only(kv_view kv, std::size_t first, std::size_t count) {
    kv.only = memory::layer_range{.first = first, .count = count};
    return kv;
}

/// A cache of blocks of 4 that holds 23 tokens and the state there, and the next turn's request.
struct next_turn {
    next_turn() {
        engine_request engine{model};
        engine.compute(tokens, 0, stored);
        auto state = engine.state_at(tokens, stored);
        std::vector<std::byte*> pieces;
        for (auto& piece : state)
            pieces.push_back(piece.data());
        cache::captured_state const end{.position = token_count{stored}, .state = {pieces}};
        sequence const first = some_tokens(stored);
        cache.commit(cache.open({}, first), first, {.kv = engine.kv(), .checkpoints = {&end, 1}});
        lease = cache.open({}, tokens);
        REQUIRE(lease.resume_at() == token_count{stored});
    }

    /// Which tokens' rows of a layer the request's memory holds, a letter each: those of the
    /// sequence (+), none (-), or something else (!).
    [[nodiscard]] std::string rows(std::size_t layer) {
        std::string found;
        memory::kv_layer_view const view = memory.kv().layers[layer];
        for (std::size_t t = 0; t < stored; ++t) {
            bool right = true, untouched = true;
            for (int part : {0, 1}) {
                auto const expected = memory.row(tokens, t, layer, part);
                std::byte const* const at =
                    (part == 0 ? view.key : view.value) + t * expected.size();
                right &= std::equal(expected.begin(), expected.end(), at);
                untouched &= std::all_of(at, at + expected.size(),
                                         [](std::byte b) { return b == std::byte{}; });
            }
            found += right ? '+' : untouched ? '-' : '!';
        }
        return found;
    }

    footprint model = support::hybrid_model();
    sequence tokens = some_tokens(stored + 5);
    engine_request memory{model};
    cache::prefix_cache<memory::host_store> cache{
        marconi::memory::host_store{model, 1_MiB, {.block_tokens = 4_tokens}}};
    decltype(cache)::lease lease;
};

std::string const all_rows(stored, '+'), no_rows(stored, '-');

} // namespace

TEST_CASE("a restore of some layers copies these, and the state if it is wanted") {
    next_turn turn;
    SECTION("one by one, the state first") {
        turn.cache.restore(turn.lease, {}, turn.memory.state());
        CHECK(turn.memory.holds_state(turn.tokens, stored));
        turn.lease.let_go_checkpoint(); // the layers need none
        CHECK(turn.rows(0) == no_rows);
        turn.cache.restore(turn.lease, only(turn.memory.kv(), 1, 1), {});
        CHECK(turn.rows(0) == no_rows);
        CHECK(turn.rows(1) == all_rows);
        turn.cache.restore(turn.lease, only(turn.memory.kv(), 0, 1), {});
        CHECK(turn.rows(0) == all_rows);
    }
    SECTION("with the state in the same launch") {
        turn.cache.restore(turn.lease, only(turn.memory.kv(), 0, 1), turn.memory.state());
        CHECK(turn.memory.holds_state(turn.tokens, stored));
        CHECK(turn.rows(0) == all_rows);
        CHECK(turn.rows(1) == no_rows);
    }
    SECTION("from a token on") {
        turn.cache.restore(turn.lease, only(turn.memory.kv(), 1, 1), {}, {}, 9_tokens);
        CHECK(turn.rows(0) == no_rows);
        CHECK(turn.rows(1) == std::string(9, '-') + std::string(stored - 9, '+'));
    }
    SECTION("all of them, and no state") {
        turn.cache.restore(turn.lease, only(turn.memory.kv(), 0, 2), {});
        CHECK(turn.memory.holds_kv(turn.tokens, stored));
        CHECK_FALSE(turn.memory.holds_state(turn.tokens, stored));
    }
    SECTION("none of them") {
        turn.cache.restore(turn.lease, only(turn.memory.kv(), 2, 0), {});
        CHECK(turn.rows(0) + turn.rows(1) == no_rows + no_rows);
    }
}

TEST_CASE("layers that are none of the model's are refused, and so are commits of some") {
    next_turn turn;
    kv_view const kv = turn.memory.kv();
    auto const restore = [&](kv_view const& view) { turn.cache.restore(turn.lease, view, {}); };
    CHECK_THROWS_WITH(restore(only(kv, 1, 2)),
                      "only in the kv_view is 2 layers from 1 on; expected some of 2");
    CHECK_THROWS_WITH(restore(only({}, 0, 1)), "only in the kv_view is some layers; expected "
                                               "nothing, since it has no layers");
    CHECK_THROWS_WITH(restore(kv), "number of pieces in the state_view is 0; expected 2");
    CHECK(turn.rows(0) + turn.rows(1) == no_rows + no_rows);
    CHECK_THROWS_AS(turn.cache.commit(turn.lease, turn.tokens, {.kv = only(kv, 0, 2)}),
                    invalid_argument);
    CHECK_THROWS_WITH(turn.cache.commit(turn.lease, turn.tokens, {.kv = only(kv, 0, 2)}),
                      "only in the kv_view is some layers; expected nothing: a commit takes all "
                      "layers");
    CHECK(turn.lease.position() == token_count{stored});
}
