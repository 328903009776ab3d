// With zero_freed_pages nothing of a page that its last owner let go of stays in memory.

#include <support/histories/contest.hpp>
#include <support/histories/generator.hpp>

#include <marconi/memory/host_store.hpp>

#include <support/catch.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <vector>

using namespace marconi;

namespace {

using zeroing_cache = cache::prefix_cache<memory::host_store, policy::branch_and_tail, policy::lru>;

/// Pages in a store filled with ones, as if by an engine that writes to the last byte.
struct store_of_ones {
    static constexpr std::uint64_t pages = 12;
    memory::host_store store;

    explicit store_of_ones(bool zeroing)
        : store{histories::models().front(),
                byte_count{256} * pages,
                {.block_tokens = token_count{4}, .zero_freed_pages = zeroing}} {}

    std::vector<page_id> take(std::size_t count) {
        std::vector<page_id> taken(count);
        store.pages().allocate(taken);
        for (page_id const p : taken)
            std::ranges::fill(store.page(p), std::byte{1});
        return taken;
    }
    [[nodiscard]] std::size_t zeroes(page_id p) const {
        auto const bytes = store.page(p);
        return static_cast<std::size_t>(std::ranges::count(bytes, std::byte{0}));
    }
};

/// Free pages of which a byte is not zero.
std::size_t lingering(memory::host_store const& store) {
    auto const dirty = [&](page_id p) {
        return std::ranges::any_of(store.page(p), [](std::byte b) { return b != std::byte{0}; });
    };
    return static_cast<std::size_t>(std::ranges::count_if(store.pages().free(), dirty));
}

/// The KV of `tokens`, none of whose bytes is zero, and states likewise.
struct engine_memory {
    std::vector<std::byte> bytes;
    memory::kv_layer_view layer;
    std::byte* piece;

    explicit engine_memory(std::size_t tokens) : bytes(16 * tokens + 304, std::byte{0xAB}) {
        layer = {
            .key = bytes.data(), .key_stride = 16, .value = bytes.data() + 8, .value_stride = 16};
        piece = bytes.data() + 16 * tokens;
    }
};

} // namespace

TEST_CASE("zeroing: each way to free a page zeroes it, and only it") {
    store_of_ones on{true};
    auto const all = on.take(store_of_ones::pages);
    auto& pool = on.store.pages();
    pool.share(all[0]);
    pool.share(all[2]);
    CHECK_FALSE(pool.release(all[0]));
    CHECK(on.zeroes(all[0]) == 0);
    CHECK(pool.release(all[1]));
    pool.release(std::span{all}.subspan(2, 3));
    CHECK(on.zeroes(all[2]) == 0);
    pool.release_unshared(std::span{all}.subspan(5, 2));
    for (std::size_t i = 0; i < all.size(); ++i)
        CHECK(on.zeroes(all[i]) == (i == 1 || (i >= 3 && i < 7) ? 256 : 0));
    CHECK(lingering(on.store) == 0);

    memory::host_store moved = std::move(on.store);
    moved.pages().release(all[11]);
    CHECK(lingering(moved) == 0);
}

TEST_CASE("zeroing: unless asked for, a freed page is left alone") {
    store_of_ones on{false};
    auto const all = on.take(3);
    on.store.pages().release(all);
    CHECK(lingering(on.store) == 3);
}

TEST_CASE("zeroing: no byte of a released page survives, whatever requests do") {
    bool const zeroing = GENERATE(true, false);
    footprint const model = histories::models().front(); // 16 bytes a token, 304 a state
    zeroing_cache cache{
        memory::host_store{model,
                           byte_count{256} * 40,
                           {.block_tokens = token_count{4}, .zero_freed_pages = zeroing}}};
    auto decide = histories::random_decisions(11);
    std::size_t seen = 0, lingered = 0;
    for (int step = 0; step < 2000; ++step) {
        std::vector<std::int32_t> tokens(1 + decide(50));
        std::ranges::generate(tokens, [&] { return static_cast<std::int32_t>(decide(2)); });
        engine_memory engine{tokens.size()};
        std::array const pieces{engine.piece};
        std::array const layers{engine.layer};
        {
            auto lease = cache.acquire(cache.plan(cache.match({.tenant = decide(2)}, tokens)));
            if (decide(4) == 0) (void)cache.reserve(lease, token_count{tokens.size()});
            std::array const tail{cache::captured_state{.position = token_count{tokens.size()},
                                                        .state = {.pieces = pieces}}};
            if (decide(4) != 0)
                (void)cache.commit(lease, tokens, {.kv = {.layers = layers}, .checkpoints = tail});
            if (decide(3) == 0) lease.let_go_kv();
        }
        if (decide(20) == 0) (void)cache.evict(byte_count{1000});
        if (decide(100) == 0) cache.clear();
        seen += cache.store().pages().free().size();
        lingered += lingering(cache.store());
    }
    cache.clear();
    CHECK(cache.store().pages().free().size() == cache.store().pages().touched());
    CHECK(seen > 1000);
    CHECK((lingered + lingering(cache.store()) == 0) == zeroing);
}
