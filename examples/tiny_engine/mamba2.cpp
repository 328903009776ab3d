#include "mamba2.hpp"

#include "arithmetic.hpp"

#include <algorithm>
#include <cmath>

namespace tiny {

void mamba2::scan(mamba2_weights const& w, float* h, float* inputs, std::size_t count,
                  float const* projected, float* out) {
    for (std::size_t i = 0; i < count; ++i) {
        float const* const z = projected + i * projected_width(shape_);
        float const* const now = z + shape_.inner();
        convolve(w, inputs, now);
        step(w, h, now + shape_.channels());
        for (std::size_t c = 0; c < shape_.inner(); ++c)
            y_[c] *= silu(z[c]);
        rms_norm(y_.data(), w.norm, out + i * shape_.inner());
    }
}

void mamba2::convolve(mamba2_weights const& w, float* inputs, float const* now) {
    std::size_t const channels = shape_.channels();
    std::size_t const before = shape_.taps - 1;
    std::copy(w.bias.begin(), w.bias.end(), convolved_.begin());
    for (std::size_t tap = 0; tap < shape_.taps; ++tap) {
        float const* const input = tap < before ? inputs + tap * channels : now;
        float const* const weight = w.taps.data() + tap * channels;
        for (std::size_t c = 0; c < channels; ++c)
            convolved_[c] += weight[c] * input[c];
    }
    for (float& x : convolved_)
        x = silu(x);
    std::copy(inputs + channels, inputs + before * channels, inputs);
    std::copy_n(now, channels, inputs + (before - 1) * channels);
}

void mamba2::step(mamba2_weights const& w, float* h, float const* steps) {
    std::size_t const n = shape_.mamba_state;
    float const* const b = convolved_.data() + shape_.inner();
    float const* const c = b + n;
    for (std::size_t head = 0; head < shape_.mamba_heads; ++head) {
        float const dt = softplus(steps[head] + w.step_bias[head]);
        float const decay = std::exp(-std::exp(w.rate[head]) * dt);
        for (std::size_t i = 0; i < shape_.mamba_head_dim; ++i, h += n) {
            std::size_t const channel = head * shape_.mamba_head_dim + i;
            float const input = dt * convolved_[channel];
            for (std::size_t k = 0; k < n; ++k)
                h[k] = decay * h[k] + input * b[k];
            y_[channel] = dot(h, c, n) + w.skip[head] * convolved_[channel];
        }
    }
}

} // namespace tiny
