#include <marconi/core/error.hpp>
#include <marconi/memory/host_copy.hpp>
#include <marconi/memory/host_store.hpp>
#include <marconi/memory/tensors.hpp>
#include <marconi/memory/transfer.hpp>
#include <marconi/memory/view_checks.hpp>

#include <support/catch.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

using namespace marconi;
using namespace marconi::literals;
using memory::head_order;
using memory::head_shape;
using memory::kv_layer_view;
using memory::layer_in;

namespace {

constexpr std::uint32_t heads = 3;
constexpr std::uint64_t head_bytes = 4, row = heads * head_bytes;

footprint three_heads() { return {.kv_layers = {{row, row}}}; }

/// One byte that says which token, head and part it is of.
std::byte right(std::uint64_t token, std::uint64_t head, bool value) {
    return static_cast<std::byte>(token * 16 + head * 2 + value);
}

/// Tokens [0, tokens) in a store's pages.
memory::host_store filled_store(std::uint64_t tokens) {
    memory::host_store store{three_heads(), 1_MiB, {.block_tokens = 8_tokens}};
    std::vector<page_id> pages(tokens / 8 + 1);
    store.pages().allocate(pages);
    for (std::uint64_t t = 0; t < tokens; ++t)
        for (std::uint64_t i = 0; i < row; ++i) {
            auto const page = store.page(pages[t / 8]);
            page[store.layout().key_offset(0, t % 8) + i] = right(t, i / head_bytes, false);
            page[store.layout().value_offset(0, t % 8) + i] = right(t, i / head_bytes, true);
        }
    return store;
}

/// Zeroes, without moving them where they are as many already.
std::byte* clear(std::vector<std::byte>& bytes, std::size_t count) {
    bytes.assign(count, std::byte{0});
    return bytes.data();
}

void load(memory::host_store const& store, std::uint64_t tokens, memory::kv_view engine) {
    std::vector<page_id> pages;
    for (std::uint32_t i = 0; i < store.layout().blocks_touched(0, tokens); ++i)
        pages.push_back(page_id{i});
    store.load({.kv = {0_tokens, token_count{tokens}, pages, engine}, .checkpoints = {}}, {});
}

} // namespace

TEST_CASE("layer_in: a paged engine's tensors [blocks, (key, value), tokens, heads, bytes]") {
    constexpr std::uint64_t tokens = 21, block = 6;
    std::array<std::int32_t, 4> const table{2, 0, 3, 1};
    auto const store = filled_store(tokens);
    for (head_order const order : {head_order::token_major, head_order::head_major})
        for (bool const joint : {false, true}) {
            CAPTURE(static_cast<int>(order), joint);
            std::vector<std::byte> tensor(2 * 4 * block * row);
            std::size_t const between = joint ? 2 * block * row : block * row;
            std::byte* const values = tensor.data() + (joint ? block * row : 4 * block * row);
            kv_layer_view const layer =
                layer_in({order, heads, block}, three_heads().kv_layers[0], tensor.data(), values,
                         static_cast<std::ptrdiff_t>(between));
            load(store, tokens, {{&layer, 1}, table, block});
            bool all = true;
            for (std::uint64_t t = 0; t < tokens; ++t)
                for (std::uint64_t h = 0; h < heads; ++h)
                    for (std::uint64_t b = 0; b < head_bytes; ++b) {
                        std::size_t const slot = t % block;
                        std::size_t const at =
                            static_cast<std::size_t>(table[t / block]) * between +
                            (order == head_order::token_major ? slot * row + h * head_bytes
                                                              : (h * block + slot) * head_bytes) +
                            b;
                        all = all && tensor[at] == right(t, h, false) &&
                              values[at] == right(t, h, true);
                    }
            CHECK(all);
        }
}

TEST_CASE("layer_in: one request's tensor [heads, tokens, bytes]") {
    constexpr std::uint64_t tokens = 21, room = 30;
    std::vector<std::byte> keys(room * row), values(room * row);
    kv_layer_view const layer = layer_in({head_order::head_major, heads, room},
                                         three_heads().kv_layers[0], keys.data(), values.data());
    load(filled_store(tokens), tokens, {{&layer, 1}});
    bool all = true;
    for (std::uint64_t t = 0; t < tokens; ++t)
        for (std::uint64_t h = 0; h < heads; ++h)
            all = all && keys[(h * room + t) * head_bytes] == right(t, h, false) &&
                  values[(h * room + t) * head_bytes + 3] == right(t, h, true);
    CHECK(all);
}

