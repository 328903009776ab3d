// A small engine on a device, end to end: three requests, of which the second and the third resume
// from what the one before left. Every byte they resume from is checked.

#include <marconi/gpu.cuh>
#include <marconi/marconi.hpp>

#include <cstdint>
#include <cstdio>
#include <numeric>
#include <vector>

using namespace marconi;
using namespace marconi::literals;

namespace {

constexpr std::uint32_t heads = 8, head_bytes = 256; // 128 half-precision numbers
constexpr std::uint32_t block_tokens = 32;           // the engine's own, not the cache's
constexpr std::uint64_t state_bytes = 1 << 20;
constexpr std::size_t layers = 4;

footprint hybrid_model() {
    footprint model{.flops = {.per_token = 1e9}};
    for (std::size_t l = 0; l < layers; ++l) {
        model.kv_layers.push_back({heads * head_bytes, heads * head_bytes});
        model.state_pieces.push_back({.fixed_bytes = state_bytes});
    }
    return model;
}

/// "Attention": every byte of a token's keys and values follows from the token alone. The engine's
/// KV is paged and head-major: [block, key or value, head, slot, byte].
__global__ void write_kv(std::byte* kv, std::int32_t const* blocks, std::int32_t const* tokens,
                         std::uint32_t from, std::uint32_t to, int layer) {
    for (std::uint32_t t = from + blockIdx.x; t < to; t += gridDim.x)
        for (std::uint32_t i = threadIdx.x; i < 2 * heads * head_bytes; i += blockDim.x) {
            std::uint32_t const part_and_head = i / head_bytes;
            std::size_t const row =
                (std::size_t(blocks[t / block_tokens]) * 2 * heads + part_and_head) * block_tokens +
                t % block_tokens;
            kv[row * head_bytes + i % head_bytes] =
                std::byte(tokens[t] * 31 + part_and_head * 7 + layer);
        }
}
__global__ void count_wrong_kv(std::byte const* kv, std::int32_t const* blocks,
                               std::int32_t const* tokens, std::uint32_t count, int layer,
                               unsigned* wrong) {
    for (std::uint32_t t = blockIdx.x; t < count; t += gridDim.x)
        for (std::uint32_t i = threadIdx.x; i < 2 * heads * head_bytes; i += blockDim.x) {
            std::uint32_t const part_and_head = i / head_bytes;
            std::size_t const row =
                (std::size_t(blocks[t / block_tokens]) * 2 * heads + part_and_head) * block_tokens +
                t % block_tokens;
            if (kv[row * head_bytes + i % head_bytes] !=
                std::byte(tokens[t] * 31 + part_and_head * 7 + layer))
                atomicAdd(wrong, 1);
        }
}
/// "Recurrence": the state after n tokens follows from their sum.
__global__ void write_state(std::uint32_t* state, std::uint32_t sum, int layer) {
    for (std::uint32_t i = threadIdx.x; i < state_bytes / 4; i += blockDim.x)
        state[i] = sum * 2654435761u + i + layer;
}
__global__ void count_wrong_state(std::uint32_t const* state, std::uint32_t sum, int layer,
                                  unsigned* wrong) {
    for (std::uint32_t i = threadIdx.x; i < state_bytes / 4; i += blockDim.x)
        if (state[i] != sum * 2654435761u + i + layer) atomicAdd(wrong, 1);
}

using device_memory = memory::arena_memory<gpu::device_resource>;

/// The engine's memory: some blocks of paged KV, and two slots for states: one that the model works
/// on, and one for a checkpoint on its way to the cache. All its work is enqueued on the stream
/// that the call names; an owned_stream does not wait for CUDA's default stream.
class engine {
public:
    explicit engine(gpu::stream_ref on) {
        for (std::size_t l = 0; l < layers; ++l) {
            kv_.emplace_back(gpu::device_resource{}, blocks * block_bytes);
            states_.emplace_back(gpu::device_resource{}, 2 * state_bytes);
            views_.push_back(layer_in({head_order::head_major, heads, block_tokens},
                                      hybrid_model().kv_layers[l], kv_[l].data(),
                                      kv_[l].data() + block_bytes / 2, block_bytes));
            slots_.push_back({states_[l].data(), state_bytes});
        }
        for (std::int32_t b = 0; b < blocks; ++b)
            table_.push_back((b * 7 + 3) % blocks); // anywhere but in order
        send(table_on_device_, table_, on);
        gpu::check(cudaMemsetAsync(wrong_.data(), 0, sizeof(unsigned), on.get()),
                   "cudaMemsetAsync");
    }

    [[nodiscard]] memory::kv_view kv() const { return {views_, table_, block_tokens}; }
    [[nodiscard]] std::vector<std::byte*> slot(int s) const { return slot_of(slots_, s); }

