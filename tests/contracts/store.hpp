#pragma once

// What every store promises. A program instantiates the suite with a list of stores:
//
//     using stores = std::tuple<ledger_store, host_store>;
//     TEMPLATE_LIST_TEST_CASE("stores keep their contract", "", stores) {
//         contracts::store_suite<TestType>();
//     }

#include <contracts/engine_kv.hpp>
#include <contracts/store_access.hpp>

#include <marconi/core/error.hpp>
#include <marconi/core/footprint.hpp>
#include <marconi/core/types.hpp>
#include <marconi/core/units.hpp>
#include <marconi/memory/concepts.hpp>
#include <marconi/memory/layout.hpp>
#include <marconi/memory/transfer.hpp>

#include <support/catch.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <map>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace contracts {

using namespace marconi;
using memory::checkpoint_transfer;
using memory::kv_transfer;
using memory::page_layout;
using memory::page_options;
using memory::transfer;

/// A model of odd sizes: a joint key, a lone value, windows, a piece of more than one page.
inline footprint odd_model() {
    return {.kv_layers = {{6, 10}, {4, 0}, {0, 7}, {1, 3}},
            .state_pieces = {{.fixed_bytes = 100},
                             {.window = 8, .bytes_per_window_token = 30},
                             {.fixed_bytes = 1501},
                             {.fixed_bytes = 3, .window = 2, .bytes_per_window_token = 7}}};
}

/// A store beside what its pages must hold.
template <memory::store Store>
struct checked_store {
    using access = store_access<Store>;
    using kv_of_engine = engine_kv<access>;
    using state_of_engine = engine_state<access>;

    checked_store(footprint const& model, std::uint64_t pages, page_options options)
        : store{access::make(model, pages, options)}, all(pages) {
        store.pages().allocate(all);
        // Neighbours in a list are to lie far from each other.
        std::shuffle(all.begin(), all.end(), std::mt19937{11});
        if constexpr (Store::holds_bytes)
            for (page_id const page : all) {
                wanted[page] = random_bytes(layout().page_bytes().value(), 1000 + page.value());
                access::write_page(store, page, wanted[page]);
            }
    }

    [[nodiscard]] page_layout const& layout() const { return store.layout(); }
    [[nodiscard]] std::span<page_id const> some(std::uint64_t first, std::uint64_t count) const {
        return std::span{all}.subspan(first, count);
    }

    void save(transfer const& t) {
        store.save(t, on);
        access::finish(on);
    }
    void load(transfer const& t) {
        store.load(t, on);
        access::finish(on);
    }

    void check_pages() const {
        if constexpr (Store::holds_bytes)
            for (auto const& [page, contents] : wanted)
                REQUIRE(access::read_page(store, page) == contents);
    }

    /// Calls visit(page, place in it, place in the engine, bytes) for each head of a KV transfer.
    template <class Visit>
    void each_row(kv_transfer const& t, kv_of_engine const& engine, Visit&& visit) const {
        std::uint64_t const block = layout().block_tokens();
        for (std::uint64_t token = t.begin.value(); token < t.end.value(); ++token) {
            page_id const page = t.pages[token / block - t.begin.value() / block];
            auto const visit_row = [&](auto const& part, std::uint64_t in_page) {
                engine.each_head(part, token, [&](std::size_t in_row, auto at, std::size_t n) {
                    visit(page, in_page + in_row, at, n);
                });
            };
            auto const copied = t.engine.copied();
            for (std::size_t l = copied.first; l < copied.first + copied.count; ++l) {
                visit_row(engine.keys[l], layout().key_offset(l, token % block));
                visit_row(engine.values[l], layout().value_offset(l, token % block));
            }
        }
    }
    void expect_saved(kv_transfer const& t, kv_of_engine const& engine) {
        byte_vector const from = engine.contents();
        each_row(t, engine, [&](page_id page, std::uint64_t in_page, auto at, std::size_t n) {
            std::copy_n(from.begin() + at, n,
                        wanted[page].begin() + static_cast<std::ptrdiff_t>(in_page));
        });
    }
    /// What the engine's memory must be after a load, if it was `before`.
    [[nodiscard]] byte_vector loaded(kv_transfer const& t, kv_of_engine const& engine,
                                     byte_vector before) {
        each_row(t, engine, [&](page_id page, std::uint64_t in_page, auto at, std::size_t n) {
            std::copy_n(wanted[page].begin() + static_cast<std::ptrdiff_t>(in_page), n,
                        before.begin() + at);
        });
        return before;
    }

