// The index arithmetic of the copy kernels: what all lanes of all warps do is what a plain loop
// over bytes does.

#include <contracts/engine_kv.hpp>
#include <contracts/store.hpp>

#include <marconi/gpu/job_tables.hpp>
#include <marconi/gpu/tiles.hpp>
#include <marconi/memory/divider.hpp>
#include <marconi/memory/host_copy.hpp>
#include <marconi/memory/host_store.hpp>

#include <support/catch.hpp>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>
#include <numeric>
#include <random>
#include <utility>
#include <vector>

using namespace marconi;
using contracts::byte_vector;
using contracts::random_bytes;
using gpu::direction;

namespace {

using access = contracts::store_access<memory::host_store>;
using engine_kv = contracts::engine_kv<access>;
using engine_state = contracts::engine_state<access>;

/// Memory at a multiple of 256, as arenas have it.
class arena {
public:
    arena(std::size_t size, std::uint32_t seed) : memory_{{}, size} {
        byte_vector const contents = random_bytes(size, seed);
        std::memcpy(memory_.data(), contents.data(), size);
    }
    arena(arena const& other) : memory_{{}, other.memory_.bytes()} {
        std::memcpy(data(), other.data(), memory_.bytes());
    }
    [[nodiscard]] std::byte* data() const { return memory_.data(); }
    [[nodiscard]] bool operator==(arena const& other) const {
        return std::memcmp(data(), other.data(), memory_.bytes()) == 0;
    }

private:
    memory::arena_memory<memory::host_resource> memory_;
};

/// Runs a transfer as warps do. The tables are read where they were not written.
void copy_by_tiles(direction way, std::byte* arena, memory::page_layout const& layout,
                   memory::transfer const& t) {
    gpu::job_tables const tables{t, layout};
    std::vector<gpu::sixteen_bytes> host(tables.bytes() / 16 + 1), device(host.size());
    auto* const written = reinterpret_cast<std::byte*>(host.data());
    auto* const seen = reinterpret_cast<std::byte*>(device.data());
    gpu::copy_job job = tables.write(written, arena);
    job.read_from(seen);
    std::memcpy(seen, written, tables.bytes());
    for (std::uint32_t tile = 0; tile < job.tiles; ++tile)
        for (std::uint32_t lane = 0; lane < gpu::lanes; ++lane)
            way == direction::to_pages ? gpu::copy_tile<direction::to_pages>(job, tile, lane)
                                       : gpu::copy_tile<direction::to_engine>(job, tile, lane);
}

/// The byte-by-byte loop: no run, no alignment, no tile.
void copy_by_bytes(direction way, std::byte* arena, memory::page_layout const& layout,
                   memory::transfer const& t, engine_kv const& kv, engine_state const& state) {
    std::uint64_t const page_bytes = layout.page_bytes().value();
    auto const copy = [&](std::byte* in_page, std::byte* in_engine) {
        way == direction::to_pages ? * in_page = *in_engine : * in_engine = *in_page;
    };
    std::uint64_t const block = layout.block_tokens();
    for (std::uint64_t token = t.kv.begin.value(); token < t.kv.end.value(); ++token) {
        page_id const id = t.kv.pages[token / block - t.kv.begin.value() / block];
        std::byte* const page = arena + id.value() * page_bytes;
        auto const rows = [&](engine_kv::part const& part, std::uint64_t in_page, std::byte* base) {
            kv.each_head(part, token, [&](std::size_t in_row, auto at, std::size_t n) {
                for (std::size_t b = 0; b < n; ++b)
                    copy(page + in_page + in_row + b,
                         base + at - part.base + static_cast<std::ptrdiff_t>(b));
            });
        };
        for (std::size_t l = 0; l < kv.keys.size(); ++l) {
            rows(kv.keys[l], layout.key_offset(l, token % block), t.kv.engine.layers[l].key);
            rows(kv.values[l], layout.value_offset(l, token % block), t.kv.engine.layers[l].value);
        }
    }
    for (memory::checkpoint_transfer const& c : t.checkpoints) {
        std::uint64_t at = 0;
        for (std::size_t p = 0; p < c.engine.pieces.size(); ++p) {
            at = round_up(at, memory::page_layout::piece_alignment);
            std::uint64_t const size = layout.model().state_pieces[p].bytes_at(c.position.value());
            for (std::uint64_t b = 0; b < size; ++b, ++at)
                copy(arena + c.pages[at / page_bytes].value() * page_bytes + at % page_bytes,
                     state.memory_of(p) + state.place(p, b));
        }
    }
}

std::vector<page_id> shuffled_pages(std::uint64_t count, std::uint32_t seed) {
    std::vector<page_id> pages;
    for (std::uint32_t i = 0; i < count; ++i)
        pages.push_back(page_id{i});
    std::shuffle(pages.begin(), pages.end(), std::mt19937{seed});
    return pages;
}

struct shape {
    footprint model;
    std::uint64_t block;
    std::uint64_t begin, end;
    std::uint64_t position; // of a checkpoint
    contracts::engine_shape engine;
    contracts::window_order windows = contracts::window_order::one_run;
};

/// By tiles, by runs on the host and by bytes, both ways: the same everywhere.
void check_copies(shape const& s, std::uint32_t seed) {
    memory::page_layout const layout{
        s.model, {.block_tokens = token_count{s.block}, .page_bytes = byte_count{512}}};
    token_count const position{s.position};
    std::uint64_t const kv_pages = layout.blocks_touched(s.begin, s.end);
    std::uint64_t const state_pages = layout.checkpoint_pages(position);
    auto const pages = shuffled_pages(kv_pages + state_pages + 2, seed);
    arena const untouched{pages.size() * layout.page_bytes().value(), seed};
    for (direction const way : {direction::to_pages, direction::to_engine}) {
        std::vector<byte_vector> engines;
        std::vector<std::vector<byte_vector>> states;
        std::vector<arena> arenas;
        for (int how = 0; how < 3; ++how) {
            engine_kv const kv{s.model, s.end + 1, s.engine, seed};
            engine_state const state{s.model, position, seed + 7, s.windows};
            arena& mine = arenas.emplace_back(untouched);
            memory::checkpoint_transfer const checkpoint{
                position, std::span{pages}.subspan(kv_pages, state_pages), state.view()};
            memory::transfer const t{.kv = {token_count{s.begin}, token_count{s.end},
                                            std::span{pages}.first(kv_pages), kv.view()},
                                     .checkpoints = {&checkpoint, 1}};
            if (how == 0)
                copy_by_bytes(way, mine.data(), layout, t, kv, state);
            else if (how == 1)
                memory::copy(way, mine.data(), layout, t);
            else
                copy_by_tiles(way, mine.data(), layout, t);
            engines.push_back(kv.contents());
            states.push_back(state.contents());
        }
        for (std::size_t how : {1u, 2u}) {
            CAPTURE(how, s.block, s.begin, s.end, s.position, static_cast<int>(s.engine.order),
                    static_cast<int>(s.windows));
            REQUIRE(arenas[how] == arenas[0]);
            REQUIRE(engines[how] == engines[0]);
            REQUIRE(states[how] == states[0]);
        }
        REQUIRE((way == direction::to_pages) == !(arenas[0] == untouched));
    }
}

} // namespace

