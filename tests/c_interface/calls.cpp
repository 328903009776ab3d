// The example's C interface, by C's means: what goes in comes out, and what does not fit is an
// answer.

#include <marconi_c.h>

#include <support/catch.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <limits>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#ifdef MARCONI_HAS_C
extern "C" size_t size_of_options_in_c(void);
extern "C" marconi_request defaults_in_c(void);
#endif

namespace {

marconi_scope const nobody{};
marconi_request const like_most = MARCONI_REQUEST_DEFAULTS;

marconi_request up_to(std::uint64_t limit) {
    marconi_request request = like_most;
    request.limit = limit;
    return request;
}

/// Two layers with 8 bytes of key and of value a token, 16 bytes of state and a window of four
/// tokens, 4 bytes each.
struct by_hand {
    std::array<marconi_kv_layer, 2> layers{{{8, 8}, {8, 8}}};
    std::array<marconi_state_piece, 2> pieces{{{16, 0, 0}, {0, 4, 4}}};
    marconi_options options{.kv_layers = layers.data(),
                            .kv_layer_count = layers.size(),
                            .state_pieces = pieces.data(),
                            .state_piece_count = pieces.size(),
                            .flops_per_token = 1e6,
                            .flops_per_pair = 1e3,
                            .capacity = 64 << 10};
};

struct opened {
    explicit opened(marconi_options const& options = by_hand{}.options) {
        REQUIRE(marconi_create(&options, &cache) == MARCONI_OK);
    }
    opened(opened const&) = delete;
    opened& operator=(opened const&) = delete;
    ~opened() { CHECK(marconi_destroy(cache) == MARCONI_OK); }

    marconi_lease* open(std::vector<std::int32_t> const& tokens, marconi_scope in = {},
                        marconi_request const* request = nullptr) const {
        marconi_lease* lease = nullptr;
        REQUIRE(marconi_open(cache, &in, tokens.data(), tokens.size(), request, &lease) ==
                MARCONI_OK);
        return lease;
    }

    marconi_cache* cache = nullptr;
};

std::vector<std::int32_t> counting(std::size_t count) {
    std::vector<std::int32_t> tokens(count);
    std::iota(tokens.begin(), tokens.end(), 1);
    return tokens;
}

/// An engine's own KV and state of up to 100 tokens, filled from a seed, or with zeros.
struct engine_memory {
    explicit engine_memory(unsigned char seed = 0) {
        unsigned char next = seed;
        for (auto* part : {&kv, &state})
            for (auto& byte : *part)
                byte = seed ? next = static_cast<unsigned char>(next * 5 + 1) : 0;
    }
    std::vector<unsigned char> kv = std::vector<unsigned char>(100 * 32);
    std::vector<unsigned char> state = std::vector<unsigned char>(16 + 4 * 4);
    std::array<marconi_kv_layer_view, 2> layers{
        {{.key = kv.data(), .key_stride = 16, .value = kv.data() + 8, .value_stride = 16},
         {.key = kv.data() + 1600,
          .key_stride = 16,
          .value = kv.data() + 1608,
          .value_stride = 16}}};
    marconi_kv_view view{.layers = layers.data(), .layer_count = layers.size()};
    std::array<void*, 2> pieces{state.data(), state.data() + 16};

    [[nodiscard]] marconi_state_view states() const {
        return {.pieces = pieces.data(), .piece_count = pieces.size()};
    }
};

/// In place without an engine's own KV.
int commit(marconi_lease* lease, std::vector<std::int32_t> const& tokens, engine_memory const* from,
           std::vector<marconi_captured> const& captured = {}, marconi_outcome* outcome = nullptr,
           std::uint64_t kv_from = 0) {
    return marconi_commit(lease, tokens.data(), tokens.size(), from ? &from->view : nullptr,
                          kv_from, captured.data(), captured.size(), nullptr, outcome);
}
int restore(marconi_lease const* lease, engine_memory& to, std::uint64_t from = 0) {
    marconi_state_view const states = to.states();
    return marconi_restore(lease, &to.view, &states, from, nullptr);
}

/// A request of `count` tokens that brings the state at one position.
void store(opened const& with, engine_memory const& brought, std::size_t count, std::uint64_t at) {
    marconi_lease* lease = with.open(counting(count));
    marconi_captured const there{at, brought.states()};
    REQUIRE(commit(lease, counting(count), &brought, {there}) == MARCONI_OK);
    marconi_close(lease);
}

std::string last_error() { return marconi_last_error(); }

} // namespace

TEST_CASE("KV and states come back as they were committed") {
    opened const with;
    engine_memory const brought{7};
    auto const tokens = counting(40);

    marconi_lease* first = with.open(tokens);
    CHECK(marconi_resume_at(first) == 0);
    CHECK(marconi_should_capture(first, 40, /*last=*/1) == 1);
    CHECK(marconi_should_capture(first, 17, 0) == 0);
    marconi_captured const end{40, brought.states()};
    marconi_outcome outcome{};
    REQUIRE(commit(first, tokens, &brought, {end}, &outcome) == MARCONI_OK);
    CHECK(outcome.position == 40);
    CHECK(outcome.stored_tokens == 40);
    CHECK(outcome.stored_checkpoints == 1);
    CHECK(outcome.declined_tokens + outcome.declined_checkpoints == 0);
    CHECK(marconi_position(first) == 40);
    marconi_close(first);

    marconi_lease* next = with.open(counting(50));
    REQUIRE(marconi_resume_at(next) == 40);
    engine_memory found;
    REQUIRE(restore(next, found) == MARCONI_OK);
    for (std::size_t layer : {0u, 1600u})
        CHECK(std::memcmp(found.kv.data() + layer, brought.kv.data() + layer, 40 * 16) == 0);
    CHECK(found.kv[40 * 16] == 0);
    CHECK(found.state == brought.state);
    marconi_close(next);

    marconi_lease* elsewhere = with.open(counting(50), {.tenant = 1});
    CHECK(marconi_resume_at(elsewhere) == 0);
    marconi_close(elsewhere);

    marconi_stats stats{};
    REQUIRE(marconi_read_stats(with.cache, &stats) == MARCONI_OK);
    CHECK(stats.requests == 3);
    CHECK(stats.hits == 1);
    CHECK(stats.abandoned == 2);
    CHECK(stats.tokens_asked == 140);
    CHECK(stats.tokens_resumed == 40);
    CHECK(stats.flops_saved == 40 * 1e6 + 1600 * 1e3);
    CHECK(stats.capacity_bytes == 64 << 10);
    CHECK(stats.used_bytes == stats.kv_bytes + stats.checkpoint_bytes);
    CHECK(stats.peak_bytes == stats.used_bytes);
    CHECK(stats.metadata_bytes > 40 * sizeof(std::int32_t));
    CHECK(stats.metadata_bytes < 1 << 20);
    CHECK(stats.evicted_bytes == 0);
    CHECK(stats.nodes == 1);
    CHECK(stats.checkpoints == 1);
    CHECK(stats.leases == 0);
    CHECK(marconi_audit(with.cache) == MARCONI_OK);
}

