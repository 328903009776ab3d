#pragma once

// A Mamba-2 layer (arXiv 2405.21060), token by token, between its two projections:
//
//     z, x, B, C, dt = projected        [x B C] = silu(convolution([x B C]))      per channel
//     h = exp(-exp(rate) dt) h + dt x B^T       y = h C + skip x                  per head
//     out = rms_norm(y silu(z))

#include "shape.hpp"
#include "weights.hpp"

#include <cstddef>
#include <vector>

namespace tiny {

class mamba2 {
public:
    explicit mamba2(model_shape const& shape)
        : shape_{shape}, convolved_(shape.channels()), y_(shape.inner()) {}

    [[nodiscard]] static std::size_t projected_width(model_shape const& s) {
        return s.inner() + s.channels() + s.mamba_heads;
    }

    /// `count` tokens. `h` is the state of all heads, `inputs` the convolution's last taps - 1
    /// inputs, oldest first: both are read and overwritten. `out` gets shape.inner() floats a
    /// token.
    void scan(mamba2_weights const& w, float* h, float* inputs, std::size_t count,
              float const* projected, float* out);

private:
    void convolve(mamba2_weights const& w, float* inputs, float const* now);
    void step(mamba2_weights const& w, float* h, float const* steps);

    model_shape shape_;
    std::vector<float> convolved_; ///< x, B and C of the current token
    std::vector<float> y_;
};

} // namespace tiny
