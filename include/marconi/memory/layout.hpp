#pragma once

#include <marconi/core/config.hpp>
#include <marconi/core/error.hpp>
#include <marconi/core/finite.hpp>
#include <marconi/core/footprint.hpp>
#include <marconi/core/hash.hpp>
#include <marconi/core/types.hpp>
#include <marconi/core/units.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace marconi::memory {

/// How a store cuts its arena.
struct page_options {
    token_count block_tokens{16};    ///< tokens a KV block, 1 to 256
    byte_count page_bytes{64 << 10}; ///< for models with no full attention only; a multiple of 256
    /// Whether to zero a page when its last owner lets go, so that nothing it held stays in memory.
    /// It runs at memset's speed: 27 MB for a checkpoint of the paper's 7B model. host_store only:
    /// device_store, relay_store and rank_memory refuse it, ledger_store has no bytes to zero.
    /// Pages still in use when the store is destroyed are not zeroed: clear() the cache first.
    /// Pages never used hold whatever their memory held before.
    bool zero_freed_pages = false;
};

/// Where things lie in pages. A KV block is one page:
///
///     | K of layer 0, block_tokens rows | V of layer 0 | K of layer 1 | ... | padding to 256 |
///
/// A checkpoint is its pieces one after the other, each starting at a multiple of 16 bytes, cut
/// into as many pages as it takes; the pages need not be neighbours.
class page_layout {
public:
    /// Throws invalid_argument for options or FLOPs out of range, size_overflow for absurd
    /// footprints, such as pages of 4 GiB.
    page_layout(footprint model, page_options options)
        : model_{std::move(model)}, block_tokens_{options.block_tokens.value()} {
        MARCONI_EXPECT(block_tokens_ >= 1 && block_tokens_ <= 256, "block_tokens", block_tokens_,
                       "1 to 256");
        std::uint64_t offset = 0;
        for (kv_layer const& layer : model_.kv_layers) {
            key_offsets_.push_back(offset);
            offset = checked_sum(
                offset, checked_product(layer.key_bytes, block_tokens_, "KV block"), "KV block");
            value_offsets_.push_back(offset);
            offset = checked_sum(
                offset, checked_product(layer.value_bytes, block_tokens_, "KV block"), "KV block");
        }
        has_kv_ = offset != 0;
        MARCONI_EXPECT(has_kv_ || model_.has_checkpoints(), "footprint", "empty",
                       "a model with KV, or checkpoints, or both");
        page_bytes_ = has_kv_ ? round_up(checked_sum(offset, 255, "KV block") - 255, 256)
                              : options.page_bytes.value();
        MARCONI_EXPECT(page_bytes_ >= 256 && page_bytes_ % 256 == 0, "page_bytes", page_bytes_,
                       "a multiple of 256, at least 256");
        if (page_bytes_ >> 32 != 0) // copies compute within a page in 32 bits
            throw size_overflow{"pages of " + std::to_string(page_bytes_) +
                                " bytes; the limit is 2^32"};
        check_flops();
        std::uint64_t checkpoint = 0;
        for (state_piece const& piece : model_.state_pieces) {
            std::uint64_t const window =
                checked_product(piece.window, piece.bytes_per_window_token, "window");
            checkpoint = checked_sum(checkpoint, piece_alignment, "checkpoint");
            checkpoint = checked_sum(checkpoint, checked_sum(piece.fixed_bytes, window, "window"),
                                     "checkpoint");
            longest_window_ = std::max(longest_window_, piece.window);
            count_piece(piece);
        }
        full_checkpoint_bytes_ = sum_of_pieces(longest_window_);
        MARCONI_EXPECT(has_kv_ || sum_of_pieces(1) > 0, "bytes of a checkpoint", 0,
                       "more than 0, where there is no KV");
        fingerprint_ = hash_of_sizes();
    }

    [[nodiscard]] footprint const& model() const { return model_; }
    /// As the model's, in O(1).
    [[nodiscard]] bool has_kv() const { return has_kv_; }
    [[nodiscard]] std::uint32_t block_tokens() const {
        return static_cast<std::uint32_t>(block_tokens_);
    }
    [[nodiscard]] byte_count page_bytes() const { return byte_count{page_bytes_}; }

    /// A page of an arena, which begins where page 0 does.
    [[nodiscard]] std::span<std::byte> page(std::byte* arena, page_id id) const {
        return {arena + id.value() * page_bytes_, page_bytes_};
    }

    /// Blocks that tokens [begin, end) touch; 0 for a model without KV.
    [[nodiscard]] std::uint64_t blocks_touched(std::uint64_t begin, std::uint64_t end) const {
        if (begin == end || !has_kv_) return 0;
        return (end - 1) / block_tokens_ - begin / block_tokens_ + 1;
    }