TEST_CASE("a commit reads no row before its kv_from") {
    opened const with;
    engine_memory const brought{7};
    store(with, brought, 40, 40);
    marconi_lease* lease = with.open(counting(50));
    REQUIRE(marconi_position(lease) == 40);
    engine_memory rest{7};
    for (std::size_t const layer : {0u, 1600u})
        std::fill_n(rest.kv.begin() + static_cast<std::ptrdiff_t>(layer), 40 * 16, 0);
    marconi_captured const end{50, rest.states()};
    CHECK(commit(lease, counting(50), &rest, {end}, nullptr, 41) == MARCONI_INVALID_ARGUMENT);
    CHECK(last_error() == "kv_from is 41; expected at most the lease's position, 40");
    REQUIRE(commit(lease, counting(50), &rest, {end}, nullptr, 40) == MARCONI_OK);
    marconi_close(lease);

    marconi_lease* next = with.open(counting(60));
    REQUIRE(marconi_resume_at(next) == 50);
    engine_memory found;
    REQUIRE(restore(next, found) == MARCONI_OK);
    for (std::size_t const layer : {0u, 1600u})
        CHECK(std::memcmp(found.kv.data() + layer, brought.kv.data() + layer, 50 * 16) == 0);
    marconi_close(next);
}

TEST_CASE("a layer's KV comes alone, and the state in a call of its own") {
    opened const with;
    engine_memory const brought{7};
    store(with, brought, 40, 40);
    marconi_lease* lease = with.open(counting(50));
    engine_memory found;
    auto const has = [&](std::size_t layer) {
        return std::memcmp(found.kv.data() + layer * 1600, brought.kv.data() + layer * 1600,
                           40 * 16) == 0;
    };
    marconi_state_view const state = found.states();
    REQUIRE(marconi_restore(lease, nullptr, &state, 0, nullptr) == MARCONI_OK);
    CHECK(found.state == brought.state);
    found.view.first_layer = 1;
    CHECK(marconi_restore(lease, &found.view, nullptr, 0, nullptr) == MARCONI_INVALID_ARGUMENT);
    CHECK(last_error() == "first_layer is 1; expected 0, since only_layers is 0");
    found.view.only_layers = 2;
    CHECK(marconi_restore(lease, &found.view, nullptr, 0, nullptr) == MARCONI_INVALID_ARGUMENT);
    CHECK(last_error() == "only in the kv_view is 2 layers from 1 on; expected some of 2");
    found.view.only_layers = 1;
    REQUIRE(marconi_restore(lease, &found.view, nullptr, 0, nullptr) == MARCONI_OK);
    CHECK_FALSE(has(0));
    CHECK(has(1));
    found.view.first_layer = 0;
    REQUIRE(marconi_restore(lease, &found.view, nullptr, 0, nullptr) == MARCONI_OK);
    CHECK(has(0));
    CHECK(commit(lease, counting(50), &found) == MARCONI_INVALID_ARGUMENT);
    marconi_close(lease);
}

TEST_CASE("KV is where an engine with blocks, or with heads apart, has it") {
    opened const with;
    engine_memory const brought{7};
    store(with, brought, 40, 40);

    // Blocks of 8 tokens, [keys, values], two heads of 4 bytes that are head-major in each.
    std::array<unsigned char, 2 * 8 * 128> tensors{};
    std::array<marconi_kv_layer_view, 2> layers{};
    for (std::size_t i = 0; i < layers.size(); ++i)
        layers[i] = {.key = tensors.data() + i * 1024,
                     .key_stride = 4,
                     .value = tensors.data() + i * 1024 + 64,
                     .value_stride = 4,
                     .heads = 2,
                     .key_head_stride = 32,
                     .value_head_stride = 32,
                     .key_block_stride = 128,
                     .value_block_stride = 128};
    std::array<std::int32_t, 5> const blocks{7, 0, 3, 6, 1};
    marconi_kv_view view{.layers = layers.data(),
                         .layer_count = layers.size(),
                         .blocks = blocks.data(),
                         .block_count = blocks.size(),
                         .block_tokens = 8};
    marconi_lease* next = with.open(counting(50));
    engine_memory found;
    marconi_state_view const states = found.states();
    REQUIRE(marconi_restore(next, &view, &states, 3, nullptr) == MARCONI_OK);
    std::size_t wrong = 0;
    for (std::size_t layer = 0; layer < 2; ++layer)
        for (std::size_t t = 0; t < 40; ++t)
            for (std::size_t byte = 0; byte < 16; ++byte) { // a key and a value of two heads each
                auto const at = layer * 1024 + static_cast<std::size_t>(blocks[t / 8]) * 128 +
                                byte / 4 * 32 + t % 8 * 4 + byte % 4;
                unsigned char const expected = t < 3 ? 0 : brought.kv[layer * 1600 + t * 16 + byte];
                wrong += tensors[at] != expected;
            }
    CHECK(wrong == 0);

    auto const refused = [&] {
        CHECK(marconi_restore(next, &view, &states, 0, nullptr) == MARCONI_INVALID_ARGUMENT);
        return last_error();
    };
    view.block_count = 4;
    CHECK(refused().find("number of blocks in the kv_view is 4") == 0);
    view.blocks = nullptr;
    CHECK(refused() == "blocks of the kv view is null");
    view.blocks = blocks.data();
    view.block_count = 5;
    view.block_tokens = (std::uint64_t{1} << 32) + 8;
    CHECK(refused().find("block_tokens of the kv view is 4294967304") == 0);
    view.block_tokens = 8;
    view.layer_count = 1;
    CHECK(refused() == "layer_count is 1; expected 2");
    view.layer_count = 2;
    layers[1].heads = 3;
    CHECK(refused().find("do not part into 3") != std::string::npos);
    marconi_close(next);
}

