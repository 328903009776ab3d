#pragma once

// State-space layers and gated linear recurrences: a state of fixed size, overwritten at every
// token, and the last inputs of a short causal convolution.
//
// FLOPs of a recurrence are those of its step, taken token by token. Kernels that work in chunks
// do more of them, in matrix units; what a cache saves is the same in proportion.

#include <marconi/model/layers/kind.hpp>
#include <marconi/model/layers/paper.hpp>

#include <cstdint>

namespace marconi::model {

/// FLOPs per token of a causal depthwise convolution: a multiply-add for each tap.
[[nodiscard]] constexpr double convolution_flops(std::uint64_t channels, std::uint64_t taps) {
    return matmul_flops(channels, taps);
}

/// Bytes that a causal convolution keeps: its last taps - 1 inputs.
[[nodiscard]] constexpr std::uint64_t convolution_bytes(std::uint64_t channels, std::uint64_t taps,
                                                        dimensions const& around) {
    MARCONI_EXPECT(taps > 0, "convolution", taps, "at least 1 tap");
    return size_of("convolution bytes", channels, taps - 1, around.bytes.convolution);
}

/// Mamba (arXiv 2312.00752): an SSM state of channels * state elements and a convolution over the
/// channels. FLOPs: projections in (twice the channels), to step rank + B + C, from the step rank,
/// and out; the step h = exp(dt A) h + (dt x) B, y = C h, 7 per element of the state.
struct mamba {
    std::uint64_t channels = 0; ///< inner width: expansion * D
    std::uint64_t state = 0;    ///< N, per channel
    std::uint64_t step_rank = 0;
    std::uint64_t convolution = 4; ///< taps

    [[nodiscard]] layer_cost shape_cost(dimensions const& around) const {
        check();
        std::uint64_t const elements = size_of("state elements", channels, state);
        return {.states = {{.bytes = size_of("state bytes", elements, around.bytes.state)},
                           {.bytes = convolution_bytes(channels, convolution, around)}},
                .flops_per_token =
                    2 * matmul_flops(around.width, channels) +
                    convolution_flops(channels, convolution) + matmul_flops(channels, step_rank) +
                    2 * matmul_flops(channels, state) + matmul_flops(step_rank, channels) +
                    7 * static_cast<double>(elements) + matmul_flops(channels, around.width),
                .parallel_heads = channels};
    }

    [[nodiscard]] layer_cost paper_cost(dimensions const& around) const {
        check();
        return paper::mamba(around.width, state, channels);
    }

    void check() const {
        MARCONI_EXPECT(channels > 0, "channels", channels, "at least 1");
        MARCONI_EXPECT(state > 0, "state", state, "at least 1");
    }
};
static_assert(paper_layer_kind<mamba>);

/// Mamba-2 (arXiv 2405.21060): an SSM state of heads * head_dim * state elements and a convolution
/// over x, B and C: heads * head_dim + 2 groups * state channels. FLOPs: projections in (x and its
/// gate, B, C and a step per head) and out; the step, whose decay is one number a head, 5 per
/// element of the state. B and C belong to groups of heads, which ranks may have to share.
struct mamba2 {
    std::uint64_t heads = 0;
    std::uint64_t head_dim = 0;
    std::uint64_t state = 0; ///< N, per channel
    std::uint64_t groups = 1;
    std::uint64_t convolution = 4; ///< taps

    [[nodiscard]] layer_cost shape_cost(dimensions const& around) const {
        check();
        std::uint64_t const inner = size_of("heads * head_dim", heads, head_dim);
        std::uint64_t const shared = size_of("B and C", std::uint64_t{2}, groups, state);
        std::uint64_t const elements = size_of("state elements", inner, state);
        return {.states = {{.bytes = size_of("state bytes", elements, around.bytes.state)},
                           {.bytes = convolution_bytes(inner, convolution, around),
                            .grouped_bytes = convolution_bytes(shared, convolution, around),
                            .groups = groups}},
                .flops_per_token =
                    2 * matmul_flops(around.width, inner) + matmul_flops(around.width, shared) +
                    matmul_flops(around.width, heads) + convolution_flops(inner, convolution) +
                    convolution_flops(shared, convolution) + 5 * static_cast<double>(elements) +
                    matmul_flops(inner, around.width),
                .parallel_heads = heads};
    }

    [[nodiscard]] layer_cost paper_cost(dimensions const& around) const {
        check();
        return paper::mamba(around.width, state, heads);
    }

    void check() const {
        MARCONI_EXPECT(heads > 0, "heads", heads, "at least 1");
        MARCONI_EXPECT(head_dim > 0, "head_dim", head_dim, "at least 1");
        MARCONI_EXPECT(state > 0, "state", state, "at least 1");
        MARCONI_EXPECT(groups > 0 && heads % groups == 0, "groups", groups, "a divisor of heads");
    }
};
static_assert(paper_layer_kind<mamba2>);

/// The recurrent block of Griffin (arXiv 2402.19427): one real number a channel as the state of
/// its RG-LRU, and a convolution. FLOPs: two projections in and one out, two block-diagonal gates
/// of `heads` blocks, and 6 per channel for the decay, the scaling of the input and the step. To
/// the paper's formula it is a Mamba layer with N = 1.
struct rg_lru {
    std::uint64_t channels = 0;
    std::uint64_t heads = 0;
    std::uint64_t convolution = 4; ///< taps

    [[nodiscard]] layer_cost shape_cost(dimensions const& around) const {
        check();
        return {.states = {{.bytes = size_of("state bytes", channels, around.bytes.state)},
                           {.bytes = convolution_bytes(channels, convolution, around)}},
                .flops_per_token = 2 * matmul_flops(around.width, channels) +
                                   convolution_flops(channels, convolution) +
                                   2 * matmul_flops(channels, channels / heads) +
                                   6 * static_cast<double>(channels) +
                                   matmul_flops(channels, around.width),
                .parallel_heads = heads};
    }

    [[nodiscard]] layer_cost paper_cost(dimensions const& around) const {
        check();
        return paper::mamba(around.width, 1, heads);
    }

    void check() const {
        MARCONI_EXPECT(channels > 0, "channels", channels, "at least 1");
        MARCONI_EXPECT(heads > 0 && channels % heads == 0, "heads", heads, "a divisor of channels");
    }
};
static_assert(paper_layer_kind<rg_lru>);

/// A gated short convolution (LFM2, arXiv 2511.23404): the last taps - 1 inputs are all its state.
/// FLOPs: a projection to three times the channels, two gates, the convolution, a projection out.
struct short_convolution {
    std::uint64_t channels = 0;
    std::uint64_t convolution = 3; ///< taps

    [[nodiscard]] layer_cost shape_cost(dimensions const& around) const {
        MARCONI_EXPECT(channels > 0, "channels", channels, "at least 1");
        return {.states = {{.bytes = convolution_bytes(channels, convolution, around)}},
                .flops_per_token =
                    3 * matmul_flops(around.width, channels) + 2 * static_cast<double>(channels) +
                    convolution_flops(channels, convolution) + matmul_flops(channels, around.width),
                .parallel_heads = channels};
    }
};
static_assert(layer_kind<short_convolution>);

} // namespace marconi::model
