// The example's model by itself: that a token's logits depend on the tokens before it and on
// nothing else is what the proof of the engine stands on.

#include <tiny_engine/model.hpp>
#include <tiny_engine/proof.hpp>
#include <tiny_engine/workload.hpp>

#include <support/catch.hpp>

#include <numeric>

using namespace tiny;

namespace {

model_shape const shape{.layers = "MASMA"};
constexpr std::uint64_t seed = 7;

std::vector<token> some_tokens(std::size_t count, std::uint64_t from = 1) {
    dice random{from};
    std::vector<token> made;
    while (made.size() < count)
        made.push_back(static_cast<token>(random.below(shape.vocabulary)));
    return made;
}

/// One request's memory, its blocks in any order.
struct memory {
    memory(model const& runs, std::size_t block_tokens, std::size_t tokens, std::uint64_t shuffle)
        : geometry{block_geometry::of_slots(runs.footprint(), block_tokens)},
          bytes((tokens / block_tokens + 1) * block_tokens * geometry.token_bytes),
          kv{geometry},
          state{runs.footprint()} {
        dice random{shuffle};
        for (std::size_t b = 0; b <= tokens / block_tokens; ++b) {
            auto const at = kv.blocks.begin() + static_cast<std::ptrdiff_t>(random.below(b + 1));
            kv.blocks.insert(at, bytes.data() + b * block_tokens * geometry.token_bytes);
        }
    }
    block_geometry geometry;
    std::vector<std::byte> bytes;
    paged_kv kv;
    recurrent_state state;
};

/// All logits of a request, computed in chunks, together with what else the batch holds.
std::vector<float> in_chunks(std::vector<token> const& tokens, std::size_t chunk,
                             std::size_t block_tokens, std::size_t neighbours = 0) {
    model runs{shape, seed};
    std::vector<memory> all;
    all.reserve(neighbours + 1);
    for (std::size_t i = 0; i <= neighbours; ++i)
        all.emplace_back(runs, block_tokens, 100, i);
    std::vector<float> logits;
    for (std::size_t p = 0; p < tokens.size(); p += chunk) {
        std::size_t const count = std::min(chunk, tokens.size() - p);
        auto const other = some_tokens(3, p + 2);
        std::vector<batch_item> batch;
        for (std::size_t i = 0; i < neighbours; ++i)
            batch.push_back({other, p / chunk * other.size(), i, &all[i].state, &all[i].kv});
        batch.push_back(
            {std::span{tokens}.subspan(p, count), p, 1, &all.back().state, &all.back().kv});
        auto const rows = runs.forward(batch, wanted::all).last(count * shape.vocabulary);
        logits.insert(logits.end(), rows.begin(), rows.end());
    }
    return logits;
}

} // namespace

TEST_CASE("a token's logits do not depend on chunks, blocks or the rest of the batch") {
    auto const tokens = some_tokens(80);
    from_scratch reference{shape, seed};
    auto const right = reference.logits(tokens, 1);
    REQUIRE(right.size() == 80 * shape.vocabulary);
    auto const same = [&](std::vector<float> const& found) {
        return std::equal(right.begin(), right.end(), found.begin(), found.end());
    };
    for (std::size_t const chunk : {1u, 2u, 3u, 5u, 7u, 64u, 80u})
        for (std::size_t const block : {1u, 4u, 7u, 16u}) {
            CAPTURE(chunk, block);
            CHECK(same(in_chunks(tokens, chunk, block)));
        }
    CHECK(same(in_chunks(tokens, 4, 4, 1)));
    CHECK(same(in_chunks(tokens, 7, 16, 3)));
}

TEST_CASE("a token's logits depend on every token before it, and on the adapter") {
    auto const tokens = some_tokens(40);
    from_scratch reference{shape, seed};
    auto const last = [&](std::vector<token> const& of, std::uint64_t adapter) {
        auto const rows = reference.logits(of, adapter).last(shape.vocabulary);
        return std::vector<float>(rows.begin(), rows.end());
    };
    auto const right = last(tokens, 0);
    CHECK(last(tokens, 0) == right);
    CHECK(last(tokens, 1) != right);
    for (std::size_t p = 0; p < tokens.size(); ++p) {
        auto changed = tokens;
        changed[p] = (changed[p] + 1) % static_cast<token>(shape.vocabulary);
        CAPTURE(p);
        CHECK(last(changed, 0) != right);
    }
}