    /// Brings the prompt to the device and runs the model over tokens [from, to).
    void prefill(std::vector<std::int32_t> const& tokens, token_count from, token_count to, int s,
                 gpu::stream_ref on) {
        send(tokens_, tokens, on);
        for (int l = 0; l < int(layers); ++l) {
            write_kv<<<64, 256, 0, on.get()>>>(
                kv_[l].data(), as<std::int32_t>(table_on_device_), as<std::int32_t>(tokens_),
                std::uint32_t(from.value()), std::uint32_t(to.value()), l);
            write_state<<<1, 256, 0, on.get()>>>(reinterpret_cast<std::uint32_t*>(slot(s)[l]),
                                                 sum(tokens, to), l);
        }
        gpu::check(cudaGetLastError(), "prefill");
    }
    /// How many bytes and words differ from what the model makes of the first `count` tokens.
    [[nodiscard]] unsigned wrong(std::vector<std::int32_t> const& tokens, token_count count,
                                 gpu::owned_stream const& on) {
        send(tokens_, tokens, on);
        auto* const found = as<unsigned>(wrong_);
        for (int l = 0; l < int(layers); ++l) {
            count_wrong_kv<<<64, 256, 0, on.get()>>>(
                kv_[l].data(), as<std::int32_t>(table_on_device_), as<std::int32_t>(tokens_),
                std::uint32_t(count.value()), l, found);
            count_wrong_state<<<1, 256, 0, on.get()>>>(
                reinterpret_cast<std::uint32_t const*>(slot(0)[l]), sum(tokens, count), l, found);
        }
        unsigned result = 0;
        gpu::check(
            cudaMemcpyAsync(&result, found, sizeof(result), cudaMemcpyDeviceToHost, on.get()),
            "cudaMemcpyAsync");
        on.synchronize();
        return result;
    }

private:
    static constexpr std::int32_t blocks = 64;
    static constexpr std::size_t block_bytes = 2 * heads * block_tokens * head_bytes;

    template <class T>
    static T* as(device_memory const& memory) {
        return reinterpret_cast<T*>(memory.data());
    }
    static void send(device_memory& to, std::vector<std::int32_t> const& from, gpu::stream_ref on) {
        gpu::check(cudaMemcpyAsync(to.data(), from.data(), from.size() * 4, cudaMemcpyHostToDevice,
                                   on.get()),
                   "cudaMemcpyAsync");
    }
    static std::uint32_t sum(std::vector<std::int32_t> const& tokens, token_count count) {
        return std::uint32_t(
            std::accumulate(tokens.begin(), tokens.begin() + std::ptrdiff_t(count.value()), 0));
    }

    std::vector<device_memory> kv_, states_;
    std::vector<kv_layer_view> views_;
    std::vector<state_tensor> slots_;
    std::vector<std::int32_t> table_;
    device_memory table_on_device_{gpu::device_resource{}, 4 * blocks};
    device_memory tokens_{gpu::device_resource{}, 4 * blocks* block_tokens};
    device_memory wrong_{gpu::device_resource{}, sizeof(unsigned)};
};

/// Serves one request; returns how much of what it resumed from was wrong.
unsigned serve(prefix_cache<gpu::device_store>& cache, std::vector<std::int32_t> const& prompt) {
    gpu::owned_stream const on; // each request has one: the cache keeps them in order
    engine engine{on};
    auto const lease = cache.acquire(cache.plan(cache.match({}, prompt)));
    auto const state = engine.slot(0), copy = engine.slot(1);
    cache.restore(lease, engine.kv(), {state}, on);
    token_count position = lease.resume_at();
    unsigned const wrong = position > token_count{} ? engine.wrong(prompt, position, on) : 0u;

    // The prefill stops where the cache wants a checkpoint, then goes on to the prompt's end.
    std::vector<token_count> stops{lease.capture_at().begin(), lease.capture_at().end()};
    stops.push_back(token_count{prompt.size()});
    for (token_count const stop : stops) {
        engine.prefill(prompt, position, stop, 0, on);
        engine.prefill(prompt, stop, stop, 1, on); // stands for copying the state
        captured_state const captured{stop, {copy}};
        cache.commit(lease, std::span<std::int32_t const>{prompt}.first(stop.value()),
                     {.kv = engine.kv(), .checkpoints = {&captured, 1}}, on);
        position = stop;
    }
    std::printf("resumed at %4u of %4u tokens, %u wrong\n", unsigned(lease.resume_at().value()),
                unsigned(prompt.size()), wrong);
    on.synchronize(); // commits read the engine's memory, which ends here
    return wrong;
}

} // namespace

int main() {
    int devices = 0;
    cudaError_t const code = cudaGetDeviceCount(&devices);
    if (code != cudaSuccess || devices == 0) {
        std::printf("skipped: no CUDA device (%s)\n", cudaGetErrorString(code));
        return 0;
    }
    prefix_cache<gpu::device_store> cache{
        gpu::device_store{hybrid_model(), 256_MiB, {.block_tokens = 16_tokens}}};
    std::vector<std::int32_t> prompt(1000);
    std::iota(prompt.begin(), prompt.end(), 1);
    unsigned wrong = serve(cache, prompt);
    prompt.insert(prompt.end(), 300, 42);
    wrong += serve(cache, prompt);
    prompt.insert(prompt.end(), 100, 43);
    wrong += serve(cache, prompt);
    auto const tokens = cache.stats().tokens_resumed;
    return wrong == 0 && tokens == 2300_tokens && audit(cache).empty() ? 0 : 1;
}
