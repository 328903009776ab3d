#pragma once

// Seeded random weights, the same on every platform.

#include "arithmetic.hpp"
#include "shape.hpp"

#include <cstdint>
#include <span>
#include <vector>

namespace tiny {

struct mlp_weights {
    std::vector<float> norm;
    matrix up; ///< the gate, then what it gates
    matrix down;
};

struct mamba2_weights {
    matrix in;               ///< to the gate z, then x, B, C, then a step per head
    std::vector<float> taps; ///< of the convolution: tap by tap, oldest first, channel by channel
    std::vector<float> bias; ///< of the convolution
    std::vector<float> step_bias, rate, skip; ///< a head each
    std::vector<float> norm;                  ///< before the projection out
    matrix out;
};

struct attention_weights {
    matrix in; ///< to queries, keys, values
    matrix out;
};

struct layer_weights {
    char mixer = 'M'; ///< as in model_shape::layers
    std::vector<float> norm = {};
    mamba2_weights mamba2 = {};       ///< if it is M
    attention_weights attention = {}; ///< if it is A or S
    mlp_weights mlp = {};
};

struct model_weights {
    std::vector<float> embedding; ///< a row a token
    std::vector<layer_weights> layers;
    std::vector<float> norm;
    matrix logits;
};

[[nodiscard]] model_weights make_weights(model_shape const& shape, std::uint64_t seed);

/// What an adapter adds to every embedding, as fine-tuned variants of one model differ: adapter 0,
/// nothing.
[[nodiscard]] std::vector<float> make_adapter(model_shape const& shape, std::uint64_t adapter);

} // namespace tiny