    /// Calls visit(page, place in it, piece, place in the piece) for each byte of a checkpoint.
    template <class Visit>
    void each_state_byte(checkpoint_transfer const& t, Visit&& visit) const {
        std::uint64_t const page_bytes = layout().page_bytes().value();
        std::uint64_t at = 0;
        auto const& pieces = layout().model().state_pieces;
        for (std::size_t p = 0; p < pieces.size(); ++p) {
            at = round_up(at, page_layout::piece_alignment);
            for (std::uint64_t b = 0; b < pieces[p].bytes_at(t.position.value()); ++b, ++at)
                visit(t.pages[at / page_bytes], at % page_bytes, p, b);
        }
    }
    void expect_saved(checkpoint_transfer const& t, state_of_engine const& engine) {
        auto const from = engine.contents();
        each_state_byte(t,
                        [&](page_id page, std::uint64_t in_page, std::size_t p, std::uint64_t b) {
                            wanted[page][in_page] = from[p][engine.place(p, b)];
                        });
    }
    [[nodiscard]] std::vector<byte_vector> loaded(checkpoint_transfer const& t,
                                                  state_of_engine const& engine,
                                                  std::vector<byte_vector> before) {
        each_state_byte(t,
                        [&](page_id page, std::uint64_t in_page, std::size_t p, std::uint64_t b) {
                            before[p][engine.place(p, b)] = wanted[page][in_page];
                        });
        return before;
    }

    Store store;
    std::vector<page_id> all;
    std::map<page_id, byte_vector> wanted{};
    typename Store::stream on{};
};

/// Saves tokens [begin, end) from an engine of one shape, and loads them into one of another.
template <memory::store Store>
void kv_round_trip(checked_store<Store>& s, std::uint64_t begin, std::uint64_t end,
                   engine_shape from, engine_shape to, std::uint32_t seed) {
    using kv_of_engine = typename checked_store<Store>::kv_of_engine;
    footprint const& model = s.layout().model();
    std::uint64_t const blocks = s.layout().blocks_touched(begin, end);
    kv_of_engine const source{model, end + 1, from, seed};
    kv_of_engine const target{model, end + 1, to, seed + 1};
    byte_vector const target_before = target.contents();
    byte_vector const source_before = source.contents();
    kv_transfer work{.begin = token_count{begin},
                     .end = token_count{end},
                     .pages = s.some(seed % 3, blocks),
                     .engine = source.view()};
    // Now and then some of the four layers alone, or none; others on the way back.
    if (seed % 8 == 1) work.engine.only = {.first = seed / 8 % 4, .count = seed / 32 % 2};
    s.save({.kv = work, .checkpoints = {}});
    if constexpr (Store::holds_bytes) s.expect_saved(work, source);
    s.check_pages();
    REQUIRE(source.contents() == source_before);

    work.engine = target.view();
    if (seed % 6 == 1) work.engine.only = {.first = seed / 6 % 3, .count = seed / 18 % 3};
    s.load({.kv = work, .checkpoints = {}});
    if constexpr (Store::holds_bytes)
        REQUIRE(target.contents() == s.loaded(work, target, target_before));
    else
        REQUIRE(target.contents() == target_before);
    s.check_pages();
}

template <memory::store Store>
void kv_round_trips(std::uint64_t block) {
    checked_store<Store> s{odd_model(), 8, {.block_tokens = token_count{block}}};
    std::uint64_t const ranges[][2] = {{0, 1},
                                       {0, block},
                                       {0, 3 * block},
                                       {0, 2 * block + 1},
                                       {block - 1, block + 1},
                                       {block / 2, block / 2 + 1},
                                       {2 * block, 3 * block},
                                       {block + block / 3, 4 * block + block / 2 + 1},
                                       {7 * block + block - 1, 9 * block}};
    std::uint32_t seed = 1;
    for (auto const& [begin, end] : ranges)
        for (engine_shape const from : engine_shapes)
            for (engine_shape const to : engine_shapes)
                kv_round_trip(s, begin, end, from, to, seed += 2);
    REQUIRE(seed == 1 + 2 * 9 * std::size(engine_shapes) * std::size(engine_shapes));
}

