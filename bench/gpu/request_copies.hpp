#pragma once

// One request's pages and engine memory on a device, several times over so that copies rotate over
// more than the caches hold, and the same copies as a list of segments.

#include <marconi/core/footprint.hpp>
#include <marconi/core/types.hpp>
#include <marconi/core/units.hpp>
#include <marconi/gpu/device_resource.hpp>
#include <marconi/memory/host_resource.hpp>
#include <marconi/memory/layout.hpp>
#include <marconi/memory/transfer.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <random>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

namespace gpu_bench {

using marconi::page_id;
using marconi::token_count;
using device_memory = marconi::memory::arena_memory<marconi::gpu::device_resource>;

/// What one copy engine call, or one descriptor, would move.
struct segment_list {
    std::vector<std::byte*> in_pages, in_engine;
    std::vector<std::size_t> bytes;

    void add(std::byte* page, std::byte* engine, std::size_t n) {
        in_pages.push_back(page);
        in_engine.push_back(engine);
        bytes.push_back(n);
    }
    [[nodiscard]] bool all_multiples_of(std::size_t unit) const {
        auto const fits = [&](auto const& values) {
            return std::ranges::all_of(values, [&](auto value) {
                if constexpr (std::is_pointer_v<decltype(value)>)
                    return reinterpret_cast<std::uintptr_t>(value) % unit == 0;
                else
                    return value % unit == 0;
            });
        };
        return fits(in_pages) && fits(in_engine) && fits(bytes);
    }
    /// The same in segments of at most `most` bytes.
    [[nodiscard]] segment_list cut(std::size_t most) const {
        segment_list list;
        for (std::size_t s = 0; s < bytes.size(); ++s)
            for (std::size_t at = 0; at < bytes[s]; at += most)
                list.add(in_pages[s] + at, in_engine[s] + at, std::min(most, bytes[s] - at));
        return list;
    }
};

/// How an engine keeps the KV of a layer: in one piece, or in blocks of 16 tokens anywhere, each
/// laid out by tokens or by heads of 256 bytes.
enum class arrangement { one_piece, blocks, blocks_by_head };

inline char const* name(arrangement a) {
    constexpr char const* names[] = {"one_piece", "blocks", "blocks_by_head"};
    return names[static_cast<int>(a)];
}

/// The engine's memory of one request: per layer all keys, then all values; then the state.
class engine_request {
public:
    engine_request(marconi::memory::page_layout const& layout, token_count tokens,
                   arrangement arranged = arrangement::one_piece)
        : memory_{marconi::gpu::device_resource{}, bytes_for(layout, tokens)} {
        std::byte* at = memory_.data();
        auto const take = [&](std::uint64_t bytes) {
            return std::exchange(at, at + marconi::round_up(bytes, 256));
        };
        std::uint64_t const rows = marconi::round_up(tokens.value(), block_tokens);
        for (marconi::kv_layer const& layer : layout.model().kv_layers) {
            std::byte* const key = take(layer.key_bytes * rows);
            layers_.push_back({.key = key, .value = take(layer.value_bytes * rows)});
            if (arranged == arrangement::blocks_by_head) by_head(layers_.back(), layer);
        }
        for (marconi::state_piece const& piece : layout.model().state_pieces)
            pieces_.push_back(take(piece.bytes_at(tokens.value())));
        if (arranged == arrangement::one_piece) return;
        blocks_.resize(rows / block_tokens);
        std::iota(blocks_.begin(), blocks_.end(), 0);
        std::shuffle(blocks_.begin(), blocks_.end(), std::mt19937{2});
    }
    [[nodiscard]] marconi::memory::kv_view kv() const {
        if (blocks_.empty()) return {layers_};
        return {layers_, blocks_, block_tokens};
    }
    [[nodiscard]] marconi::memory::state_view state() const { return {pieces_}; }
    [[nodiscard]] std::byte* data() const { return memory_.data(); }
    [[nodiscard]] std::size_t bytes() const { return memory_.bytes(); }

private:
    static constexpr std::uint32_t block_tokens = 16, head_bytes = 256;