TEST_CASE("a scheduler looks before it admits, and leaves no trace") {
    opened const with;
    store(with, engine_memory{7}, 40, 30);

    auto const tokens = counting(40);
    marconi_match_result found{};
    auto const looked = [&](marconi_scope in, marconi_request const& request) {
        return marconi_match(with.cache, &in, tokens.data(), 40, &request, &found);
    };
    REQUIRE(looked({}, like_most) == MARCONI_OK);
    CHECK(found.matched == 40);
    CHECK(found.resumable == 30);
    CHECK(found.lost_past_limit == 1);
    CHECK(found.lost_without_checkpoint == 9);
    REQUIRE(looked({}, up_to(20)) == MARCONI_OK);
    CHECK(found.resumable == 0);
    CHECK(found.lost_past_limit == 20);
    REQUIRE(looked({.adapter = 1}, like_most) == MARCONI_OK);
    CHECK(found.matched == 0);
    CHECK(looked({}, up_to(41)) == MARCONI_INVALID_ARGUMENT);
    marconi_request forks = like_most; // from where the engine has the state itself
    forks.state_at = 35;
    REQUIRE(looked({}, forks) == MARCONI_OK);
    CHECK(found.resumable == 35);
    CHECK(found.lost_without_checkpoint == 4);
    forks.state_at = 41;
    CHECK(looked({}, forks) == MARCONI_INVALID_ARGUMENT);

    marconi_stats stats{};
    REQUIRE(marconi_read_stats(with.cache, &stats) == MARCONI_OK);
    CHECK(stats.requests == 1);
    CHECK(stats.leases == 0);
}

TEST_CASE("what a request is told to be, it is") {
    opened const with;
    engine_memory const brought{7};
    store(with, brought, 40, 30);
    store(with, brought, 40, 40);
    auto const resumes_at = [&](marconi_request const* request) {
        marconi_lease* lease = with.open(counting(40), {}, request);
        std::uint64_t const at = marconi_resume_at(lease);
        marconi_close(lease);
        return at;
    };
    CHECK(resumes_at(nullptr) == 30);
    CHECK(resumes_at(&like_most) == 30);
    marconi_request request = up_to(40);
    CHECK(resumes_at(&request) == 40);
    request.limit = 0;
    CHECK(resumes_at(&request) == 0);
    request = like_most;
    request.state_at = 36;
    CHECK(resumes_at(&request) == 36);
    request.state_at = 20; // a checkpoint lies deeper
    CHECK(resumes_at(&request) == 30);
}

TEST_CASE("what nobody asked for is neither counted nor learned from") {
    opened const with;
    engine_memory const brought{7};
    marconi_request loads = up_to(0);
    loads.uncounted = 1;
    marconi_lease* lease = with.open(counting(40), {}, &loads);
    marconi_captured const end{40, brought.states()};
    REQUIRE(commit(lease, counting(40), &brought, {end}) == MARCONI_OK);
    marconi_close(lease);
    marconi_close(with.open(counting(41), {}, &loads));
    marconi_stats stats{};
    marconi_learning learned{};
    auto const read = [&] {
        REQUIRE(marconi_read_stats(with.cache, &stats) == MARCONI_OK);
        REQUIRE(marconi_read_learning(with.cache, &learned) == MARCONI_OK);
    };
    read();
    CHECK(stats.requests + stats.abandoned + stats.tokens_asked == 0);
    CHECK(stats.commits == 1);
    CHECK(stats.checkpoints == 1);
    CHECK(learned.requests == 0);
    store(with, brought, 50, 50);
    read();
    CHECK(stats.requests == 1);
    CHECK(stats.tokens_resumed == 40);
    CHECK(learned.requests == 1);
}

