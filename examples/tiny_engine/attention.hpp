#pragma once

// Softmax attention with grouped query heads and rotary positions, over all tokens through a block
// table, or over the last tokens of a sliding window.

#include "paged_kv.hpp"
#include "shape.hpp"

#include <cstddef>
#include <vector>

namespace tiny {

/// The width of one token's projection: queries, keys, values, side by side.
[[nodiscard]] inline std::size_t projected_width(model_shape const& s) {
    return s.queries() + 2 * s.keys();
}

/// Both take `count` tokens from `position` on, projected, and write their heads' results to `out`,
/// shape.queries() floats a token.
class attention {
public:
    explicit attention(model_shape const& shape);

    /// Keys and values go to, and come from, layer `layer` of `kv`.
    void over_all(paged_kv const& kv, std::size_t layer, std::size_t position, std::size_t count,
                  float* projected, float* out);

    /// Keys and values are in a ring: the token at position p has row p % window, its key, then its
    /// value.
    void over_window(float* ring, std::size_t position, std::size_t count, float* projected,
                     float* out);

private:
    void rotate(float* heads, std::size_t count, std::size_t position) const;
    void attend(float const* queries, float* out);

    model_shape shape_;
    std::vector<float> frequencies_;
    // What the current token attends to, from the oldest token on, and the weight of each.
    std::vector<float const*> keys_, values_;
    std::vector<float> weights_;
};

} // namespace tiny
