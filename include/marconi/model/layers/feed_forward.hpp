#pragma once

// Layers without a state, and the kind for all that is not listed here.

#include <marconi/model/layers/kind.hpp>
#include <marconi/model/layers/paper.hpp>

#include <cstdint>

namespace marconi::model {

/// A dense feed-forward layer: up and down projections, and a gate as wide as the first.
struct mlp {
    std::uint64_t inner_width = 0;
    bool gated = true;

    [[nodiscard]] layer_cost shape_cost(dimensions const& around) const {
        return {.flops_per_token = (gated ? 3 : 2) * matmul_flops(around.width, inner_width)};
    }

    [[nodiscard]] layer_cost paper_cost(dimensions const& around) const {
        return paper::mlp(around.width);
    }
};
static_assert(paper_layer_kind<mlp>);

/// A mixture of experts: FLOPs of the router, of the experts that a token is sent to, and of those
/// that every token passes. With a `latent_width`, a projection takes the chosen experts' input
/// down to it, another their output back. The paper's formula knows one MLP, for all of it.
struct moe {
    std::uint64_t experts = 0;        ///< that the router chooses from
    std::uint64_t active_experts = 0; ///< chosen per token
    std::uint64_t expert_width = 0;   ///< inner width of one of them
    std::uint64_t shared_width = 0;   ///< inner width of all shared experts together
    std::uint64_t latent_width = 0;   ///< what chosen experts take and give; 0: the width
    bool gated = true;

    [[nodiscard]] layer_cost shape_cost(dimensions const& around) const {
        MARCONI_EXPECT(active_experts <= experts, "active_experts", active_experts,
                       "at most experts");
        std::uint64_t const chosen = size_of("active width", active_experts, expert_width);
        std::uint64_t const outer = latent_width == 0 ? around.width : latent_width;
        double const there_and_back = 2 * matmul_flops(around.width, latent_width);
        return {.flops_per_token = matmul_flops(around.width, experts) + there_and_back +
                                   (gated ? 3 : 2) * (matmul_flops(outer, chosen) +
                                                      matmul_flops(around.width, shared_width))};
    }

    [[nodiscard]] layer_cost paper_cost(dimensions const& around) const {
        return paper::mlp(around.width);
    }
};
static_assert(paper_layer_kind<moe>);

/// Plain matrices from one width to another: adapters, and projections between blocks.
struct projection {
    std::uint64_t in = 0;
    std::uint64_t out = 0;

    [[nodiscard]] layer_cost shape_cost(dimensions const&) const {
        return {.flops_per_token = matmul_flops(in, out)};
    }

    /// The paper counts none of them.
    [[nodiscard]] layer_cost paper_cost(dimensions const&) const { return {}; }
};
static_assert(paper_layer_kind<projection>);

/// A layer that is not listed, by its figures alone. It is not known how its bytes could be split
/// over ranks, so each rank is charged with all of them.
struct custom {
    std::uint64_t bytes_per_token = 0;
    std::uint64_t bytes_per_checkpoint = 0;
    double flops_per_token = 0;
    double flops_per_pair = 0; ///< coefficient of L^2

    [[nodiscard]] layer_cost shape_cost(dimensions const&) const {
        layer_cost result{.kv = {.key_bytes = bytes_per_token},
                          .flops_per_token = flops_per_token,
                          .flops_per_pair = flops_per_pair};
        if (bytes_per_checkpoint > 0) result.states = {{.grouped_bytes = bytes_per_checkpoint}};
        return result;
    }
};
static_assert(layer_kind<custom>);

} // namespace marconi::model
