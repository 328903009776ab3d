#pragma once

// A model as a list of layers, and what one of its sequences costs on one rank.

#include <marconi/core/error.hpp>
#include <marconi/core/footprint.hpp>
#include <marconi/core/units.hpp>
#include <marconi/model/layers.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace marconi::model {

/// How to cost a model.
struct footprint_options {
    cost flavour = cost::shape;
    std::uint64_t tensor_parallel = 1;    ///< ranks that share every layer
    std::optional<element_sizes> bytes{}; ///< in place of the spec's; the paper's are always 2
};

/// The same layer applied `count` times. Each application has a state of its own, though some may
/// share weights.
struct repeated {
    std::uint64_t count = 1;
    layer kind;
};

/// A model: what its layers are and where that is published. Embeddings and logits are left out:
/// a lookup costs nothing, and a prefill needs the logits of one token only.
struct spec {
    std::string name{};
    std::string source{}; ///< address of the configuration or paper that the figures are from
    std::uint64_t width = 0;
    std::uint64_t vocabulary = 0; ///< 0: not given
    element_sizes bytes{};
    std::vector<repeated> layers{};

    /// Bytes and FLOPs on one rank of `tensor_parallel`. One KV entry per application of a layer
    /// with KV for every token, one state piece per state tensor of each application, in the order
    /// of `layers`. If there are fewer KV heads, or groups of B and C, than ranks, they are
    /// replicated. FLOPs are split evenly, though engines repeat small matrices (a router, say) on
    /// every rank. O(applications). Throws invalid_argument if the degree can neither split nor
    /// replicate a layer's heads, or a layer's numbers make no layer; size_overflow if a token's KV
    /// and a checkpoint with full windows together exceed 64 bits.
    [[nodiscard]] marconi::footprint footprint(footprint_options const& options = {}) const {
        std::uint64_t const ranks = options.tensor_parallel;
        MARCONI_EXPECT(width > 0, "width", width, "at least 1");
        MARCONI_EXPECT(ranks > 0, "tensor_parallel", ranks, "at least 1");
        marconi::footprint result;
        result.model = name;
        std::uint64_t total = 0;
        for (repeated const& entry : layers) {
            MARCONI_EXPECT(entry.count <= most_applications, "count", entry.count,
                           "at most 1048576 applications of a layer");
            add(result, entry, options.flavour, ranks, options.bytes.value_or(bytes), total);
        }
        return result;
    }

private:
    static constexpr std::uint64_t most_applications = std::uint64_t{1} << 20;

    void add(marconi::footprint& result, repeated const& entry, cost flavour, std::uint64_t ranks,
             element_sizes sizes, std::uint64_t& total) const {
        layer_cost const whole = entry.kind.cost_in(flavour, {.width = width, .bytes = sizes});
        if (whole.parallel_heads > 0)
            MARCONI_EXPECT(whole.parallel_heads % ranks == 0, "tensor_parallel", ranks,
                           "a divisor of the layer's " + std::to_string(whole.parallel_heads) +
                               " heads or channels");
        double const times = static_cast<double>(entry.count) / static_cast<double>(ranks);
        result.flops.per_token += times * whole.flops_per_token;
        if (whole.window == 0)
            result.flops.per_pair += times * whole.flops_per_pair;
        else if (entry.count > 0)
            add_window(result.flops, whole.window, times * whole.flops_per_pair);

        kv_layer const kv{.key_bytes = grouped(whole.kv.key_bytes, whole.kv_groups, ranks),
                          .value_bytes = grouped(whole.kv.value_bytes, whole.kv_groups, ranks)};
        if (kv.key_bytes > 0 || kv.value_bytes > 0) {
            charge(total, checked_sum(kv.key_bytes, kv.value_bytes, "KV bytes"), entry.count);
            result.kv_layers.insert(result.kv_layers.end(), entry.count, kv);
        }
        std::vector<state_piece> pieces;
        for (state_cost const& state : whole.states) {
            state_piece const piece = on_rank(state, ranks);
            if (piece.fixed_bytes == 0 && piece.bytes_per_window_token == 0) continue;
            std::uint64_t const windowed =
                checked_product(piece.bytes_per_window_token, piece.window, "window bytes");
            charge(total, checked_sum(piece.fixed_bytes, windowed, "state bytes"), entry.count);
            pieces.push_back(piece);
        }
        for (std::uint64_t i = 0; i < entry.count; ++i)
            result.state_pieces.insert(result.state_pieces.end(), pieces.begin(), pieces.end());
    }

    static state_piece on_rank(state_cost const& state, std::uint64_t ranks) {
        return {.fixed_bytes =
                    checked_sum(share(state.bytes, ranks, ranks),
                                grouped(state.grouped_bytes, state.groups, ranks), "state bytes"),
                .window = state.window,
                .bytes_per_window_token =
                    grouped(state.grouped_bytes_per_window_token, state.groups, ranks)};
    }

    /// A rank's bytes of something that exists once per group of heads.
    static std::uint64_t grouped(std::uint64_t all, std::uint64_t groups, std::uint64_t ranks) {
        MARCONI_EXPECT(groups > 0, "groups", groups, "at least 1");
        if (all == 0) return 0;
        MARCONI_EXPECT(groups % ranks == 0 || ranks % groups == 0, "tensor_parallel", ranks,
                       "a divisor or a multiple of the layer's " + std::to_string(groups) +
                           " KV heads or groups");
        return share(all, ranks < groups ? ranks : groups, ranks);
    }

    static std::uint64_t share(std::uint64_t all, std::uint64_t parts, std::uint64_t ranks) {
        MARCONI_EXPECT(all % parts == 0, "tensor_parallel", ranks,
                       "a degree that splits " + std::to_string(all) + " bytes evenly");
        return all / parts;
    }

    static void add_window(flop_curve& flops, std::uint64_t window, double per_pair) {
        for (flop_curve::windowed& known : flops.windows)
            if (known.window == window) {
                known.per_pair += per_pair;
                return;
            }
        flops.windows.push_back({.window = window, .per_pair = per_pair});
    }

    /// Sums of the footprint are computed unchecked later on, so they must fit from the start.
    static void charge(std::uint64_t& total, std::uint64_t each, std::uint64_t count) {
        total = checked_sum(total, checked_product(each, count, "bytes of a model's layers"),
                            "bytes of a model's layers");
    }
};

} // namespace marconi::model