TEST_CASE("layer_in: heads that part nothing, or lie no rows apart, are refused") {
    auto const message = [](head_shape shape) -> std::string {
        try {
            (void)layer_in(shape, three_heads().kv_layers[0], nullptr, nullptr);
        } catch (invalid_argument const& e) {
            return e.what();
        }
        return "";
    };
    CHECK(message({.heads = 0}) ==
          "heads is 0; expected equal parts of a token's key, and of its value");
    CHECK(message({.heads = 5}) ==
          "heads is 5; expected equal parts of a token's key, and of its value");
    CHECK(message({.order = head_order::head_major, .heads = heads}) ==
          "tokens is 0; expected at least 1: head_major, heads are that many rows apart");
    CHECK(message({.heads = heads}).empty());
    CHECK(message({.order = head_order::head_major, .heads = heads, .tokens = 1}).empty());
}

TEST_CASE("a stride of 0 stands for no gap: heads in tokens in blocks") {
    constexpr std::uint64_t tokens = 12;
    std::array<std::int32_t, 3> const table{1, 2, 0};
    std::vector<std::byte> keys(tokens * row), values(tokens * row);
    kv_layer_view const layer{.key = keys.data(), .value = values.data(), .heads = heads};
    load(filled_store(tokens), tokens, {{&layer, 1}, table, 4});
    bool all = true;
    for (std::uint64_t t = 0; t < tokens; ++t) {
        std::size_t const at = (static_cast<std::size_t>(table[t / 4]) * 4 + t % 4) * row;
        all = all && keys[at] == right(t, 0, false) && values[at + row - 1] == right(t, 2, true);
    }
    CHECK(all);
}

TEST_CASE("unless views say otherwise a token has one head, and blocks have no gap between them") {
    footprint const odd{.kv_layers = {{3, 5}}}; // which no two heads can share
    memory::host_store store{odd, 1_MiB, {.block_tokens = 8_tokens}};
    std::array<page_id, 1> page;
    store.pages().allocate(page);
    auto const bytes = store.page(page[0]);
    for (std::size_t i = 0; i < 8 * (3 + 5); ++i)
        bytes[i] = static_cast<std::byte>(i + 1);
    std::array<std::int32_t, 2> const table{1, 0}; // of four tokens each
    for (bool const paged : {false, true}) {
        std::vector<std::byte> keys, values;
        kv_layer_view const dense{.key = clear(keys, 8 * 3), .value = clear(values, 8 * 5)};
        kv_layer_view const of_tensors = layer_in({}, odd.kv_layers[0], keys.data(), values.data());
        for (kv_layer_view const& layer : {dense, of_tensors}) {
            (void)clear(keys, keys.size());
            (void)clear(values, values.size());
            load(store, 8,
                 paged ? memory::kv_view{{&layer, 1}, table, 4} : memory::kv_view{{&layer, 1}});
            if (paged) { // the second half of the tokens comes first
                std::rotate(keys.begin(), keys.begin() + 4 * 3, keys.end());
                std::rotate(values.begin(), values.begin() + 4 * 5, values.end());
            }
            CHECK(std::ranges::equal(keys, bytes.first(8 * 3)));
            CHECK(std::ranges::equal(values, bytes.subspan(8 * 3, 8 * 5)));
        }
    }
}

