#pragma once

// Layers that attend to tokens. FLOPs count a multiply-add as two, and only the pairs that a causal
// mask leaves: L^2 / 2 of them, so c FLOPs per pair become a coefficient of c / 2 for L^2.

#include <marconi/model/layers/kind.hpp>
#include <marconi/model/layers/paper.hpp>

#include <cstdint>

namespace marconi::model {

/// Softmax attention over all tokens, with grouped heads (arXiv 2305.13245).
/// Per token, K and V: kv_heads * head_dim and kv_heads * value_dim elements. FLOPs: the four
/// projections (with `output_gate` a fifth, as wide as all values of a token's heads); Q K^T and
/// A V, 2 heads * head_dim and 2 heads * value_dim per pair.
struct full_attention {
    std::uint64_t heads = 0;
    std::uint64_t kv_heads = 0;
    std::uint64_t head_dim = 0;
    std::uint64_t value_dim = 0; ///< elements of a head's value; 0: head_dim
    bool output_gate = false;
    bool values_from_keys = false; ///< V is made from K's projection, but still stored
    std::uint64_t input_width = 0; ///< elements that Q, K and V are projected from; 0: the width

    [[nodiscard]] layer_cost shape_cost(dimensions const& around) const {
        check();
        std::uint64_t const from = input_width == 0 ? around.width : input_width;
        std::uint64_t const of_value = value_dim == 0 ? head_dim : value_dim;
        std::uint64_t const queries = size_of("heads * head_dim", heads, head_dim);
        std::uint64_t const read = size_of("heads * value_dim", heads, of_value);
        std::uint64_t const keys = size_of("kv_heads * head_dim", kv_heads, head_dim);
        std::uint64_t const values = size_of("kv_heads * value_dim", kv_heads, of_value);
        return {.kv = {.key_bytes = size_of("key bytes per token", keys, around.bytes.kv),
                       .value_bytes = size_of("value bytes per token", values, around.bytes.kv)},
                .kv_groups = kv_heads,
                .flops_per_token = matmul_flops(from, queries) + matmul_flops(from, keys) +
                                   (values_from_keys ? 0 : matmul_flops(from, values)) +
                                   (output_gate ? matmul_flops(from, read) : 0) +
                                   matmul_flops(read, around.width),
                .flops_per_pair = static_cast<double>(queries) + static_cast<double>(read),
                .parallel_heads = heads};
    }

    [[nodiscard]] layer_cost paper_cost(dimensions const& around) const {
        check();
        return paper::attention(around.width, heads);
    }

    void check() const {
        MARCONI_EXPECT(heads > 0, "heads", heads, "at least 1");
        MARCONI_EXPECT(head_dim > 0, "head_dim", head_dim, "at least 1");
        MARCONI_EXPECT(kv_heads > 0 && heads % kv_heads == 0, "kv_heads", kv_heads,
                       "a divisor of heads");
        MARCONI_EXPECT(!values_from_keys || value_dim == 0 || value_dim == head_dim, "value_dim",
                       value_dim, "head_dim, where values are made of keys");
    }
};
static_assert(paper_layer_kind<full_attention>);

/// Softmax attention over the last `window` tokens, the current one included. Its KV is bounded,
/// so it belongs to the checkpoint: K and V of min(position, window) tokens.
struct sliding_window_attention {
    std::uint64_t heads = 0;
    std::uint64_t kv_heads = 0;
    std::uint64_t head_dim = 0;
    std::uint64_t value_dim = 0; ///< elements of a head's value; 0: head_dim
    std::uint64_t window = 0;    ///< tokens
    bool keys_apart = false;     ///< K and V in tensors of their own: two pieces of state, not one

    [[nodiscard]] layer_cost shape_cost(dimensions const& around) const {
        layer_cost result = attention().shape_cost(around);
        std::uint64_t const keys = result.kv.key_bytes, values = result.kv.value_bytes;
        auto const rows_of = [&](std::uint64_t bytes) {
            return state_cost{
                .grouped_bytes_per_window_token = bytes, .window = window, .groups = kv_heads};
        };
        std::uint64_t const both = checked_sum(keys, values, "bytes per window token");
        if (keys_apart)
            result.states = {rows_of(keys), rows_of(values)};
        else
            result.states = {rows_of(both)};
        result.kv = {};
        result.window = window;
        return result;
    }