/// Two checkpoints and some KV in one transfer, there and back.
template <memory::store Store>
void checkpoint_round_trip(checked_store<Store>& s, token_count first, token_count second,
                           std::uint32_t seed) {
    using kv_of_engine = typename checked_store<Store>::kv_of_engine;
    using state_of_engine = typename checked_store<Store>::state_of_engine;
    footprint const& model = s.layout().model();
    std::uint64_t const tokens = model.has_kv() ? 20 : 0;
    std::uint64_t const blocks = s.layout().blocks_touched(0, tokens);
    std::uint64_t const first_pages = s.layout().checkpoint_pages(first);
    std::uint64_t const second_pages = s.layout().checkpoint_pages(second);
    auto const kv_pages = s.some(0, blocks);
    auto const a_pages = s.some(blocks, first_pages);
    auto const b_pages = s.some(blocks + first_pages, second_pages);

    kv_of_engine const kv{model, tokens, engine_shapes[seed % std::size(engine_shapes)], seed};
    auto const order = [&](std::uint32_t n) { // by position, 2^30 tokens would take much memory
        bool const is_short = second < token_count{1000};
        return is_short ? window_orders[n % std::size(window_orders)] : window_order::one_run;
    };
    state_of_engine const a{model, first, seed + 10, order(seed)};
    state_of_engine const b{model, second, seed + 20, order(seed + 1)};
    kv_transfer kv_work{token_count{0}, token_count{tokens}, kv_pages, kv.view()};
    checkpoint_transfer work[] = {{first, a_pages, a.view()}, {second, b_pages, b.view()}};
    s.save({.kv = kv_work, .checkpoints = work});
    if constexpr (Store::holds_bytes) {
        s.expect_saved(kv_work, kv);
        s.expect_saved(work[0], a);
        s.expect_saved(work[1], b);
    }
    s.check_pages();

    kv_of_engine const kv_back{model, tokens, engine_shapes[(seed + 1) % std::size(engine_shapes)],
                               seed + 1};
    auto const orders = static_cast<std::uint32_t>(std::size(window_orders));
    state_of_engine const a_back{model, first, seed + 30, order(seed / orders)};
    state_of_engine const b_back{model, second, seed + 40, order(seed / 3)};
    byte_vector const kv_before = kv_back.contents();
    auto const a_before = a_back.contents();
    auto const b_before = b_back.contents();
    kv_work.engine = kv_back.view();
    work[0].engine = a_back.view();
    work[1].engine = b_back.view();
    s.load({.kv = kv_work, .checkpoints = work});
    s.check_pages();
    if constexpr (Store::holds_bytes) {
        REQUIRE(kv_back.contents() == s.loaded(kv_work, kv_back, kv_before));
        REQUIRE(a_back.contents() == s.loaded(work[0], a_back, a_before));
        REQUIRE(b_back.contents() == s.loaded(work[1], b_back, b_before));
    } else {
        REQUIRE(kv_back.contents() == kv_before);
        REQUIRE(a_back.contents() == a_before);
        REQUIRE(b_back.contents() == b_before);
    }
}

/// A transfer that is right, for tests to spoil: KV of tokens [3, 40) and two checkpoints.
template <memory::store Store>
struct sound_transfer {
    using checked = checked_store<Store>;

    checked s{odd_model(), 40, {.block_tokens = token_count{16}}};
    typename checked::kv_of_engine kv{odd_model(), 40, engine_shapes[2], 1};
    typename checked::state_of_engine a{odd_model(), token_count{5}, 2};
    typename checked::state_of_engine b{odd_model(), token_count{40}, 3};
    std::vector<memory::kv_layer_view> layers{kv.view().layers.begin(), kv.view().layers.end()};
    std::vector<std::byte*> pieces{b.view().pieces.begin(), b.view().pieces.end()};
    std::vector<page_id> kv_pages = pages(0, s.layout().blocks_touched(3, 40));
    std::vector<page_id> a_pages = pages(10, s.layout().checkpoint_pages(token_count{5}));
    std::vector<page_id> b_pages = pages(25, s.layout().checkpoint_pages(token_count{40}));
    token_count begin{3};
    token_count end{40};

