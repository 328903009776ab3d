// A rank whose pages are on a device carries out what an index elsewhere orders.

#include <contracts/store.hpp>
#include <gpu/device_access.hpp>
#include <gpu/emulated/runtime.hpp>

#include <marconi/cache/prefix_cache.hpp>
#include <marconi/gpu/basic_device_store.hpp>
#include <marconi/memory/copy_order.hpp>
#include <marconi/memory/rank_memory.hpp>
#include <marconi/memory/relay_store.hpp>

#include <support/catch.hpp>

#include <cstddef>
#include <cstdint>
#include <vector>

using namespace marconi;
using namespace marconi::literals;
using contracts::byte_vector;
using contracts::random_bytes;
using device_store = gpu::basic_device_store<emulated::emulated_launcher>;
using memory::copy_order;

TEST_CASE("ranks on devices load what they saved, whatever streams the orders go on") {
    emulated::restart(1);
    footprint const model{
        .model = "recurrent", .state_pieces = {{.fixed_bytes = 700}}, .flops = {.per_token = 1}};
    memory::page_options const options{.page_bytes = 256_B};
    memory::rank_memory rank{device_store{model, 32_KiB, options}};
    std::vector<gpu::owned_stream> streams(3);
    std::size_t sent = 0;
    std::byte* state = nullptr; // of the request that calls
    cache::prefix_cache index{memory::relay_store{
        model, 32_KiB, options, [&](copy_order const& order) {
            std::vector<std::byte*> const pieces{state};
            rank.carry_out(
                order, {}, [&](token_count) { return memory::state_view{pieces}; },
                streams[sent++ % streams.size()]);
        }}};

    constexpr std::uint32_t turns = 30;
    std::vector<gpu_tests::device_engine_memory> restored, captured;
    for (std::uint32_t turn = 0; turn < turns; ++turn) {
        restored.emplace_back(byte_vector(700));
        captured.emplace_back(random_bytes(700, turn));
    }
    std::uint64_t const waits_before = emulated::counts().host_waits;
    std::vector<std::int32_t> tokens;
    for (std::uint32_t turn = 0; turn < turns; ++turn) {
        tokens.insert(tokens.end(), 3, static_cast<std::int32_t>(turn));
        auto lease = index.acquire(index.plan(index.match({}, tokens)));
        CHECK(lease.resume_at().value() == tokens.size() - 3);
        state = restored[turn].data();
        index.restore(lease, {}, {}, memory::request_tag{});
        state = captured[turn].data();
        std::vector<cache::captured_state> const tail{{token_count{tokens.size()}}};
        CHECK(index.commit(lease, tokens, {.checkpoints = tail}, memory::request_tag{}).complete());
    }
    CHECK(emulated::counts().host_waits == waits_before);
    emulated::finish_all();
    CHECK(sent == 2 * turns - 1);
    for (std::uint32_t turn = 1; turn < turns; ++turn)
        CHECK(restored[turn].contents() == random_bytes(700, turn - 1));
}
