#pragma once

// The plain record that model/ makes and that stores and the cache take: what one sequence of a
// model costs in bytes and FLOPs, and which pieces make up its state. Make one by hand for a model
// that model/ cannot describe.

#include <marconi/core/types.hpp>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

namespace marconi {

/// One full-attention layer: bytes of its key and of its value, per token. A layer that stores one
/// joint vector a token (multi-head latent attention) has only a key.
struct kv_layer {
    std::uint64_t key_bytes = 0;
    std::uint64_t value_bytes = 0;
};

/// One piece of a checkpoint: bytes that are always there (a recurrent or convolution state) and
/// bytes per token for the last `window` tokens (the KV of a sliding-window layer).
struct state_piece {
    std::uint64_t fixed_bytes = 0;
    std::uint64_t window = 0;
    std::uint64_t bytes_per_window_token = 0;

    /// Bytes of this piece in a checkpoint at `position`: fewer before the window is full.
    [[nodiscard]] constexpr std::uint64_t bytes_at(std::uint64_t position) const {
        return fixed_bytes + bytes_per_window_token * std::min(position, window);
    }
    friend constexpr bool operator==(state_piece const&, state_piece const&) = default;
};

/// FLOPs to process the first L tokens, as a sum of terms:
///     per_token * L + per_pair * L^2 + sum over windows of per_pair_w * P_w(L),
/// where P_w(L) = L^2 up to L = w, and w^2 + 2 w (L - w) beyond: a window's share of the pairs.
struct flop_curve {
    struct windowed {
        std::uint64_t window = 0;
        double per_pair = 0;
    };

    double per_token = 0;
    double per_pair = 0;
    std::vector<windowed> windows = {};

    /// FLOPs of a prefill of `tokens` tokens from nothing.
    [[nodiscard]] flop_count up_to(token_count tokens) const {
        double const length = static_cast<double>(tokens.value());
        double total = per_token * length + per_pair * length * length;
        for (windowed const& w : windows) {
            double const inside = std::min(length, static_cast<double>(w.window));
            total += w.per_pair * (inside * inside + 2 * inside * (length - inside));
        }
        return flop_count{total};
    }

    /// FLOPs to process tokens [from, to), given the state at `from`.
    [[nodiscard]] flop_count between(token_count from, token_count to) const {
        return up_to(to) - up_to(from);
    }
};

/// What a sequence of one model costs on one rank.
struct footprint {
    std::string model = {};
    std::vector<kv_layer> kv_layers = {};
    std::vector<state_piece> state_pieces = {};
    flop_curve flops = {};

    /// Bytes of KV per token over all full-attention layers; 0 where there are none.
    [[nodiscard]] byte_count kv_bytes_per_token() const {
        std::uint64_t sum = 0;
        for (kv_layer const& layer : kv_layers)
            sum += layer.key_bytes + layer.value_bytes;
        return byte_count{sum};
    }

    /// Bytes of a checkpoint at `position`, without padding.
    [[nodiscard]] byte_count checkpoint_bytes(token_count position) const {
        std::uint64_t sum = 0;
        for (state_piece const& piece : state_pieces)
            sum += piece.bytes_at(position.value());
        return byte_count{sum};
    }

    /// Whether resuming needs a checkpoint at all. Without one every token is resumable.
    [[nodiscard]] bool has_checkpoints() const { return !state_pieces.empty(); }
    /// Whether tokens have KV of their own. Without it nodes own no blocks.
    [[nodiscard]] bool has_kv() const { return kv_bytes_per_token() > byte_count{}; }
};

} // namespace marconi