TEST_CASE("divider: quotients of all small numbers, and around every multiple of large ones") {
    for (std::uint32_t d = 1; d <= 300; ++d) {
        memory::divider const by{d};
        bool right = true;
        for (std::uint32_t n = 0; n < 70'000; ++n)
            right = right && by.quotient(n) == n / d;
        REQUIRE(right);
    }
    std::mt19937 random{1};
    constexpr std::uint32_t most = std::numeric_limits<std::uint32_t>::max();
    for (int i = 0; i < 200'000; ++i) {
        auto const d = std::max(1u, static_cast<std::uint32_t>(random() >> random() % 32));
        auto const multiple =
            static_cast<std::uint32_t>(random() % (std::uint64_t{most / d} + 1) * d);
        memory::divider const by{d};
        for (std::uint32_t n : {multiple, multiple - 1, multiple + 1, most, most - 1, 1u << 31})
            if (by.quotient(n) != n / d) FAIL(n << " / " << d << " is not " << by.quotient(n));
    }
    for (std::uint32_t d : {most, most - 1, (1u << 31) - 1, 1u << 31, (1u << 31) + 1})
        for (std::uint32_t n : {0u, 1u, d - 1, d, most})
            CHECK(memory::divider{d}.quotient(n) == n / d);
}

TEST_CASE(
    "vectors: a lane's bytes in one run, and in two, wherever the run or the lane's share ends") {
    constexpr std::size_t size = 140, second = 1'000; // where the second run begins
    byte_vector const page = random_bytes(size, 1);
    for (std::size_t run = 1; run < size; ++run)
        for (std::size_t left = 1; left < size; ++left) {
            byte_vector from = page, engine(second + size), expected = engine;
            auto const in_engine = [&](std::uint64_t at) { return at < run ? at : second + at; };
            gpu::copy_vectors<direction::to_engine, std::uint8_t>(0, left, [&](std::uint64_t at) {
                return memory::place{from.data() + at, engine.data() + in_engine(at),
                                     (at < run ? run : size) - at};
            });
            for (std::size_t at = 0; at < std::min<std::size_t>(left, gpu::tile_vectors);
                 at += gpu::lanes)
                expected[in_engine(at)] = page[at];
            REQUIRE(engine == expected);
        }
}

TEST_CASE("tiles: each finds its part, however unlike the parts are") {
    std::mt19937 random{7};
    auto const below = [&](std::uint32_t n) { return static_cast<std::uint32_t>(random() % n); };
    for (int round = 0; round < 300; ++round) {
        std::vector<gpu::tiled_state_part> parts(1 + below(60));
        std::uint32_t tiles = 0;
        std::uint32_t const unlike = 1 + below(12); // sizes below 2^unlike
        for (auto& part : parts) {
            part.first_tile = tiles;
            tiles += 1 + below(1u << below(unlike));
            if (round % 3 == 0 && &part - parts.data() < 5) tiles += 5'000; // large ones first
        }
        auto const which = gpu::part_finder::of(static_cast<std::uint32_t>(parts.size()), tiles);
        std::uint32_t expected = 0;
        bool right = true;
        for (std::uint32_t tile = 0; tile < tiles; ++tile) {
            if (expected + 1 < parts.size() && parts[expected + 1].first_tile == tile) ++expected;
            right = right && which(parts.data(), tile) == expected;
        }
        REQUIRE(right);
        REQUIRE(expected + 1 == parts.size());
    }
    // As many tiles as can be counted, the first part having but one of them.
    std::uint32_t const most = std::numeric_limits<std::uint32_t>::max();
    std::vector<gpu::tiled_state_part> parts(3);
    parts[1].first_tile = 1;
    parts[2].first_tile = most - 1;
    auto const which = gpu::part_finder::of(3, most);
    for (auto const& [tile, part] :
         {std::pair{0u, 0u}, {1u, 1u}, {1u << 31, 1u}, {most - 2, 1u}, {most - 1, 2u}})
        CHECK(which(parts.data(), tile) == part);
}

namespace {

/// A part that counts how often finders look at it.
struct watched_part {
    struct tile {
        std::uint32_t number = 0;
        static inline int looks = 0;
        operator std::uint32_t() const { // NOLINT: as the number itself converts
            ++looks;
            return number;
        }
    };
    tile first_tile{};
};

/// The most looks that finding a tile takes, among parts of these sizes.
int most_looks(std::vector<std::uint32_t> const& sizes) {
    std::vector<watched_part> parts;
    std::uint32_t tiles = 0;
    for (std::uint32_t const size : sizes) {
        parts.push_back({{tiles}});
        tiles += size;
    }
    auto const which = gpu::part_finder::of(static_cast<std::uint32_t>(parts.size()), tiles);
    int most = 0;
    for (std::uint32_t tile = 0; tile < tiles; ++tile) {
        watched_part::tile::looks = 0;
        (void)which(parts.data(), tile);
        most = std::max(most, watched_part::tile::looks);
    }
    return most;
}

} // namespace

TEST_CASE("tiles: parts that are alike take few looks, others no more than a search by halves") {
    CHECK(most_looks(std::vector<std::uint32_t>(56, 8)) <= 3);
    std::vector<std::uint32_t> state_and_window, windows_last(64, 1);
    for (int layer = 0; layer < 24; ++layer)
        state_and_window.insert(state_and_window.end(), {512, 32});
    CHECK(most_looks(state_and_window) <= 4);
    std::fill_n(windows_last.begin(), 26, 1'000);
    CHECK(most_looks(windows_last) <= 16);
}

TEST_CASE("tiles: each is one warp's, in launches that loop and in those that do not") {
    for (std::uint32_t const tiles : {1u, 15u, 16u, 17u, 100u, 1'000u})
        for (gpu::launch_shape const shape :
             {gpu::launch_shape{(tiles + 15) / 16, false}, {1, true}, {7, true}, {132, true}}) {
            std::vector<std::uint32_t> seen(tiles);
            for (std::uint32_t block = 0; block < shape.blocks; ++block)
                for (std::uint32_t warp = 0; warp < shape.warps_per_block; ++warp) {
                    std::uint64_t tile = shape.first_tile(block, warp);
                    for (; tile < tiles; tile += shape.step())
                        ++seen[tile];
                }
            REQUIRE(std::ranges::all_of(seen, [](std::uint32_t times) { return times == 1; }));
        }
}

TEST_CASE("tiles: every small range of every shape of engine") {
    std::uint32_t seed = 0;
    for (std::uint64_t const block : {1u, 2u, 3u})
        for (std::uint64_t begin = 0; begin < 5; ++begin)
            for (std::uint64_t end = begin + 1; end < 9; ++end)
                for (auto const engine : contracts::engine_shapes) {
                    ++seed;
                    auto const windows =
                        contracts::window_orders[seed % std::size(contracts::window_orders)];
                    check_copies(
                        {contracts::odd_model(), block, begin, end, seed % 13, engine, windows},
                        seed);
                }
    REQUIRE(seed == 3 * 30 * std::size(contracts::engine_shapes));
}

TEST_CASE("tiles: random models and ranges, of many tiles") {
    std::mt19937 random{3};
    auto const below = [&](std::size_t n) { return static_cast<std::uint32_t>(random() % n); };
    for (std::uint32_t i = 0; i < 250; ++i) {
        shape s;
        for (std::uint32_t l = 0; l < 1 + below(4); ++l) {
            // Multiples of 16 now and then, so that all widths of vectors come up.
            std::uint32_t const heads = 1 + below(4), unit = 1u << below(6);
            s.model.kv_layers.push_back({heads * unit * (1 + below(9)), heads * unit * below(9)});
        }
        for (std::uint32_t p = 0; p < 1 + below(4); ++p)
            s.model.state_pieces.push_back(
                {.fixed_bytes = below(2) ? below(9'000) : 0,
                 .window = below(3) * 7,
                 .bytes_per_window_token = below(2) ? below(40) : 16 * below(70)});
        s.block = 1 + below(below(2) ? 40 : 256);
        s.begin = below(300);
        s.end = s.begin + 1 + below(600);
        s.position = below(20);
        s.engine = contracts::engine_shapes[below(std::size(contracts::engine_shapes))];
        s.windows = contracts::window_orders[below(std::size(contracts::window_orders))];
        check_copies(s, i);
    }
}

TEST_CASE("tiles: whole pages within an arena and to another") {
    for (std::uint64_t const page_bytes : {256u, 512u, 2'304u, 65'536u})
        for (std::uint64_t const count : {1u, 2u, 7u}) {
            auto const order = shuffled_pages(2 * count, 5);
            auto const from = std::span{order}.first(count), to = std::span{order}.subspan(count);
            arena const source{2 * count * page_bytes, 1}, target{2 * count * page_bytes, 2};
            arena const before{target};
            std::vector<page_id> lists{from.begin(), from.end()};
            lists.insert(lists.end(), to.begin(), to.end());
            gpu::page_job const job =
                gpu::make_page_job(source.data(), target.data(), page_bytes, from, to,
                                   reinterpret_cast<std::byte*>(lists.data()));
            for (std::uint32_t tile = 0; tile < job.tiles; ++tile)
                for (std::uint32_t lane = 0; lane < gpu::lanes; ++lane)
                    gpu::copy_page_tile(job, tile, lane);
            auto const page = [&](arena const& a, page_id id) {
                return std::span{a.data() + id.value() * page_bytes, page_bytes};
            };
            for (std::size_t i = 0; i < count; ++i) {
                REQUIRE(std::ranges::equal(page(target, to[i]), page(source, from[i])));
                REQUIRE(std::ranges::equal(page(target, from[i]), page(before, from[i])));
            }
        }
}
