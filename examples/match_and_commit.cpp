// A request's life on a cache in host memory: what an engine does, with memcpy for a model.

#include <marconi/marconi.hpp>

#include <cstdio>
#include <numeric>
#include <vector>

using namespace marconi;
using namespace marconi::literals;

namespace {

/// One request's KV and recurrent state in the engine's own memory.
struct engine_memory {
    engine_memory(footprint const& model, std::size_t tokens) {
        for (kv_layer const& layer : model.kv_layers) {
            kv.emplace_back((layer.key_bytes + layer.value_bytes) * tokens);
            std::byte* key = kv.back().data();
            layers.push_back({.key = key,
                              .key_stride = static_cast<std::ptrdiff_t>(layer.key_bytes),
                              .value = key + layer.key_bytes * tokens,
                              .value_stride = static_cast<std::ptrdiff_t>(layer.value_bytes)});
        }
        for (state_piece const& piece : model.state_pieces) {
            state.emplace_back(piece.bytes_at(tokens));
            pieces.push_back(state.back().data());
        }
    }
    std::vector<std::vector<std::byte>> kv, state;
    std::vector<kv_layer_view> layers;
    std::vector<std::byte*> pieces;
};

using cache_type = prefix_cache<host_store>;

/// Answers a prompt with `answer`; returns how many tokens need not be prefilled.
token_count serve(cache_type& cache, std::vector<std::int32_t> tokens,
                  std::vector<std::int32_t> const& answer) {
    footprint const& model = cache.store().layout().model();
    engine_memory memory{model, tokens.size() + answer.size()};

    auto const match = cache.match(scope{.tenant = 7}, tokens);
    auto lease = cache.acquire(cache.plan(match));
    if (lease.stale()) return serve(cache, tokens, answer); // evicted in between: match again
    cache.restore(lease, {memory.layers}, {memory.pieces});

    // The engine prefills from lease.resume_at() and copies its recurrent state at each position
    // in lease.capture_at(); here every copy is a buffer of zeros.
    std::vector<engine_memory> copies;
    std::vector<captured_state> captured;
    copies.reserve(lease.capture_at().size() + 1);
    for (token_count const position : lease.capture_at()) {
        copies.emplace_back(model, tokens.size() + answer.size());
        captured.push_back({.position = position, .state = {copies.back().pieces}});
    }
    cache.commit(lease, tokens, {.kv = {memory.layers}, .checkpoints = captured});

    // Decode: all answer tokens but the last, sampled one have been through the model.
    tokens.insert(tokens.end(), answer.begin(), answer.end() - 1);
    captured.clear();
    if (lease.should_capture(token_count{tokens.size()}, /*last=*/true)) {
        copies.emplace_back(model, tokens.size() + 1);
        captured.push_back(
            {.position = token_count{tokens.size()}, .state = {copies.back().pieces}});
    }
    commit_outcome const outcome =
        cache.commit(lease, tokens, {.kv = {memory.layers}, .checkpoints = captured});
    std::printf("matched %5lu  resumed %5lu of %5lu tokens  stored up to %5lu%s\n",
                match.matched.value(), match.resumable.value(), match.tokens.value(),
                outcome.position.value(), outcome.complete() ? "" : "  (not all: no room)");
    return match.resumable;
}

} // namespace

int main() {
    model::spec const model = model::find_preset("recurrentgemma-9b"); // windows and recurrences
    cache_type cache{host_store{model.footprint(), 512_MiB, {.page_bytes = 64_KiB}}};

    std::vector<std::int32_t> system_prompt(600);
    std::iota(system_prompt.begin(), system_prompt.end(), 1);
    auto ask = [&](std::int32_t question) {
        std::vector<std::int32_t> prompt = system_prompt;
        for (std::int32_t i = 0; i < 40; ++i)
            prompt.push_back(10'000 * question + i);
        return prompt;
    };
    std::vector<std::int32_t> const answer(20, 42);

    serve(cache, ask(1), answer); // nothing is here yet
    serve(cache, ask(2), answer); // the shared prefix is seen, and checkpointed
    token_count const third = serve(cache, ask(3), answer); // the shared prefix is used

    std::vector<std::int32_t> next_turn = ask(3); // the conversation goes on
    next_turn.insert(next_turn.end(), answer.begin(), answer.end());
    next_turn.push_back(99);
    token_count const fourth = serve(cache, next_turn, answer);

    cache::occupancy const holds = cache.holds();
    std::printf("%lu nodes, %lu checkpoints, %.1f of %.1f MiB in use\n", holds.nodes,
                holds.checkpoint_count, static_cast<double>(holds.used.value()) / (1 << 20),
                static_cast<double>(holds.capacity.value()) / (1 << 20));
    bool const as_expected = third == 600_tokens && fourth == 659_tokens;
    return as_expected && cache::audit(cache).empty() ? 0 : 1;
}