    static void by_head(marconi::memory::kv_layer_view& view, marconi::kv_layer const& layer) {
        view.heads = static_cast<std::uint32_t>(layer.key_bytes / head_bytes);
        view.key_stride = view.value_stride = head_bytes;
        view.key_head_stride = view.value_head_stride = head_bytes * block_tokens;
        view.key_block_stride = static_cast<std::ptrdiff_t>(layer.key_bytes * block_tokens);
        view.value_block_stride = static_cast<std::ptrdiff_t>(layer.value_bytes * block_tokens);
    }
    static std::size_t bytes_for(marconi::memory::page_layout const& layout, token_count tokens) {
        std::uint64_t const rows = marconi::round_up(tokens.value(), block_tokens);
        std::uint64_t bytes = 256;
        for (marconi::kv_layer const& layer : layout.model().kv_layers)
            bytes += marconi::round_up(layer.key_bytes * rows, 256) +
                     marconi::round_up(layer.value_bytes * rows, 256);
        for (marconi::state_piece const& piece : layout.model().state_pieces)
            bytes += marconi::round_up(piece.bytes_at(tokens.value()), 256);
        return bytes;
    }

    device_memory memory_;
    std::vector<marconi::memory::kv_layer_view> layers_;
    std::vector<std::byte*> pieces_;
    std::vector<std::int32_t> blocks_;
};

/// The request's KV of `tokens` tokens and the checkpoint behind them.
struct request_copy {
    request_copy(marconi::memory::page_layout const& layout, token_count kv_tokens,
                 std::span<page_id const> pages, arrangement arranged)
        : tokens{kv_tokens},
          engine{layout, kv_tokens, arranged},
          kv_pages{pages.begin(), pages.begin() + kv_page_count(layout, kv_tokens)},
          state_pages{pages.begin() + kv_page_count(layout, kv_tokens), pages.end()},
          checkpoint{{kv_tokens, state_pages, engine.state()}} {}
    request_copy(request_copy const&) = delete;
    request_copy& operator=(request_copy const&) = delete;

    static std::ptrdiff_t kv_page_count(marconi::memory::page_layout const& layout,
                                        token_count tokens) {
        return static_cast<std::ptrdiff_t>(layout.blocks_touched(0, tokens.value()));
    }
    static std::uint64_t page_count(marconi::memory::page_layout const& layout,
                                    token_count tokens) {
        return layout.blocks_touched(0, tokens.value()) + layout.checkpoint_pages(tokens);
    }
    [[nodiscard]] marconi::memory::transfer work() const {
        return {.kv = {token_count{}, tokens, kv_pages, engine.kv()}, .checkpoints = checkpoint};
    }
    /// The copies between these pages and the memory of `target`, which may be any request of this
    /// shape with its KV in one piece.
    [[nodiscard]] segment_list segments(marconi::memory::page_layout const& layout,
                                        std::byte* arena, engine_request const& target) const;

    token_count tokens;
    engine_request engine;
    std::vector<page_id> kv_pages, state_pages;
    std::vector<marconi::memory::checkpoint_transfer> checkpoint;
};

inline segment_list request_copy::segments(marconi::memory::page_layout const& layout,
                                           std::byte* arena, engine_request const& target) const {
    segment_list list;
    std::uint64_t const page_bytes = layout.page_bytes().value();
    std::uint64_t const block = layout.block_tokens();
    for (std::uint64_t i = 0; i < kv_pages.size(); ++i) {
        std::byte* const page = arena + kv_pages[i].value() * page_bytes;
        std::uint64_t const rows = std::min(block, tokens.value() - i * block);
        for (std::size_t l = 0; l < layout.model().kv_layers.size(); ++l) {
            auto const& bytes = layout.model().kv_layers[l];
            auto const& view = target.kv().layers[l];
            if (bytes.key_bytes)
                list.add(page + layout.key_offset(l, 0), view.key + i * block * bytes.key_bytes,
                         rows * bytes.key_bytes);
            if (bytes.value_bytes)
                list.add(page + layout.value_offset(l, 0),
                         view.value + i * block * bytes.value_bytes, rows * bytes.value_bytes);
        }
    }
    std::uint64_t at = 0;
    for (std::size_t p = 0; p < target.state().pieces.size(); ++p) {
        std::uint64_t const size = layout.model().state_pieces[p].bytes_at(tokens.value());
        for (std::uint64_t done = 0; done < size;) {
            std::uint64_t const in_page = (at + done) % page_bytes;
            std::uint64_t const run = std::min(size - done, page_bytes - in_page);
            list.add(arena + state_pages[(at + done) / page_bytes].value() * page_bytes + in_page,
                     target.state().pieces[p] + done, run);
            done += run;
        }
        at += marconi::round_up(size, marconi::memory::page_layout::piece_alignment);
    }
    return list;
}

} // namespace gpu_bench
