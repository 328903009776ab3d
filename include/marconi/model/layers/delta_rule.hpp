#pragma once

// Linear attention by the delta rule: a matrix per head that is corrected at every token, and the
// last inputs of the convolutions before it.

#include <marconi/model/layers/kind.hpp>
#include <marconi/model/layers/paper.hpp>
#include <marconi/model/layers/state_space.hpp>

#include <cstdint>

namespace marconi::model {

/// Gated delta net (arXiv 2412.06464) as in Qwen3-Next: a state of key_dim * value_dim elements
/// per value head; one convolution over Q, K and V. FLOPs: projections to Q, K, V, an output gate
/// as wide as V and two gates per value head, and out; the step S = a S + b (v - S k) k, y = S q,
/// 7 per element: decay 1, S k 2, correction 2, S q 2.
struct gated_delta_net {
    std::uint64_t key_heads = 0;
    std::uint64_t value_heads = 0;
    std::uint64_t key_dim = 0;     ///< per head
    std::uint64_t value_dim = 0;   ///< per head
    std::uint64_t convolution = 4; ///< taps

    [[nodiscard]] layer_cost shape_cost(dimensions const& around) const {
        check();
        std::uint64_t const keys = size_of("key channels", key_heads, key_dim);
        std::uint64_t const values = size_of("value channels", value_heads, value_dim);
        std::uint64_t const elements = size_of("state elements", values, key_dim);
        std::uint64_t const channels =
            checked_sum(size_of("key channels", std::uint64_t{2}, keys), values, "channels");
        return {.states = {{.bytes = size_of("state bytes", elements, around.bytes.state)},
                           {.bytes = convolution_bytes(channels, convolution, around)}},
                .flops_per_token =
                    matmul_flops(around.width, channels) + matmul_flops(around.width, values) +
                    2 * matmul_flops(around.width, value_heads) +
                    convolution_flops(channels, convolution) + 7 * static_cast<double>(elements) +
                    matmul_flops(values, around.width),
                .parallel_heads = key_heads};
    }

    /// N is the elements of state per value channel: key_dim.
    [[nodiscard]] layer_cost paper_cost(dimensions const& around) const {
        check();
        return paper::mamba(around.width, key_dim, key_heads);
    }

    void check() const {
        MARCONI_EXPECT(key_heads > 0, "key_heads", key_heads, "at least 1");
        MARCONI_EXPECT(key_dim > 0, "key_dim", key_dim, "at least 1");
        MARCONI_EXPECT(value_dim > 0, "value_dim", value_dim, "at least 1");
        MARCONI_EXPECT(value_heads > 0 && value_heads % key_heads == 0, "value_heads", value_heads,
                       "a multiple of key_heads");
    }
};
static_assert(paper_layer_kind<gated_delta_net>);

/// Kimi delta attention (arXiv 2510.26692): the same with a decay per channel of the key, as many
/// key as value heads, and a convolution each for Q, K and V. FLOPs: projections to Q, K and V and
/// out, a gate per head, decay and output gate through a rank of head_dim each; 7 per element of
/// the state.
struct kimi_delta_attention {
    std::uint64_t heads = 0;
    std::uint64_t head_dim = 0;
    std::uint64_t convolution = 4; ///< taps

    [[nodiscard]] layer_cost shape_cost(dimensions const& around) const {
        check();
        std::uint64_t const inner = size_of("heads * head_dim", heads, head_dim);
        std::uint64_t const elements = size_of("state elements", inner, head_dim);
        state_cost const convolved{.bytes = convolution_bytes(inner, convolution, around)};
        return {
            .states = {{.bytes = size_of("state bytes", elements, around.bytes.state)},
                       convolved,
                       convolved,
                       convolved},
            .flops_per_token =
                3 * (matmul_flops(around.width, inner) + convolution_flops(inner, convolution)) +
                2 * (matmul_flops(around.width, head_dim) + matmul_flops(head_dim, inner)) +
                matmul_flops(around.width, heads) + 7 * static_cast<double>(elements) +
                matmul_flops(inner, around.width),
            .parallel_heads = heads};
    }

    /// N is the elements of state per value channel: head_dim.
    [[nodiscard]] layer_cost paper_cost(dimensions const& around) const {
        check();
        return paper::mamba(around.width, head_dim, heads);
    }

    void check() const {
        MARCONI_EXPECT(heads > 0, "heads", heads, "at least 1");
        MARCONI_EXPECT(head_dim > 0, "head_dim", head_dim, "at least 1");
    }
};
static_assert(paper_layer_kind<kimi_delta_attention>);

} // namespace marconi::model