TEST_CASE("layers_in_pages: from one store into another one's pages") {
    footprint const odd{.kv_layers = {{3, 5}, {16, 0}, {8, 1}}};
    memory::host_store const from{odd, 1_MiB, {.block_tokens = 8_tokens}};
    for (std::uint32_t page = 0; page < 3; ++page)
        for (std::size_t i = 0; std::byte & b : from.page(page_id{page}))
            b = static_cast<std::byte>(page * 101 + i++);
    memory::host_store const to{odd, 1_MiB, {.block_tokens = 4_tokens}};
    std::array const table{page_id{5}, page_id{0}, page_id{7}, page_id{2}, page_id{1}};
    auto const layers = memory::layers_in_pages(to.layout(), to.page(page_id{0}).data());
    auto const blocks = memory::as_blocks(table);
    load(from, 19, {layers, blocks, 4});

    auto const same = [&](auto&& offset, std::size_t layer, std::uint64_t bytes) {
        for (std::uint64_t t = 0; t < 19; ++t) {
            auto const source = from.page(page_id{static_cast<std::uint32_t>(t / 8)});
            auto const target = to.page(table[t / 4]);
            if (!std::ranges::equal(source.subspan(offset(from, layer, t % 8), bytes),
                                    target.subspan(offset(to, layer, t % 4), bytes)))
                return false;
        }
        return true;
    };
    auto const key = [](auto& s, std::size_t l, std::uint64_t r) {
        return s.layout().key_offset(l, r);
    };
    auto const value = [](auto& s, std::size_t l, std::uint64_t r) {
        return s.layout().value_offset(l, r);
    };
    for (std::size_t l = 0; l < 3; ++l) {
        CHECK(same(key, l, odd.kv_layers[l].key_bytes));
        CHECK(same(value, l, odd.kv_layers[l].value_bytes));
    }
    std::array const far{page_id{0x8000'0000}};
    CHECK_THROWS_WITH(memory::as_blocks(far),
                      "a page of the block table is 2147483648; expected less than 2^31");
}

TEST_CASE("state tensors: a slot's pieces") {
    std::vector<std::byte> memory(100);
    std::array<memory::state_tensor, 2> const tensors{{{memory.data(), 10}, {&memory[99], -5}}};
    CHECK(memory::slot_of(tensors, 3) == std::vector<std::byte*>{&memory[30], &memory[84]});
}

TEST_CASE("views of engines that do not fit are refused, and in which words") {
    constexpr std::uint64_t tokens = 12;
    auto const store = filled_store(tokens);
    std::vector<std::byte> keys(2 * tokens * row), values(2 * tokens * row);
    kv_layer_view layer{.key = keys.data(), .value = values.data()};
    std::vector<std::int32_t> blocks{0, 1, 2};
    std::uint32_t block = 4, block_limit = 0;
    auto const says = [&](char const* words) {
        CHECK_THROWS_AS(load(store, tokens, {{&layer, 1}, blocks, block, block_limit}),
                        invalid_argument);
        CHECK_THROWS_WITH(load(store, tokens, {{&layer, 1}, blocks, block, block_limit}), words);
        CHECK(keys == std::vector<std::byte>(keys.size()));
    };
    layer.heads = 5;
    says("kv_view: the keys and values of layer 0 do not part into 5 equal heads");
    layer.heads = 0;
    says("kv_view: the keys and values of layer 0 do not part into 0 equal heads");
    layer.heads = 1;
    block = 0;
    says("block_tokens of the kv_view is 0; expected at least 1, since it has blocks");
    block = 4;
    auto const three = std::exchange(blocks, {});
    says("number of blocks in the kv_view is 0; expected at least 3, for 12 tokens");
    blocks = three;
    blocks.pop_back();
    says("number of blocks in the kv_view is 2; expected at least 3, for 12 tokens");
    blocks.push_back(-1);
    says("a block of the kv_view is -1; expected 0 or more, where its tokens are copied");
    blocks.back() = 3;
    block_limit = 3;
    says("a block of the kv_view is 3; expected less than pool_blocks, 3");
    layer.value_block_stride = 64;
    blocks.clear();
    block = 0;
    says("kv_view: layer 0 has a block stride, and the view no blocks");
    layer.value_block_stride = 0;
    block = 4;
    blocks = {0, 1, 2, -1};
    CHECK_NOTHROW(load(store, tokens, {{&layer, 1}, blocks, block, block_limit}));
    CHECK(keys[0] == right(0, 0, false));
    CHECK(keys[11 * row] == right(11, 0, false));
}

TEST_CASE("rows that would overlap are refused, since strides are in bytes") {
    constexpr std::uint64_t tokens = 12;
    auto const store = filled_store(tokens);
    std::vector<std::byte> keys(40 * tokens * row), values(40 * tokens * row);
    kv_layer_view layer;
    std::vector<std::int32_t> blocks;
    std::uint32_t block = 0;
    auto const loads = [&] { load(store, tokens, {{&layer, 1}, blocks, block}); };
    auto const refused = [&](char const* what, auto&& set) {
        INFO(what);
        for (bool const of_key : {true, false}) {
            layer = {.key = &keys[20 * tokens * row], .value = &values[20 * tokens * row]};
            set(of_key ? layer.key_stride : layer.value_stride,
                of_key ? layer.key_head_stride : layer.value_head_stride,
                of_key ? layer.key_block_stride : layer.value_block_stride);
            CHECK_THROWS_WITH(loads(), "kv_view: the rows of layer 0 overlap: a stride, which is "
                                       "in bytes, is less than what lies within it");
        }
    };
    auto const taken = [&](char const* what, auto&& set) {
        INFO(what);
        layer = {.key = &keys[20 * tokens * row], .value = &values[20 * tokens * row]};
        set();
        CHECK_NOTHROW(loads());
    };
    constexpr auto bytes = static_cast<std::ptrdiff_t>(row);
    constexpr auto head = static_cast<std::ptrdiff_t>(head_bytes);
    using stride = std::ptrdiff_t;
    for (stride const small : {bytes - 1, stride{1}, stride{-1}, 1 - bytes})
        refused("tokens", [&](stride& token, stride&, stride&) { token = small; });
    for (stride const between : {stride{0}, head})
        refused("tokens of joined heads", [&](stride& token, stride& heads_apart, stride&) {
            layer.heads = heads;
            token = bytes - head;
            heads_apart = between;
        });
    refused("tokens of heads that lie apart", [&](stride& token, stride& heads_apart, stride&) {
        layer.heads = heads;
        token = head - 1;
        heads_apart = 12 * bytes;
    });
    refused("heads", [&](stride& token, stride& heads_apart, stride&) {
        layer.heads = heads;
        token = bytes;
        heads_apart = head - 1;
    });
    refused("heads closer than their tokens reach",
            [&](stride& token, stride& heads_apart, stride&) {
                layer.heads = heads;
                token = head;
                heads_apart = 11 * head;
            });
    taken("one head has no stride", [&] { layer.key_head_stride = 1; });
    taken("heads that lie apart", [&] {
        layer.heads = heads;
        layer.key_stride = layer.value_stride = head;
        layer.key_head_stride = layer.value_head_stride = 12 * head;
    });
    taken("rows backwards", [&] { layer.key_stride = -bytes; });

    block = 4;
    blocks = {0, 1, 2};
    for (stride const small : {bytes - 1, bytes, 4 * bytes - 1, 1 - 4 * bytes})
        refused("blocks", [&](stride&, stride&, stride& apart) { apart = small; });
    auto const blocks_between_heads = [&](stride reach) { // three blocks of four heads' rows each
        layer.heads = heads;
        layer.key_stride = layer.value_stride = head;
        layer.key_block_stride = layer.value_block_stride = 4 * head;
        layer.key_head_stride = layer.value_head_stride = reach;
    };
    taken("blocks between heads", [&] { blocks_between_heads(12 * head); });
    refused("blocks between heads", [&](stride&, stride& heads_apart, stride&) {
        blocks_between_heads(12 * head);
        heads_apart = 11 * head;
    });
    blocks = {0, 2, 3};
    refused("blocks between heads",
            [&](stride&, stride&, stride&) { blocks_between_heads(12 * head); });
    taken("blocks between heads", [&] { blocks_between_heads(16 * head); });
    blocks = {0, 1, 2};
    block = 1;
    blocks = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
    taken("blocks of one token", [&] { layer.key_stride = layer.value_stride = 1; });
}

TEST_CASE("views of windows that do not fit are refused") {
    footprint const model{
        .state_pieces = {{.window = 4, .bytes_per_window_token = 8}, {.fixed_bytes = 8}}};
    memory::page_layout const layout{model, {.page_bytes = byte_count{256}}};
    token_count const position{10}; // rows of tokens 6 to 9
    std::vector<std::byte> memory(1000);
    std::vector<std::byte*> const pieces{&memory[500], memory.data()};
    std::vector<memory::window_view> windows{{.row_stride = 8, .block_stride = 24}, {}};
    std::vector<std::int32_t> blocks{-1, -1, 5, 2};
    memory::state_view view{pieces, windows, blocks, 3, 6};
    auto const says = [&](std::string const& why) {
        view.windows = windows;
        view.blocks = blocks;
        CHECK_THROWS_WITH(memory::check_view(view, position, layout), why);
    };
    CHECK_NOTHROW(memory::check_view(view, position, layout));
    CHECK_NOTHROW(memory::check_view(view, 0_tokens, layout)); // no row to look for

    windows.pop_back();
    says("number of windows in the state_view is 1; expected 2");
    windows.push_back({.row_stride = 8});
    says("a piece with a window_view is more than a window's rows; expected a window's rows "
         "alone");
    windows.back() = {};
    blocks.pop_back();
    says("number of blocks in the state_view is 3; expected at least 4, for 10 tokens");
    blocks.push_back(-1);
    says("a block of the state_view is -1; expected 0 or more, where its tokens are copied");
    blocks.back() = 6;
    says("a block of the state_view is 6; expected less than pool_blocks, 6");
    blocks.back() = 2;
    char const* const overlap = "state_view: the rows of piece 0 overlap: a stride, which is in "
                                "bytes, is less than what lies within it";
    for (memory::window_view const small :
         {memory::window_view{.row_stride = 7, .block_stride = 24},
          {.row_stride = -7, .block_stride = 24},
          {.row_stride = 8, .block_stride = 23},
          {.row_stride = 0, .block_stride = 16}}) {
        windows[0] = small;
        says(overlap);
    }
    windows[0] = {.row_stride = -8, .block_stride = -24};
    CHECK_NOTHROW(memory::check_view({pieces, windows, blocks, 3}, position, layout));
    std::vector<std::int32_t> const ring{-1, 0, 0};
    windows[0] = {.row_stride = 8};
    CHECK_NOTHROW(memory::check_view({pieces, windows, ring, 4}, position, layout));
    CHECK_THROWS_WITH(
        memory::check_view({pieces, windows, std::vector<std::int32_t>(4), 3}, position, layout),
        "number of rows in a ring is 3; expected at least the window, 4");
    std::vector<std::int32_t> const of_two{-1, -1, 1, 0, 1}, too_short{-1, -1, 0, 1, 1};
    CHECK_NOTHROW(memory::check_view({pieces, windows, of_two, 2}, position, layout));
    CHECK_NOTHROW(memory::check_view({pieces, windows, of_two, 2}, 9_tokens, layout));
    CHECK_THROWS_WITH(memory::check_view({pieces, windows, too_short, 2}, position, layout),
                      "number of rows in a ring is 2; expected at least the window, 4");

    std::vector<std::int32_t> const turns{-1, -1, -1, -1, -1, -1, 0, 1, 0, 1};
    CHECK_THROWS_WITH(memory::check_view({pieces, windows, turns, 1}, position, layout),
                      "number of rows in a ring is 2; expected at least the window, 4");
    std::vector<std::int32_t> const own{-1, -1, -1, 4, 5};
    windows[0] = {.blocks = own, .block_tokens = 2};
    CHECK_NOTHROW(memory::check_view({pieces, windows, {}, 0, 6}, position, layout));
    CHECK_THROWS_WITH(memory::check_view({pieces, windows, {}, 0, 5}, position, layout),
                      "a block of the state_view is 5; expected less than pool_blocks, 5");
    windows[0].block_tokens = 0;
    CHECK_NOTHROW(memory::check_view({pieces, windows, {}, 2}, position, layout));
    CHECK_THROWS_WITH(memory::check_view({pieces, windows}, position, layout),
                      "block_tokens of the state_view is 0; expected at least 1, since it has "
                      "blocks");
    windows[0] = {.row_stride = 8, .block_stride = 24, .block_tokens = 2};
    CHECK_THROWS_WITH(memory::check_view(view, position, layout),
                      "block_tokens of a window is 2; expected 0, since it has no blocks of its "
                      "own");
    windows[0] = {.row_stride = 8, .block_stride = 24};

    view.block_tokens = 0;
    says("block_tokens of the state_view is 0; expected at least 1, since it has blocks");
    blocks.clear();
    windows[0] = {.row_stride = 8, .block_stride = 24};
    says("block_stride of a window is 24; expected 0, since the state_view has no blocks");
}