TEST_CASE("windows are read and written where the engine keeps their rows") {
    opened const with;
    engine_memory const brought{7};
    marconi_state_view from = brought.states();
    // The last four of 40 rows of 4 bytes, in blocks of three tokens: 36 to 38 in one, 39 in
    // another.
    std::array<unsigned char, 5 * 12> paged{};
    std::array<void*, 2> paged_pieces{brought.pieces[0], paged.data()};
    std::array<marconi_window_view, 2> dense{{{}, {.row_stride = 4, .block_stride = 12}}};
    std::array<std::int32_t, 14> table{};
    table[12] = 4;
    table[13] = 1;
    std::copy_n(brought.state.begin() + 16, 12, paged.begin() + 4 * 12);
    std::copy_n(brought.state.begin() + 28, 4, paged.begin() + 12);
    from.pieces = paged_pieces.data();
    from.windows = dense.data();
    from.blocks = table.data();
    from.block_count = table.size();
    from.block_tokens = 3;
    from.pool_blocks = 5;
    marconi_lease* lease = with.open(counting(40));
    REQUIRE(commit(lease, counting(40), &brought, {{40, from}}) == MARCONI_OK);
    marconi_close(lease);

    lease = with.open(counting(50));
    engine_memory found;
    REQUIRE(restore(lease, found) == MARCONI_OK);
    CHECK(found.state == brought.state);

    // A ring of five rows, eight bytes apart: token t is in row t % 5.
    std::array<unsigned char, 40> ring{};
    std::array<void*, 2> ring_pieces{found.pieces[0], ring.data()};
    std::array<marconi_window_view, 2> const apart{{{}, {.row_stride = 8}}};
    std::array<std::int32_t, 8> const round{};
    marconi_state_view to{.pieces = ring_pieces.data(),
                          .piece_count = 2,
                          .windows = apart.data(),
                          .blocks = round.data(),
                          .block_count = round.size(),
                          .block_tokens = 5};
    REQUIRE(marconi_restore(lease, nullptr, &to, 0, nullptr) == MARCONI_OK);
    for (std::size_t t = 36; t < 40; ++t)
        for (std::size_t byte = 0; byte < 4; ++byte)
            CHECK(ring[t % 5 * 8 + byte] == brought.state[16 + (t - 36) * 4 + byte]);

    auto const refused = [&] {
        CHECK(marconi_restore(lease, nullptr, &to, 0, nullptr) == MARCONI_INVALID_ARGUMENT);
        return last_error();
    };
    to.block_count = 7;
    CHECK(refused().find("number of blocks in the state_view is 7") == 0);
    to.blocks = nullptr;
    CHECK(refused() == "blocks of the state view is null");
    to.blocks = round.data();
    to.block_count = 8;
    to.block_tokens = (std::uint64_t{1} << 32) + 5;
    CHECK(refused().find("block_tokens of the state view is 4294967301") == 0);
    to.block_tokens = 5;
    to.piece_count = 1;
    CHECK(refused() == "piece_count is 1; expected 2");
    marconi_close(lease);
}

TEST_CASE("where prompts part, the prefill is asked for the state") {
    opened const with;
    engine_memory const brought{7};
    auto tokens = counting(40);
    marconi_lease* first = with.open(tokens);
    REQUIRE(commit(first, tokens, &brought) == MARCONI_OK);
    marconi_close(first);

    tokens[32] = 99;
    marconi_lease* second = with.open(tokens);
    std::uint64_t position = 0;
    CHECK(marconi_capture_at(second, nullptr, 5) == 1);
    CHECK(marconi_capture_at(second, &position, 1) == 1);
    CHECK(position == 32);
    CHECK(marconi_should_capture(second, 32, 0) == 1);
    marconi_close(second);
}

