#pragma once

// The model: tokens in, logits out, the state of every request advanced.

#include "attention.hpp"
#include "mamba2.hpp"
#include "paged_kv.hpp"
#include "recurrent_state.hpp"
#include "shape.hpp"
#include "weights.hpp"

#include <marconi/core/footprint.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

namespace tiny {

using token = std::int32_t;

/// One request's share of a batch: a chunk of its prompt, or one token of its answer.
struct batch_item {
    std::span<token const> tokens;
    std::size_t position = 0; ///< of the first of them
    std::uint64_t adapter = 0;
    recurrent_state* state = nullptr;
    paged_kv const* kv = nullptr; ///< with room for the tokens
};

/// Which tokens' logits are wanted.
enum class wanted { last, all };

class model {
public:
    /// Throws marconi::invalid_argument for sizes that make no model.
    model(model_shape const& shape, std::uint64_t seed);

    [[nodiscard]] model_shape const& shape() const { return shape_; }
    [[nodiscard]] marconi::footprint const& footprint() const { return footprint_; }

    /// Runs the batch through all layers: writes KV, advances the states. Returns the logits of the
    /// last token of each item, or of all tokens, row by row; valid until the next call.
    [[nodiscard]] std::span<float const> forward(std::span<batch_item const> batch,
                                                 wanted which = wanted::last);

    /// The token that greedy decoding takes.
    [[nodiscard]] static token most_likely(std::span<float const> logits);

private:
    void embed(std::span<batch_item const> batch);
    void mix(layer_weights const& w, std::size_t kv_layer, std::size_t piece,
             std::span<batch_item const> batch);
    void run_mlp(mlp_weights const& w);
    /// `normed_` becomes the normed rows of `hidden_`; `projected_`, these times w.
    void project_normed(std::span<float const> norm, matrix const& w);
    /// Adds `mixed_` times w to `hidden_`.
    void add_projected(matrix const& w);
    [[nodiscard]] std::vector<float> const& adapter(std::uint64_t id);

    model_shape shape_;
    marconi::footprint footprint_;
    model_weights weights_;
    std::map<std::uint64_t, std::vector<float>> adapters_;
    attention attention_;
    mamba2 mamba2_;

    std::size_t rows_ = 0; ///< tokens of the batch in hand
    std::vector<float> hidden_, normed_, projected_, mixed_, added_, logits_;
};

} // namespace tiny