TEST_CASE("every kind of layer alone makes a model") {
    for (std::string const layers : {"M", "A", "S"}) {
        from_scratch reference{{.layers = layers}, seed};
        auto const rows = reference.logits(some_tokens(30), 0);
        CAPTURE(layers);
        CHECK(std::all_of(rows.begin(), rows.end(), [](float x) { return std::isfinite(x); }));
        CHECK(model::most_likely(rows.last(shape.vocabulary)) <
              static_cast<token>(shape.vocabulary));
    }
}

TEST_CASE("sizes that make no model, or a state without bytes, are refused") {
    for (model_shape const& wrong :
         {model_shape{.layers = "MX"}, model_shape{.layers = ""}, model_shape{.head_dim = 3},
          model_shape{.head_dim = 0}, model_shape{.taps = 1}, model_shape{.taps = 0},
          model_shape{.window = 0}, model_shape{.kv_heads = 0}, model_shape{.kv_heads = 3},
          model_shape{.heads = 0}, model_shape{.mamba_heads = 0}, model_shape{.mamba_head_dim = 0},
          model_shape{.mamba_state = 0}, model_shape{.width = 0}, model_shape{.mlp_width = 0},
          model_shape{.vocabulary = 0}})
        CHECK_THROWS_AS(model(wrong, seed), marconi::invalid_argument);
    CHECK_NOTHROW(model({.taps = 2}, seed));
    CHECK_NOTHROW(model({.layers = "A", .taps = 1}, seed)); // nothing that the taps are of
}

TEST_CASE("a state goes on from its checkpoint, before and after its window is full") {
    auto const tokens = some_tokens(60);
    model runs{shape, seed};
    for (std::size_t const cut : {1u, 5u, 11u, 12u, 13u, 24u, 31u, 59u}) {
        CAPTURE(cut);
        memory one{runs, 16, 60, 0};
        batch_item const first{std::span{tokens}.first(cut), 0, 0, &one.state, &one.kv};
        (void)runs.forward({&first, 1});
        recurrent_state copy = one.state.checkpoint(cut);
        copy.roll(cut);
        auto const rest = std::span{tokens}.subspan(cut);
        batch_item const from_copy{rest, cut, 0, &copy, &one.kv};
        auto const found = runs.forward({&from_copy, 1});
        std::vector<float> const again(found.begin(), found.end());
        batch_item const straight_on{rest, cut, 0, &one.state, &one.kv};
        auto const right = runs.forward({&straight_on, 1});
        CHECK(std::equal(right.begin(), right.end(), again.begin(), again.end()));
    }
}

TEST_CASE("a checkpoint has the windows' tokens oldest first") {
    model_shape const windowed{.layers = "S", .window = 3};
    marconi::footprint const of = windowed.spec().footprint();
    recurrent_state state{of};
    std::size_t const row = 2 * windowed.keys();
    auto const fill = [&](std::size_t position) { // as the engine does: in a ring
        std::fill_n(state.piece(0) + position % 3 * row, row, static_cast<float>(position));
    };
    auto const rows = [&](std::size_t position) {
        recurrent_state copy = state.checkpoint(position);
        return std::vector<float>{copy.piece(0)[0], copy.piece(0)[row], copy.piece(0)[2 * row]};
    };
    fill(0);
    fill(1);
    CHECK(rows(2) == std::vector<float>{0, 1, 0});
    fill(2);
    CHECK(rows(3) == std::vector<float>{0, 1, 2});
    fill(3);
    CHECK(rows(4) == std::vector<float>{1, 2, 3});
    fill(4);
    CHECK(rows(5) == std::vector<float>{2, 3, 4});
}
