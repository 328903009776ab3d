// The example's C functions over a device's pages, each request on one of three streams.

#include <gpu/emulated/runtime.hpp>

#include <on_device.hpp>
#define MARCONI_C_PAGES c_interface::on_device<emulated::emulated_launcher>
#include <marconi_c.cpp>

#include <support/catch.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <random>
#include <vector>

namespace {

constexpr std::size_t most = 120; ///< tokens of a request

/// A model whose row and state of a token depend on all tokens up to it: one word each.
std::vector<std::uint64_t> words_of(std::vector<std::int32_t> const& tokens) {
    std::vector<std::uint64_t> words;
    std::uint64_t state = 1;
    for (std::int32_t const token : tokens)
        words.push_back(state = (state ^ static_cast<std::uint64_t>(token)) * 0x9E3779B97F4A7C15u);
    return words;
}

/// One request's KV, its state, and a copy of that. What streams do to them comes later.
struct on_a_device {
    std::array<std::uint64_t, most> rows{};
    std::uint64_t state = 0, copy = 0;
    bool right = true;
};

class engine {
public:
    engine() {
        marconi_kv_layer const layer{8, 0};
        marconi_state_piece const piece{8, 0, 0};
        marconi_options const options{.kv_layers = &layer,
                                      .kv_layer_count = 1,
                                      .state_pieces = &piece,
                                      .state_piece_count = 1,
                                      .flops_per_token = 1,
                                      .block_tokens = 32,
                                      .capacity = 40 * 256};
        REQUIRE(marconi_create(&options, &cache_) == MARCONI_OK);
    }
    ~engine() { CHECK(marconi_destroy(cache_) == MARCONI_OK); }
    engine(engine const&) = delete;
    engine& operator=(engine const&) = delete;

    void serve(std::vector<std::int32_t> const& tokens) {
        cudaStream_t const on = streams_[served_.size() % streams_.size()].get();
        on_a_device& memory = served_.emplace_back();
        marconi_kv_layer_view const layer{.key = memory.rows.data()};
        marconi_kv_view const kv{.layers = &layer, .layer_count = 1};
        void* const place = &memory.state;
        void* const copy = &memory.copy;
        marconi_state_view const state{.pieces = &place, .piece_count = 1};

        marconi_scope const nobody{};
        marconi_lease* lease = nullptr;
        REQUIRE(marconi_open(cache_, &nobody, tokens.data(), tokens.size(), nullptr, &lease) ==
                MARCONI_OK);
        REQUIRE(marconi_restore(lease, &kv, &state, 0, on) == MARCONI_OK);
        prefill(memory, tokens, marconi_resume_at(lease), on);
        marconi_captured const end{tokens.size(), {.pieces = &copy, .piece_count = 1}};
        REQUIRE(marconi_commit(lease, tokens.data(), tokens.size(), &kv, 0, &end, 1, on, nullptr) ==
                MARCONI_OK);
        marconi_close(lease);
    }
    [[nodiscard]] bool all_right() const {
        return std::ranges::all_of(served_, &on_a_device::right);
    }
    [[nodiscard]] marconi_stats stats() const {
        marconi_stats found{};
        REQUIRE(marconi_read_stats(cache_, &found) == MARCONI_OK);
        return found;
    }

private:
    /// Looks at what was restored, and computes the rest.
    static void prefill(on_a_device& memory, std::vector<std::int32_t> const& tokens,
                        std::size_t from, cudaStream_t on) {
        emulated::enqueue(on, [&memory, from, words = words_of(tokens)] {
            auto const restored = static_cast<std::ptrdiff_t>(from);
            memory.right =
                std::equal(words.begin(), words.begin() + restored, memory.rows.begin()) &&
                (from == 0 || memory.state == words[from - 1]);
            std::copy(words.begin(), words.end(), memory.rows.begin());
            memory.copy = words.back();
        });
    }

    marconi_cache* cache_ = nullptr;
    std::array<gpu::owned_stream, 3> streams_;
    std::deque<on_a_device> served_;
};

/// Serves conversations that go on at random; whether every request resumed from the right bytes.
bool serves_rightly(std::uint64_t seed) {
    emulated::restart(seed);
    std::mt19937_64 random{seed};
    engine serves;
    std::vector<std::vector<std::int32_t>> said(6);
    for (int i = 0; i < 200; ++i) {
        auto& so_far = said[random() % said.size()];
        if (so_far.size() > most - 20) so_far.clear();
        for (auto more = 1 + random() % 20; more > 0; --more)
            so_far.push_back(static_cast<std::int32_t>(random() % 4));
        serves.serve(so_far);
    }
    emulated::finish_all();
    CHECK(serves.stats().tokens_resumed > 1000);
    CHECK(serves.stats().evictions > 20);
    return serves.all_right();
}

} // namespace

TEST_CASE("C functions keep the streams of requests in order") {
    std::size_t const before = emulated::live_objects();
    for (std::uint64_t seed : {1u, 2u, 3u})
        CHECK(serves_rightly(seed));
    CHECK(emulated::live_objects() == before);
}

TEST_CASE("without waits some request would resume from wrong bytes") {
    emulated::without_waits const forgotten;
    bool right = true;
    for (std::uint64_t seed = 1; seed < 6 && right; ++seed)
        right = serves_rightly(seed);
    CHECK_FALSE(right);
}

TEST_CASE("a copy takes no more multiprocessors than its options say") {
    auto const blocks_launched = [](std::uint64_t most_multiprocessors) {
        emulated::restart(1);
        marconi_kv_layer const layer{4096, 0};
        marconi_options const options{.kv_layers = &layer,
                                      .kv_layer_count = 1,
                                      .capacity = 8 << 20,
                                      .multiprocessors = most_multiprocessors};
        marconi_cache* cache = nullptr;
        REQUIRE(marconi_create(&options, &cache) == MARCONI_OK);
        std::vector<std::int32_t> const tokens(1000, 7);
        std::vector<std::byte> memory(tokens.size() * 4096);
        marconi_kv_layer_view const rows{.key = memory.data()};
        marconi_kv_view const kv{.layers = &rows, .layer_count = 1};
        marconi_scope const nobody{};
        marconi_lease* lease = nullptr;
        REQUIRE(marconi_open(cache, &nobody, tokens.data(), tokens.size(), nullptr, &lease) ==
                MARCONI_OK);
        REQUIRE(marconi_commit(lease, tokens.data(), tokens.size(), &kv, 0, nullptr, 0, nullptr,
                               nullptr) == MARCONI_OK);
        marconi_close(lease);
        REQUIRE(marconi_destroy(cache) == MARCONI_OK);
        return emulated::counts().launched.blocks;
    };
    CHECK(blocks_launched(2) == 2);
    CHECK(blocks_launched(0) > 2);
}

TEST_CASE("an arena that a device cannot take is refused") {
    alignas(256) std::array<std::byte, 1024> memory{};
    marconi_kv_layer const layer{8, 0};
    marconi_options const options{
        .kv_layers = &layer, .kv_layer_count = 1, .memory = memory.data() + 16, .capacity = 512};
    marconi_cache* cache = nullptr;
    CHECK(marconi_create(&options, &cache) == MARCONI_INVALID_ARGUMENT);
    CHECK(std::string{marconi_last_error()}.find("a multiple of 256") != std::string::npos);
}