    /// Byte offset of row `row` (a token's place in its block) of a layer's key, and value.
    [[nodiscard]] std::uint64_t key_offset(std::size_t layer, std::uint64_t row) const {
        return key_offsets_[layer] + row * model_.kv_layers[layer].key_bytes;
    }
    [[nodiscard]] std::uint64_t value_offset(std::size_t layer, std::uint64_t row) const {
        return value_offsets_[layer] + row * model_.kv_layers[layer].value_bytes;
    }

    /// Bytes a checkpoint at `position` takes, with each piece's padding. O(pieces), and O(1) past
    /// the longest window: from there on the size stays the same.
    [[nodiscard]] byte_count checkpoint_bytes(token_count position) const {
        return byte_count{position.value() < longest_window_ ? sum_of_pieces(position.value())
                                                             : full_checkpoint_bytes_};
    }
    [[nodiscard]] std::uint64_t checkpoint_pages(token_count position) const {
        return divide_up(checkpoint_bytes(position).value(), page_bytes_);
    }
    /// Bytes of the pages of a checkpoint whose windows are full.
    [[nodiscard]] byte_count largest_checkpoint() const {
        return page_bytes() * divide_up(full_checkpoint_bytes_, page_bytes_);
    }

    /// Equal for layouts that cut alike, and almost never for others: processes compare theirs.
    [[nodiscard]] std::uint64_t fingerprint() const { return fingerprint_; }

    /// Pieces of a checkpoint start at multiples of this many bytes.
    static constexpr std::uint64_t piece_alignment = 16;

private:
    void check_flops() const {
        auto const expect = [](double flops, char const* name) {
            MARCONI_EXPECT(is_finite(flops) && flops >= 0, name, flops, "0 or more, and finite");
        };
        expect(model_.flops.per_token, "flops.per_token");
        expect(model_.flops.per_pair, "flops.per_pair");
        for (flop_curve::windowed const& w : model_.flops.windows)
            expect(w.per_pair, "per_pair of a window in flops");
        // Policies multiply FLOPs by weights and counts of uses, and add up the products.
        double const longest = model_.flops.up_to(token_count{most_tokens}).value();
        MARCONI_EXPECT(longest <= 1e200, "flops of the longest sequence", longest, "at most 1e200");
    }
    [[nodiscard]] std::uint64_t hash_of_sizes() const {
        std::uint64_t hash = mix(page_bytes_ ^ mix(block_tokens_));
        auto const add = [&](std::uint64_t size) { hash = mix(hash + size); };
        for (kv_layer const& layer : model_.kv_layers) {
            add(layer.key_bytes);
            add(layer.value_bytes);
        }
        add(model_.kv_layers.size());
        for (state_piece const& piece : model_.state_pieces) {
            add(piece.fixed_bytes);
            add(piece.window);
            add(piece.bytes_per_window_token);
        }
        return hash;
    }
    [[nodiscard]] std::uint64_t sum_of_pieces(std::uint64_t position) const {
        std::uint64_t sum = 0;
        for (auto const& [piece, count] : pieces_)
            sum += count * round_up(piece.bytes_at(position), piece_alignment);
        return sum;
    }
    /// Layers of one kind have equal pieces, so that few sizes are to be added up.
    void count_piece(state_piece const& piece) {
        for (auto& [known, count] : pieces_)
            if (known == piece) {
                ++count;
                return;
            }
        pieces_.emplace_back(piece, 1);
    }

    footprint model_;
    std::uint64_t block_tokens_;
    bool has_kv_ = false;
    std::uint64_t page_bytes_ = 0;
    std::uint64_t longest_window_ = 0;
    std::uint64_t full_checkpoint_bytes_ = 0;
    std::uint64_t fingerprint_ = 0;
    std::vector<std::uint64_t> key_offsets_, value_offsets_;
    std::vector<std::pair<state_piece, std::uint64_t>> pieces_; ///< different ones, and how many
};

/// Pages that fit in `capacity`. Throws invalid_argument if that is not even one, or more than ids
/// can number.
[[nodiscard]] inline std::uint64_t whole_pages(byte_count capacity, page_layout const& layout) {
    MARCONI_EXPECT(capacity >= layout.page_bytes(), "capacity in bytes", capacity.value(),
                   "at least one page of this model, " +
                       std::to_string(layout.page_bytes().value()));
    std::uint64_t const pages = capacity / layout.page_bytes();
    MARCONI_EXPECT(pages <= most_pages, "capacity in bytes", capacity.value(),
                   "at most " + std::to_string(most_pages) + " pages of this model, " +
                       std::to_string(layout.page_bytes().value()) + " each");
    return pages;
}

} // namespace marconi::memory
