#pragma once

// What a layer costs, what a layer kind is, and how any kind becomes a value of one type.
//
//     full_attention{...}  ─┐  shape_cost(dimensions)                  spec::footprint
//     mamba2{...}          ─┼──────────────────────► layer_cost ─────────────────────► footprint
//     a user's own kind    ─┘  paper_cost(dimensions)                  (sums, splits)

#include <marconi/core/error.hpp>
#include <marconi/core/footprint.hpp>
#include <marconi/core/units.hpp>

#include <concepts>
#include <cstdint>
#include <functional>
#include <string_view>
#include <utility>
#include <vector>

namespace marconi::model {

/// Which formulas: those of the paper (arXiv 2411.19379, appendix), or the layer's real shape.
enum class cost { paper, shape };

/// Bytes of one element. They are a choice of the engine rather than of the model, so layers do
/// not fix them; a preset says what its reference implementation keeps. Recurrent states are often
/// kept in 4 bytes, since their rounding errors add up over the sequence.
struct element_sizes {
    std::uint64_t kv = 2;
    std::uint64_t state = 4;
    std::uint64_t convolution = 2;
};

/// What a layer needs to know of the model around it.
struct dimensions {
    std::uint64_t width = 0; ///< D, elements of the residual stream
    element_sizes bytes{};
};

/// One state tensor of a layer, before tensor parallelism. One of t ranks holds `bytes` / t, and of
/// the grouped figures 1 / min(t, groups): fewer groups than t are replicated.
struct state_cost {
    std::uint64_t bytes = 0;
    std::uint64_t grouped_bytes = 0;
    std::uint64_t grouped_bytes_per_window_token = 0;
    std::uint64_t window = 0; ///< tokens
    std::uint64_t groups = 1;
};

/// What one application of a layer costs, before tensor parallelism.
struct layer_cost {
    kv_layer kv{};                    ///< bytes per token, kept for every token
    std::uint64_t kv_groups = 1;      ///< KV heads: split over ranks, replicated if fewer
    std::vector<state_cost> states{}; ///< one per state tensor
    double flops_per_token = 0;       ///< coefficient of L
    double flops_per_pair = 0;        ///< coefficient of L^2
    std::uint64_t window = 0;         ///< tokens; if not 0, L^2 stops growing there
    std::uint64_t parallel_heads = 0; ///< a tensor-parallel degree must divide it; 0: any degree
};

/// A layer kind returns what one application costs in its real shape; it is asked once per
/// footprint. All it needs beyond `dimensions` it holds as plain numbers; the answer is a pure
/// function of both. It throws marconi::invalid_argument for numbers that make no layer,
/// marconi::size_overflow for bytes beyond 64 bits. `paper_cost`, of the same form, is optional: a
/// kind without a formula in the paper costs its shape in either flavour.
template <class Kind>
concept layer_kind = std::copyable<Kind> && requires(Kind const& kind, dimensions const& around) {
    { kind.shape_cost(around) } -> std::same_as<layer_cost>;
};

/// A layer kind with a formula of the paper.
template <class Kind>
concept paper_layer_kind = layer_kind<Kind> &&
    requires(Kind const& kind, dimensions const& around) {
    { kind.paper_cost(around) } -> std::same_as<layer_cost>;
};

/// Any layer kind, as a value.
class layer {
public:
    // Not from `layer`, tested first: whether that is a kind depends on how it can be copied.
    template <class Kind>
        requires(!std::same_as<Kind, layer> && layer_kind<Kind>)
    layer(Kind kind)
        : cost_{[kind = std::move(kind)](cost flavour, dimensions const& around) {
              if constexpr (paper_layer_kind<Kind>)
                  if (flavour == cost::paper) return kind.paper_cost(around);
              return kind.shape_cost(around);
          }} {}

    [[nodiscard]] layer_cost cost_in(cost flavour, dimensions const& around) const {
        return cost_(flavour, around);
    }

private:
    std::function<layer_cost(cost, dimensions const&)> cost_;
};

/// The product of sizes. Throws size_overflow, naming `what`.
template <std::same_as<std::uint64_t>... Factors>
[[nodiscard]] constexpr std::uint64_t size_of(std::string_view what, Factors... factors) {
    std::uint64_t product = 1;
    ((product = checked_product(product, factors, what)), ...);
    return product;
}

/// FLOPs of a matrix product, per token: a multiply and an add for each weight.
[[nodiscard]] constexpr double matmul_flops(std::uint64_t in, std::uint64_t out) {
    return 2.0 * static_cast<double>(in) * static_cast<double>(out);
}

} // namespace marconi::model