TEST_CASE("KV in place is in the engine's own memory") {
    std::vector<unsigned char> pool(16 << 10);
    by_hand model;
    model.options.zero_freed_pages = 1;
    model.options.memory = pool.data();
    model.options.capacity = pool.size();
    model.options.block_tokens = 4;
    opened const with{model.options};
    marconi_pages pages{};
    REQUIRE(marconi_describe_pages(with.cache, &pages) == MARCONI_OK);
    CHECK(pages.memory == pool.data());
    CHECK(pages.page_bytes == 256);
    CHECK(pages.count == 64);
    CHECK(pages.block_tokens == 4);
    CHECK(pages.checkpoint_pages == 1);
    CHECK(pages.kv_layer_count == 2);
    CHECK(pages.state_piece_count == 2);
    marconi_layer_place place{};
    REQUIRE(marconi_describe_layer(with.cache, 1, &place) == MARCONI_OK);
    CHECK(place.key_offset == 64);
    CHECK(place.value_offset == 96);
    CHECK(place.bytes.key_bytes == 8);
    marconi_state_piece piece{};
    REQUIRE(marconi_describe_state(with.cache, 1, &piece) == MARCONI_OK);
    CHECK(piece.window == 4);
    CHECK(piece.bytes_per_window_token == 4);

    auto const tokens = counting(10);
    marconi_lease* lease = with.open(tokens);
    std::uint64_t covered = 0;
    REQUIRE(marconi_reserve(lease, 20, 0, nullptr, &covered) == MARCONI_OK);
    CHECK(covered == 20);
    REQUIRE(marconi_reserve(lease, 32, 1u << 31, nullptr, &covered) == MARCONI_OK);
    CHECK(covered < 32);
    REQUIRE(marconi_reserve(lease, 100'000, 0, nullptr, &covered) == MARCONI_OK);
    CHECK(covered < 100'000);
    marconi_stats stats{};
    REQUIRE(marconi_read_stats(with.cache, &stats) == MARCONI_OK);
    CHECK(stats.short_reserves == 2);
    REQUIRE(marconi_unreserve(lease, 10) == MARCONI_OK);
    std::array<std::uint32_t, 8> table{};
    std::size_t count = 0;
    REQUIRE(marconi_block_table(lease, 0, table.data(), table.size(), &count) == MARCONI_OK);
    REQUIRE(count == 3);
    std::size_t const row = table[2] * pages.page_bytes + place.key_offset + 1 * 8; // token 9
    std::memset(pool.data() + row, 0xAB, 8);
    engine_memory const brought{7};
    marconi_captured const end{10, brought.states()};
    REQUIRE(commit(lease, tokens, nullptr, {end}) == MARCONI_OK);
    marconi_let_go_checkpoint(lease);
    marconi_let_go_kv(lease);
    std::uint64_t bytes = 0;
    REQUIRE(marconi_deduplicate(lease, &bytes) == MARCONI_OK);
    CHECK(bytes == 0);
    marconi_close(lease);

    marconi_lease* next = with.open(counting(11));
    REQUIRE(marconi_resume_at(next) == 10);
    engine_memory found;
    REQUIRE(restore(next, found) == MARCONI_OK);
    CHECK(found.kv[1600 + 9 * 16] == 0xAB);
    marconi_close(next);

    REQUIRE(marconi_obtainable(with.cache, pool.size(), &bytes) == MARCONI_OK);
    CHECK(bytes == pool.size());
    auto const longer = counting(11);
    REQUIRE(marconi_obtainable_for(with.cache, pool.size(), &nobody, longer.data(), longer.size(),
                                   nullptr, &bytes) == MARCONI_OK);
    CHECK(bytes == pool.size() - 3 * 256); // beside the blocks that it would resume from
    marconi_request const from_nothing = up_to(0);
    REQUIRE(marconi_obtainable_for(with.cache, pool.size(), &nobody, longer.data(), longer.size(),
                                   &from_nothing, &bytes) == MARCONI_OK);
    CHECK(bytes == pool.size());
    REQUIRE(marconi_evict(with.cache, nullptr, pool.size(), &bytes) == MARCONI_OK);
    CHECK(bytes == 4 * 256); // three blocks, a checkpoint
    REQUIRE(marconi_read_stats(with.cache, &stats) == MARCONI_OK);
    CHECK(stats.evicted_bytes == bytes);
    CHECK(stats.used_bytes == 0);
    CHECK(stats.peak_bytes > bytes);
    CHECK(std::count(pool.begin(), pool.end(), 0) == std::ssize(pool));
}

TEST_CASE(
    "what was in pages stays there unless it is to be wiped, and takes more pages if larger") {
    std::vector<unsigned char> pool(16 << 10);
    by_hand model;
    model.pieces[0].fixed_bytes = 600;
    model.options.memory = pool.data();
    model.options.capacity = pool.size();
    model.options.block_tokens = 4;
    opened const with{model.options};
    marconi_pages pages{};
    REQUIRE(marconi_describe_pages(with.cache, &pages) == MARCONI_OK);
    CHECK(pages.checkpoint_pages == 3); // 608 + 16 bytes in pages of 256
    auto const tokens = counting(8);
    marconi_lease* lease = with.open(tokens);
    engine_memory const brought{7};
    REQUIRE(commit(lease, tokens, &brought) == MARCONI_OK);
    marconi_close(lease);
    REQUIRE(marconi_clear(with.cache, nullptr) == MARCONI_OK);
    CHECK(std::count(pool.begin(), pool.end(), 0) < std::ssize(pool));
}

TEST_CASE("a scope, or all, is forgotten") {
    opened const with;
    engine_memory const brought{7};
    auto const tokens = counting(20);
    for (std::uint64_t tenant : {1u, 2u, 3u}) {
        marconi_lease* lease = with.open(tokens, {.tenant = tenant});
        REQUIRE(commit(lease, tokens, &brought) == MARCONI_OK);
        marconi_close(lease);
    }
    auto const nodes = [&] {
        marconi_stats stats{};
        REQUIRE(marconi_read_stats(with.cache, &stats) == MARCONI_OK);
        return stats.nodes;
    };
    marconi_scope const second{.tenant = 2};
    CHECK(nodes() == 3);
    std::array<marconi_scope, 3> scopes{};
    std::size_t count = 0;
    REQUIRE(marconi_scopes(with.cache, nullptr, 0, &count) == MARCONI_OK);
    CHECK(count == 3);
    REQUIRE(marconi_scopes(with.cache, scopes.data(), 2, &count) == MARCONI_OK);
    CHECK(count == 3);
    CHECK(scopes[0].tenant == 1);
    CHECK(scopes[1].tenant == 2);
    CHECK(scopes[2].tenant == 0);
    CHECK(marconi_scopes(with.cache, nullptr, 1, &count) == MARCONI_INVALID_ARGUMENT);
    CHECK(marconi_scopes(with.cache, nullptr, 0, nullptr) == MARCONI_INVALID_ARGUMENT);
    marconi_holdings held{};
    REQUIRE(marconi_holds(with.cache, &second, &held) == MARCONI_OK);
    CHECK(held.tokens == 20);
    CHECK(held.kv_bytes == 2 * 512);
    CHECK(held.nodes == 1);
    CHECK(held.checkpoints + held.checkpoint_bytes == 0);
    CHECK(marconi_clear(with.cache, &second) == MARCONI_OK);
    CHECK(nodes() == 2);
    REQUIRE(marconi_holds(with.cache, &second, &held) == MARCONI_OK);
    CHECK(held.tokens == 0);
    CHECK(marconi_clear(with.cache, nullptr) == MARCONI_OK);
    CHECK(nodes() == 0);
}

TEST_CASE("of a scope, or of all, what nobody has used for long goes") {
    opened const with;
    engine_memory const brought{7};
    auto const put = [&](std::size_t count, std::uint64_t tenant) {
        marconi_lease* lease = with.open(counting(count), {.tenant = tenant});
        REQUIRE(commit(lease, counting(count), &brought) == MARCONI_OK);
        marconi_close(lease);
    };
    auto const tokens_of = [&](std::uint64_t tenant) {
        marconi_scope const in{.tenant = tenant};
        marconi_holdings held{};
        REQUIRE(marconi_holds(with.cache, &in, &held) == MARCONI_OK);
        return held.tokens;
    };
    put(20, 1);
    put(30, 2);
    marconi_stats stats{};
    REQUIRE(marconi_read_stats(with.cache, &stats) == MARCONI_OK);
    CHECK(stats.now == 4);
    put(40, 3);
    put(30, 4);

    std::uint64_t freed = 0;
    REQUIRE(marconi_forget_unused(with.cache, stats.now, &freed) == MARCONI_OK);
    CHECK(freed == (2 + 2) * 512);
    CHECK(tokens_of(1) + tokens_of(2) == 0);
    CHECK(tokens_of(3) + tokens_of(4) == 70);
    marconi_scope const last{.tenant = 4};
    REQUIRE(marconi_evict(with.cache, &last, 1, &freed) == MARCONI_OK);
    CHECK(freed == 2 * 512);
    CHECK(tokens_of(3) == 40);
    CHECK(tokens_of(4) == 0);
}

TEST_CASE("a preset is a model by its name, on one rank of several") {
    auto const page_bytes_on = [](std::uint64_t ranks) {
        marconi_options const options{
            .preset = "nemotron-h-8b", .tensor_parallel = ranks, .capacity = 8 << 20};
        opened const with{options};
        marconi_pages pages{};
        REQUIRE(marconi_describe_pages(with.cache, &pages) == MARCONI_OK);
        return pages.page_bytes;
    };
    CHECK(page_bytes_on(0) == page_bytes_on(1));
    CHECK(page_bytes_on(2) == page_bytes_on(1) / 2);
}

TEST_CASE("what turned out wrong is forgotten") {
    opened const with;
    engine_memory const brought{7};
    store(with, brought, 40, 40);
    auto const tokens = counting(40);
    std::uint64_t freed = 1;
    auto const forget = [&](marconi_scope in, std::uint64_t from) {
        return marconi_forget(with.cache, &in, tokens.data(), tokens.size(), from, &freed);
    };
    CHECK(forget({.tenant = 1}, 30) == MARCONI_OK);
    CHECK(freed == 0);
    marconi_lease* lease = with.open(counting(50));
    CHECK(marconi_resume_at(lease) == 40);
    CHECK(forget({}, 30) == MARCONI_OK);
    CHECK(freed == 0);
    marconi_match_result found{};
    REQUIRE(marconi_match(with.cache, &nobody, tokens.data(), 40, nullptr, &found) == MARCONI_OK);
    CHECK(found.matched == 30);
    marconi_close(lease);
    CHECK(marconi_audit(with.cache) == MARCONI_OK);
    REQUIRE(marconi_forget(with.cache, &nobody, tokens.data(), 40, 0, nullptr) == MARCONI_OK);
    marconi_stats stats{};
    REQUIRE(marconi_read_stats(with.cache, &stats) == MARCONI_OK);
    CHECK(stats.used_bytes == 0);
    store(with, brought, 40, 40);
    lease = with.open(counting(50));
    REQUIRE(marconi_forget_scope(with.cache, &nobody, &freed) == MARCONI_OK);
    CHECK(freed == 0); // a lease holds all of it
    REQUIRE(marconi_match(with.cache, &nobody, tokens.data(), 40, nullptr, &found) == MARCONI_OK);
    CHECK(found.matched == 0);
    marconi_close(lease);
    CHECK(marconi_forget_scope(with.cache, nullptr, nullptr) == MARCONI_INVALID_ARGUMENT);
    CHECK(forget({}, 40) == MARCONI_INVALID_ARGUMENT);
    CHECK(std::string{marconi_last_error()} ==
          "from is 40; expected less than the number of tokens, 40");
}

TEST_CASE("what does not fit is answered, in words") {
    marconi_cache* cache = nullptr;
    CHECK(marconi_create(nullptr, &cache) == MARCONI_INVALID_ARGUMENT);
    CHECK(last_error() == "options is null");
    by_hand model;
    CHECK(marconi_create(&model.options, nullptr) == MARCONI_INVALID_ARGUMENT);

    auto const refused = [&](marconi_options const& options) {
        CHECK(marconi_create(&options, &cache) == MARCONI_INVALID_ARGUMENT);
        CHECK(cache == nullptr);
        return last_error();
    };
    auto options = model.options;
    options.block_tokens = 300;
    CHECK(refused(options) == "block_tokens is 300; expected 1 to 256");
    options = model.options;
    options.shadow_multiple = 1001;
    CHECK(refused(options) == "shadow_multiple is 1001; expected 1 to 1000");
    options = model.options;
    options.capacity = 1;
    CHECK(refused(options).find("capacity in bytes is 1") == 0);
    options.preset = "nemotron-h-8b";
    CHECK(refused(options).find("not both") != std::string::npos);
    options = model.options;
    options.tensor_parallel = 2;
    CHECK(refused(options).find("tensor_parallel is 2") == 0);
    CHECK(refused({.preset = "gpt-2", .capacity = 1 << 20}).find("preset is gpt-2") == 0);
    options = model.options;
    options.kv_layers = nullptr;
    CHECK(refused(options) == "kv_layers is null");
    std::array huge{marconi_kv_layer{std::numeric_limits<std::uint64_t>::max(), 1}};
    options.kv_layers = huge.data();
    options.kv_layer_count = 1;
    CHECK_FALSE(refused(options).empty());

    opened const with;
    auto const tokens = counting(40);
    marconi_lease* lease = nullptr;
    auto const not_opened = [&](marconi_cache* of, std::int32_t const* of_tokens,
                                marconi_request const& request) {
        CHECK(marconi_open(of, &nobody, of_tokens, 40, &request, &lease) ==
              MARCONI_INVALID_ARGUMENT);
    };
    not_opened(nullptr, tokens.data(), like_most);
    not_opened(with.cache, nullptr, like_most);
    not_opened(with.cache, tokens.data(), up_to(41));
    marconi_request worthless = up_to(40);
    worthless.weight = -1;
    not_opened(with.cache, tokens.data(), worthless);
    CHECK(lease == nullptr);
    CHECK(marconi_reserve(nullptr, 1, 0, nullptr, nullptr) == MARCONI_INVALID_ARGUMENT);
    marconi_layer_place place{};
    CHECK(marconi_describe_layer(with.cache, 2, &place) == MARCONI_INVALID_ARGUMENT);
    CHECK(last_error() == "layer is 2; expected less than 2");
    marconi_state_piece piece{};
    CHECK(marconi_describe_state(with.cache, 2, &piece) == MARCONI_INVALID_ARGUMENT);

    marconi_close(nullptr);
    CHECK(marconi_destroy(nullptr) == MARCONI_OK);
    CHECK(marconi_resume_at(nullptr) == 0);
    CHECK(marconi_capture_at(nullptr, nullptr, 0) == 0);
    CHECK(marconi_should_capture(nullptr, 1, 1) == 0);
}

TEST_CASE("a call that does not fit those before it is a contract's violation") {
    opened const with;
    engine_memory const brought{7};
    auto const tokens = counting(40);
    marconi_lease* lease = with.open(tokens);
    CHECK(marconi_destroy(with.cache) == MARCONI_CONTRACT_VIOLATION);
    CHECK(last_error() == "marconi_destroy: leases are open");

    marconi_captured const end{40, brought.states()};
    REQUIRE(commit(lease, tokens, &brought, {end}) == MARCONI_OK);
    CHECK(commit(lease, counting(30), &brought) == MARCONI_INVALID_ARGUMENT);
    CHECK_FALSE(last_error().empty());
    marconi_captured const late{41, brought.states()};
    CHECK(commit(lease, tokens, &brought, {late}) != MARCONI_OK);
    for (marconi_captured const nowhere :
         {marconi_captured{40, {}}, {40, {nullptr, 2, nullptr, nullptr, 0, 0, 0}}})
        CHECK(commit(lease, tokens, &brought, {nowhere}) == MARCONI_INVALID_ARGUMENT);
    CHECK(last_error() == "pieces of the state view is null");
    marconi_close(lease);

    lease = with.open(counting(41));
    REQUIRE(marconi_resume_at(lease) == 40);
    marconi_let_go_checkpoint(lease);
    engine_memory found;
    CHECK(restore(lease, found) == MARCONI_CONTRACT_VIOLATION);
    CHECK_FALSE(last_error().empty());
    CHECK(found.state == engine_memory{}.state);
    marconi_close(lease);
    CHECK(marconi_audit(with.cache) == MARCONI_OK);
}

TEST_CASE("checkpoints as far apart as the options say") {
    by_hand model;
    model.options.checkpoint_grid = 4;
    model.options.checkpoint_every = 14;
    opened const with{model.options};
    marconi_lease* lease = with.open(counting(50));
    std::array<std::uint64_t, 4> positions{};
    CHECK(marconi_capture_at(lease, positions.data(), positions.size()) == 3);
    CHECK(positions == std::array<std::uint64_t, 4>{16, 32, 48, 0});
    marconi_close(lease);
}

TEST_CASE("a checkpoint where the answer begins, as the options say") {
    by_hand model;
    model.options.checkpoint_before_answer = 7;
    opened const with{model.options};
    marconi_lease* lease = with.open(counting(50));
    std::uint64_t position = 0;
    CHECK(marconi_capture_at(lease, &position, 1) == 1);
    CHECK(position == 43);
    CHECK(marconi_should_capture(lease, 50, 1) == 1);
    marconi_close(lease);
    marconi_learning learned{};
    REQUIRE(marconi_read_learning(with.cache, &learned) == MARCONI_OK);
    CHECK(learned.before_answer_pays == 1);
    CHECK(learned.spacing_pays == 0);
}

TEST_CASE("what was learned is told") {
    by_hand model;
    model.options.capacity = 8 << 10; // of 512-byte pages
    model.options.shadow_multiple = 4;
    model.options.checkpoint_every = 16;
    opened const with{model.options};
    engine_memory const brought{7};
    auto const ask = [&](std::int32_t first) {
        std::vector<std::int32_t> tokens(90);
        std::iota(tokens.begin(), tokens.end(), first);
        marconi_lease* lease = with.open(tokens);
        marconi_captured const end{80, brought.states()};
        if (marconi_resume_at(lease) < 80)
            REQUIRE(commit(lease, tokens, &brought, {end}) == MARCONI_OK);
        else
            REQUIRE(commit(lease, tokens, &brought) == MARCONI_OK);
        marconi_close(lease);
    };
    for (std::int32_t round = 0; round < 3; ++round) // three sequences, of which two fit
        for (std::int32_t first : {1000, 2000, 3000})
            ask(first);

    marconi_learning learned{};
    REQUIRE(marconi_read_learning(with.cache, &learned) == MARCONI_OK);
    double const asked = 90 * 1e6 + 8100 * 1e3, resumed = 80 * 1e6 + 6400 * 1e3;
    CHECK(learned.requests == 9);
    CHECK(learned.flops_asked == 9 * asked);
    CHECK(learned.shadow_saved == 6 * resumed);
    CHECK(learned.odds_saved < 6 * resumed);
    marconi_stats stats{};
    REQUIRE(marconi_read_stats(with.cache, &stats) == MARCONI_OK);
    CHECK(stats.flops_saved == (learned.rules_by_odds ? learned.odds_saved : learned.gdsf_saved));
    CHECK(learned.changes == 0);
    CHECK(learned.spacing_pays == 1);
    CHECK(learned.before_answer_pays == 0);
    CHECK(learned.memory_bytes > 0);
    CHECK(learned.ended == 0);
    CHECK(marconi_read_learning(with.cache, nullptr) == MARCONI_INVALID_ARGUMENT);
}

TEST_CASE("a shadow without memory sees nothing, and the rest goes on") {
    by_hand model;
    model.options.shadow_bytes = 1;
    opened const with{model.options};
    engine_memory const brought{7};
    store(with, brought, 40, 40);
    store(with, brought, 50, 50);
    marconi_learning learned{};
    REQUIRE(marconi_read_learning(with.cache, &learned) == MARCONI_OK);
    CHECK(learned.requests == 2);
    CHECK(learned.shadow_saved == 0);
    CHECK(learned.odds_saved == 40 * 1e6 + 1600 * 1e3);
    CHECK(learned.spacing_pays == 0);
    CHECK(learned.ended == 0);
}

TEST_CASE("events wait until they are taken") {
    by_hand model;
    model.options.event_bytes = 1 << 10;
    opened const with{model.options};
    engine_memory const brought{7};
    auto const take = [&] {
        marconi_events* taken = nullptr;
        REQUIRE(marconi_take_events(with.cache, &taken) == MARCONI_OK);
        return std::unique_ptr<marconi_events, decltype(&marconi_free_events)>{taken,
                                                                               marconi_free_events};
    };
    auto const kinds = [](marconi_events const& events) {
        std::vector<std::uint64_t> all;
        for (std::size_t i = 0; i < events.count; ++i)
            all.push_back(events.list[i].kind);
        return all;
    };
    CHECK(take()->count == 0);
    store(with, brought, 40, 40);
    auto const published = take();
    REQUIRE(kinds(*published) ==
            std::vector<std::uint64_t>{MARCONI_KV_PUBLISHED, MARCONI_CHECKPOINT_PUBLISHED});
    marconi_event const& first = published->list[0];
    CHECK(first.position == 40);
    CHECK(std::vector<std::int32_t>(first.tokens, first.tokens + first.token_count) ==
          counting(40));
    CHECK(published->list[1].tokens == nullptr);
    CHECK(published->list[1].in_answer == 0);
    CHECK(published->next == 2);

    SECTION("a fork, and its end") {
        auto tokens = counting(20);
        tokens.push_back(-1);
        marconi_request more = like_most;
        more.answer_from = 20;
        marconi_lease* lease = with.open(tokens, {}, &more);
        marconi_captured const end{21, brought.states()};
        REQUIRE(commit(lease, tokens, &brought, {end}) == MARCONI_OK);
        marconi_close(lease);
        auto const forked = take();
        CHECK(kinds(*forked) == std::vector<std::uint64_t>{MARCONI_SPLIT, MARCONI_KV_PUBLISHED,
                                                           MARCONI_CHECKPOINT_PUBLISHED});
        marconi_event const& split = forked->list[0];
        marconi_event const& leaf = forked->list[1];
        CHECK(split.node == first.node);
        CHECK(split.position == 20);
        CHECK(leaf.parent == split.parent);
        CHECK(leaf.token_count == 1);
        CHECK(forked->list[2].in_answer == 1);

        REQUIRE(marconi_evict(with.cache, nullptr, 1, nullptr) == MARCONI_OK);
        auto const evicted = take();
        auto const gone = kinds(*evicted);
        CHECK(evicted->list[0].why == MARCONI_ON_DEMAND);
        CHECK(evicted->list[1].why == MARCONI_ON_DEMAND);
        REQUIRE(marconi_clear(with.cache, nullptr) == MARCONI_OK);
        auto const cleared = take();
        REQUIRE(cleared->count == 2);
        CHECK(cleared->list[1].why == MARCONI_NOT_WANTED);
        CHECK(gone == std::vector<std::uint64_t>{MARCONI_CHECKPOINT_REMOVED, MARCONI_REMOVED,
                                                 MARCONI_MERGED});
        CHECK(marconi_audit(with.cache) == MARCONI_OK);
    }
    SECTION("what finds no room is lost, and its number shows it") {
        marconi_scope in{};
        for (in.tenant = 1; in.tenant < 6; ++in.tenant) {
            marconi_lease* lease = with.open(counting(100), in);
            REQUIRE(commit(lease, counting(100), &brought) == MARCONI_OK);
            marconi_close(lease);
        }
        auto const some = take();
        CHECK(some->count == 2); // each has 400 bytes of tokens
        CHECK(some->next == 7);

        marconi_events* all = nullptr;
        REQUIRE(marconi_snapshot(with.cache, &all) == MARCONI_OK);
        CHECK(all->count == 7);
        CHECK(all->next == 7);
        std::size_t tokens = 0;
        for (std::size_t i = 0; i < all->count; ++i)
            tokens += all->list[i].token_count;
        CHECK(tokens == 540);
        marconi_free_events(all);
    }
}

TEST_CASE("a cache that keeps no events says so, and tells of what is here nonetheless") {
    opened const with;
    store(with, engine_memory{7}, 40, 40);
    marconi_events* taken = nullptr;
    CHECK(marconi_take_events(with.cache, &taken) == MARCONI_CONTRACT_VIOLATION);
    CHECK(last_error() == "marconi_take_events: event_bytes is 0");
    CHECK(marconi_take_events(nullptr, &taken) == MARCONI_INVALID_ARGUMENT);
    CHECK(marconi_snapshot(with.cache, nullptr) == MARCONI_INVALID_ARGUMENT);
    CHECK(taken == nullptr);
    REQUIRE(marconi_snapshot(with.cache, &taken) == MARCONI_OK);
    CHECK(taken->count == 2);
    marconi_free_events(taken);
    marconi_free_events(nullptr);
}

TEST_CASE("the library tells the version of the header that it was made with") {
    CHECK(marconi_interface_version() == MARCONI_C_VERSION);
}

#ifdef MARCONI_HAS_C
TEST_CASE("C sees the records as C++ does") {
    CHECK(size_of_options_in_c() == sizeof(marconi_options));
    marconi_request const request = defaults_in_c();
    CHECK(request.limit == MARCONI_ALL_BUT_ONE);
    CHECK(request.weight == 1);
    CHECK(request.answer_from == MARCONI_AFTER_ALL);
    CHECK(request.state_at + request.uncounted == 0);
}
#endif
