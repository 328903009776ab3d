// Two requests that share a prompt, on a cache in host memory: the smallest use of the facade.

#include <marconi/marconi.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <numeric>
#include <vector>

using namespace marconi::literals;

int main() {
    marconi::footprint const model{.kv_layers = {{.key_bytes = 8, .value_bytes = 8}},
                                   .state_pieces = {{.fixed_bytes = 100}}};
    marconi::prefix_cache cache{marconi::host_store{model, 1_MiB, {.block_tokens = 16_tokens}}};

    std::array<std::int32_t, 64> prompt;
    std::iota(prompt.begin(), prompt.end(), 1000);
    std::vector<std::byte> kv(64 * 16, std::byte{7});
    std::vector<std::byte> state(100, std::byte{9});
    std::array const layers{marconi::kv_layer_view{kv.data(), 16, kv.data() + 8, 16}};
    std::array<std::byte*, 1> const pieces{state.data()};

    {
        auto lease = cache.acquire(cache.plan(cache.match({}, prompt)));
        std::array const captured{
            marconi::captured_state{.position = 48_tokens, .state = {pieces}}};
        auto const outcome = cache.commit(lease, prompt, {.kv = {layers}, .checkpoints = captured});
        if (!outcome.complete() || outcome.stored_tokens != 64_tokens) return 1;
    }

    std::vector<std::byte> const kv_before = kv;
    std::vector<std::byte> const state_before = state;
    kv.assign(kv.size(), std::byte{});
    state.assign(state.size(), std::byte{});

    auto const match = cache.match({}, prompt);
    auto const lease = cache.acquire(cache.plan(match));
    if (!lease) return 2;
    cache.restore(lease, {layers}, {pieces});
    if (state != state_before) return 3;
    for (std::size_t i = 0; i < 48 * 16; ++i)
        if (kv[i] != kv_before[i]) return 4;
    std::printf("resumed at %d of %d tokens\n", static_cast<int>(lease.resume_at().value()),
                static_cast<int>(prompt.size()));
    return 0;
}