    [[nodiscard]] layer_cost paper_cost(dimensions const& around) const {
        return paper::windowed_attention(around.width, attention().heads, window);
    }

    /// The same layer without its window.
    [[nodiscard]] full_attention attention() const {
        MARCONI_EXPECT(window > 0, "window", window, "at least 1");
        full_attention const whole{
            .heads = heads, .kv_heads = kv_heads, .head_dim = head_dim, .value_dim = value_dim};
        whole.check();
        return whole;
    }
};
static_assert(paper_layer_kind<sliding_window_attention>);

/// Tokens past its window that an attention layer goes on attending to, chosen by their content: an
/// eidetic memory (B'MOJO, arXiv 2407.06324). Their K and V belong to the checkpoint, which counts
/// all `tokens` of them at any position: the most that they take. FLOPs: Q K^T and A V for all of
/// them at every token; queries, keys and values are those of the layer with the window.
struct retained_tokens {
    std::uint64_t heads = 0;
    std::uint64_t kv_heads = 0;
    std::uint64_t head_dim = 0;
    std::uint64_t tokens = 0;

    [[nodiscard]] layer_cost shape_cost(dimensions const& around) const {
        full_attention const attending{.heads = heads, .kv_heads = kv_heads, .head_dim = head_dim};
        layer_cost const one = attending.shape_cost(around);
        std::uint64_t const bytes =
            checked_sum(one.kv.key_bytes, one.kv.value_bytes, "bytes per retained token");
        return {.states = {{.grouped_bytes = size_of("retained bytes", bytes, tokens),
                            .groups = kv_heads}},
                // flops_per_pair is c / 2, the coefficient of L^2; a pair by itself costs c.
                .flops_per_token = 2 * one.flops_per_pair * static_cast<double>(tokens),
                .parallel_heads = heads};
    }
};
static_assert(layer_kind<retained_tokens>);

/// Multi-head latent attention (DeepSeek-V2, arXiv 2405.04434): per token one latent vector of
/// kv_rank elements and one rotary key of rope_dim, shared by all heads, hence the same on every
/// rank. FLOPs are those of a prefill, which expands the latent vector to heads: per pair
/// 2 heads * (nope_dim + rope_dim) for Q K^T and 2 heads * value_dim for A V.
struct latent_attention {
    std::uint64_t heads = 0;
    std::uint64_t kv_rank = 0;
    std::uint64_t nope_dim = 0; ///< elements of a head's query without a position
    std::uint64_t rope_dim = 0; ///< elements of a head's query with one
    std::uint64_t value_dim = 0;
    std::uint64_t query_rank = 0; ///< 0: queries are projected from the width directly

    [[nodiscard]] layer_cost shape_cost(dimensions const& around) const {
        check();
        std::uint64_t const stored = checked_sum(kv_rank, rope_dim, "latent elements");
        std::uint64_t const queries =
            size_of("queries", heads, checked_sum(nope_dim, rope_dim, "query elements"));
        std::uint64_t const values = size_of("values", heads, value_dim);
        std::uint64_t const expanded =
            size_of("latent heads", heads, checked_sum(nope_dim, value_dim, "latent heads"));
        double const query_flops = query_rank == 0 ? matmul_flops(around.width, queries)
                                                   : matmul_flops(around.width, query_rank) +
                                                         matmul_flops(query_rank, queries);
        return {.kv = {.key_bytes = size_of("latent bytes", stored, around.bytes.kv)},
                .flops_per_token = query_flops + matmul_flops(around.width, stored) +
                                   matmul_flops(kv_rank, expanded) +
                                   matmul_flops(values, around.width),
                .flops_per_pair = static_cast<double>(queries) + static_cast<double>(values),
                .parallel_heads = heads};
    }

    [[nodiscard]] layer_cost paper_cost(dimensions const& around) const {
        check();
        return paper::attention(around.width, heads);
    }

    void check() const {
        MARCONI_EXPECT(heads > 0, "heads", heads, "at least 1");
        MARCONI_EXPECT(kv_rank > 0, "kv_rank", kv_rank, "at least 1");
        MARCONI_EXPECT(value_dim > 0, "value_dim", value_dim, "at least 1");
        MARCONI_EXPECT(nope_dim > 0 || rope_dim > 0, "nope_dim", nope_dim,
                       "at least 1, or a rope_dim that is");
    }
};
static_assert(paper_layer_kind<latent_attention>);

} // namespace marconi::model