    std::vector<page_id> pages(std::uint64_t first, std::uint64_t count) const {
        auto const some = s.some(first, count);
        return {some.begin(), some.end()};
    }
    template <class Use>
    void with(Use&& use) const {
        checkpoint_transfer const checkpoints[] = {{token_count{5}, a_pages, a.view()},
                                                   {token_count{40}, b_pages, {pieces}}};
        use(transfer{.kv = {begin, end, kv_pages, {layers}}, .checkpoints = checkpoints});
    }
};

struct spoiled {
    std::string told;
    std::function<void(std::vector<memory::kv_layer_view>&, std::vector<std::byte*>&,
                       std::vector<page_id>& kv_pages, std::vector<page_id>& state_pages,
                       token_count& begin)>
        spoil;
};

inline std::vector<spoiled> all_spoiled() {
    return {
        {"number of pages for the KV is 2; expected 3",
         [](auto&, auto&, auto& kv, auto&, auto&) { kv.pop_back(); }},
        {"number of pages for the KV is 4; expected 3",
         [](auto&, auto&, auto& kv, auto&, auto&) { kv.push_back(kv[0]); }},
        {"number of layers in the kv_view is 3; expected 4",
         [](auto& layers, auto&, auto&, auto&, auto&) { layers.pop_back(); }},
        {"number of layers in the kv_view is 5; expected 4",
         [](auto& layers, auto&, auto&, auto&, auto&) { layers.push_back(layers[0]); }},
        {"number of layers in the kv_view is 0; expected 4",
         [](auto& layers, auto&, auto&, auto&, auto&) { layers.clear(); }},
        {"kv_view: the key of layer 3 is a null pointer",
         [](auto& layers, auto&, auto&, auto&, auto&) { layers[3].key = nullptr; }},
        {"kv_view: the value of layer 2 is a null pointer",
         [](auto& layers, auto&, auto&, auto&, auto&) { layers[2].value = nullptr; }},
        {"kv_view: the keys and values of layer 0 do not part into 3 equal heads", // 6 bytes do
         [](auto& layers, auto&, auto&, auto&, auto&) { layers[0].heads = 3; }},
        {"kv_view: the keys and values of layer 0 do not part into 5 equal heads", // 10 bytes do
         [](auto& layers, auto&, auto&, auto&, auto&) { layers[0].heads = 5; }},
        {"begin of the KV is 41; expected at most its end, 40",
         [](auto&, auto&, auto&, auto&, auto& begin) { begin = token_count{41}; }},
        {"number of pages for the checkpoint is 3; expected 4",
         [](auto&, auto&, auto&, auto& state, auto&) { state.pop_back(); }},
        {"number of pages for the checkpoint is 5; expected 4",
         [](auto&, auto&, auto&, auto& state, auto&) { state.push_back(state[0]); }},
        {"number of pieces in the state_view is 3; expected 4",
         [](auto&, auto& pieces, auto&, auto&, auto&) { pieces.pop_back(); }},
        {"number of pieces in the state_view is 5; expected 4",
         [](auto&, auto& pieces, auto&, auto&, auto&) { pieces.push_back(pieces[0]); }},
        {"state_view: piece 3 is a null pointer",
         [](auto&, auto& pieces, auto&, auto&, auto&) { pieces.back() = nullptr; }},
    };
}

template <memory::store Store>
void wrong_views_throw() {
    std::size_t refused = 0;
    for (spoiled const& wrong : all_spoiled()) {
        sound_transfer<Store> t;
        wrong.spoil(t.layers, t.pieces, t.kv_pages, t.b_pages, t.begin);
        byte_vector const kv_before = t.kv.contents();
        auto const a_before = t.a.contents();
        t.with([&](transfer const& work) {
            if constexpr (Store::holds_bytes) {
                CHECK_THROWS_AS(t.s.save(work), invalid_argument);
                CHECK_THROWS_WITH(t.s.save(work), wrong.told);
                CHECK_THROWS_WITH(t.s.load(work), wrong.told);
            } else {
                CHECK_NOTHROW(t.s.save(work));
                CHECK_NOTHROW(t.s.load(work));
            }
        });
        t.s.check_pages();
        CHECK(t.kv.contents() == kv_before);
        CHECK(t.a.contents() == a_before);
        ++refused;
    }
    CHECK(refused == 15);
}

