// A stream that a call was refused on is none that the lease works on: when the lease goes, nobody
// waits for it.

#include <gpu/emulated/runtime.hpp>

#include <marconi/cache/prefix_cache.hpp>
#include <marconi/core/error.hpp>
#include <marconi/core/units.hpp>
#include <marconi/gpu/basic_device_store.hpp>

#include <support/catch.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <new>
#include <numeric>
#include <string_view>
#include <utility>
#include <vector>

using namespace marconi;
using namespace marconi::literals;
using device_store = gpu::basic_device_store<emulated::emulated_launcher>;
using refusing_cache = cache::prefix_cache<device_store>;

namespace {

constexpr std::size_t prompt_tokens = 32, row_bytes = 64;

std::vector<std::int32_t> ascending(std::size_t count) {
    std::vector<std::int32_t> tokens(count);
    std::iota(tokens.begin(), tokens.end(), 1);
    return tokens;
}

/// A cache that knows all of a prompt, and an engine's memory for it.
struct warm_cache {
    warm_cache() {
        auto lease = cache.open({}, prompt);
        cache.commit(lease, prompt, {.kv = kv()}, usual);
        lease.release();
        emulated::finish_all();
    }
    [[nodiscard]] memory::kv_view kv() const { return {{&layer, 1}}; }

    std::vector<std::int32_t> prompt = ascending(prompt_tokens);
    std::vector<std::byte> rows{(prompt_tokens + 8) * row_bytes};
    memory::kv_layer_view layer{.key = rows.data()};
    gpu::owned_stream usual;
    refusing_cache cache{
        device_store{footprint{.kv_layers = {{row_bytes, 0}}}, 64_KiB, {.block_tokens = 4_tokens}}};
};

} // namespace

TEST_CASE("a lease does not remember a stream that is refused for being captured") {
    using call = std::function<void(warm_cache&, refusing_cache::lease&, gpu::stream_ref)>;
    std::vector<std::pair<char const*, call>> const calls{
        {"used_on", [](auto&, auto& lease, auto on) { lease.used_on(on); }},
        {"restore without KV",
         [](auto& warm, auto& lease, auto on) { warm.cache.restore(lease, {}, {}, on); }},
        {"restore",
         [](auto& warm, auto& lease, auto on) { warm.cache.restore(lease, warm.kv(), {}, on); }},
        {"reserve",
         [](auto& warm, auto& lease, auto on) {
             (void)warm.cache.reserve(lease, token_count{prompt_tokens + 4}, on);
         }},
        {"commit", [](auto& warm, auto& lease, auto on) {
             auto const longer = ascending(prompt_tokens + 8);
             warm.cache.commit(lease, longer, {.kv = warm.kv()}, on);
         }}};
    emulated::restart(1);
    for (auto const& [name, refused] : calls)
        for (bool const is_known : {true, false})
            for (bool const in_place : {false, true}) {
                CAPTURE(name, is_known, in_place);
                warm_cache warm;
                gpu::owned_stream const captured;
                auto const prompt = is_known ? warm.prompt : std::vector<std::int32_t>{7, 7, 7};
                auto lease = warm.cache.open({}, prompt);
                if (in_place)
                    (void)warm.cache.reserve(lease, token_count{prompt_tokens + 2}, warm.usual);
                emulated::capturing const graph{captured.get()};
                if (!is_known && name == std::string_view{"restore"})
                    CHECK_NOTHROW(refused(warm, lease, captured)); // there is nothing to do
                else
                    CHECK_THROWS_AS(refused(warm, lease, captured), invalid_argument);
                lease.release();
                CHECK_FALSE(graph.spoilt());
            }
}

TEST_CASE("a lease does not remember a stream that could not be given an event") {
    emulated::restart(1);
    warm_cache warm;
    auto lease = warm.cache.open({}, warm.prompt);
    for (int i = 0; i < 8; ++i) // uses up the events at hand
        warm.cache.restore(lease, warm.kv(), {}, warm.usual);
    {
        gpu::owned_stream const gone;
        emulated::failing const no_more{0};
        CHECK_THROWS_AS(lease.used_on(gpu::stream_ref{gone}), std::bad_alloc);
    }
    lease.release(); // on a stream that is gone the emulated runtime would end the program
    CHECK(warm.cache.open({}, warm.prompt).resume_at() == token_count{prompt_tokens - 1});
}