template <memory::store Store>
void store_suite() {
    using access = store_access<Store>;

    SECTION("its layout is that of the model, its pages those that fit whole") {
        page_options const options{.block_tokens = token_count{16}};
        page_layout const layout{odd_model(), options};
        Store const store = access::make(odd_model(), 7, options);
        CHECK(store.layout().page_bytes() == layout.page_bytes());
        CHECK(store.layout().block_tokens() == 16);
        CHECK(store.pages().capacity() == 7);
        CHECK(store.pages().used() == 0);
        CHECK_THROWS_AS(access::make(odd_model(), 0, options), invalid_argument);
        CHECK_THROWS_AS(access::make({}, 1, options), invalid_argument);
    }

    for (std::uint64_t const block : {1u, 2u, 16u, 17u, 256u})
        DYNAMIC_SECTION("KV goes to pages and comes back, in blocks of " << block) {
            kv_round_trips<Store>(block);
        }

    SECTION("checkpoints go to scattered pages and come back, before their windows are full too") {
        footprint without_kv = odd_model();
        without_kv.kv_layers.clear();
        std::uint32_t seed = 1;
        for (footprint const& model : {odd_model(), without_kv}) {
            checked_store<Store> s{
                model, 40, {.block_tokens = token_count{4}, .page_bytes = byte_count{256}}};
            for (std::uint64_t position = 0; position < 12; ++position)
                checkpoint_round_trip(s, token_count{position}, token_count{11 - position},
                                      seed += 50);
            checkpoint_round_trip(s, token_count{1}, token_count{1ull << 30}, seed += 50);
        }
    }

    SECTION("copy_block copies a page whole and touches no other") {
        checked_store<Store> s{odd_model(), 5, {}};
        s.store.copy_block(s.all[1], s.all[3], s.on);
        access::finish(s.on);
        if constexpr (Store::holds_bytes) s.wanted[s.all[3]] = s.wanted[s.all[1]];
        s.check_pages();
    }

    SECTION("a transfer of nothing needs no views") {
        checked_store<Store> s{odd_model(), 3, {}};
        CHECK_NOTHROW(s.save({}));
        CHECK_NOTHROW(s.load({}));
        CHECK_NOTHROW(s.save({.kv = {token_count{9}, token_count{9}, {}, {}}, .checkpoints = {}}));
        s.check_pages();
    }

    SECTION("layers to copy must be layers of the model") {
        sound_transfer<Store> t;
        constexpr auto huge = ~std::size_t{};
        for (memory::layer_range const wrong :
             {memory::layer_range{0, 5}, {4, 1}, {5, 0}, {2, huge}})
            t.with([&](transfer work) {
                work.kv.engine.only = wrong;
                if constexpr (Store::holds_bytes)
                    CHECK_THROWS_WITH(t.s.load(work),
                                      "only in the kv_view is " + std::to_string(wrong.count) +
                                          " layers from " + std::to_string(wrong.first) +
                                          " on; expected some of 4");
                else
                    CHECK_NOTHROW(t.s.load(work));
            });
        t.s.check_pages();
    }

    SECTION("parts of no bytes need no pointer") {
        sound_transfer<Store> t;
        t.layers[1].value = nullptr;
        t.layers[2].key = nullptr;
        t.with([&](transfer const& work) {
            CHECK_NOTHROW(t.s.save(work));
            CHECK_NOTHROW(t.s.load(work));
        });
    }

    SECTION("views that do not fit throw before anything is copied") { wrong_views_throw<Store>(); }

    SECTION("a store that moves takes its pages and their bytes along") {
        checked_store<Store> s{odd_model(), 5, {}};
        Store moved{std::move(s.store)};
        CHECK(moved.pages().used() == 5);
        s.store = std::move(moved);
        CHECK(s.store.pages().used() == 5);
        s.check_pages();
    }
}

} // namespace contracts
