#include "attention.hpp"

#include "arithmetic.hpp"

#include <algorithm>
#include <cmath>

namespace tiny {

attention::attention(model_shape const& shape) : shape_{shape} {
    for (std::size_t i = 0; i < shape.head_dim; i += 2)
        frequencies_.push_back(
            std::pow(10'000.0f, -static_cast<float>(i) / static_cast<float>(shape.head_dim)));
}

void attention::over_all(paged_kv const& kv, std::size_t layer, std::size_t position,
                         std::size_t count, float* projected, float* out) {
    keys_.clear();
    values_.clear();
    for (std::size_t p = 0; p < position; ++p) {
        keys_.push_back(kv.key(layer, p));
        values_.push_back(kv.value(layer, p));
    }
    for (std::size_t i = 0; i < count; ++i, projected += projected_width(shape_)) {
        float* const k = projected + shape_.queries();
        rotate(projected, shape_.heads, position + i);
        rotate(k, shape_.kv_heads, position + i);
        std::copy_n(k, shape_.keys(), kv.key(layer, position + i));
        std::copy_n(k + shape_.keys(), shape_.keys(), kv.value(layer, position + i));
        keys_.push_back(kv.key(layer, position + i));
        values_.push_back(kv.value(layer, position + i));
        attend(projected, out + i * shape_.queries());
    }
}

void attention::over_window(float* ring, std::size_t position, std::size_t count, float* projected,
                            float* out) {
    for (std::size_t i = 0; i < count; ++i, projected += projected_width(shape_)) {
        std::size_t const at = position + i;
        float* const k = projected + shape_.queries();
        rotate(projected, shape_.heads, at);
        rotate(k, shape_.kv_heads, at);
        std::copy_n(k, 2 * shape_.keys(), ring + at % shape_.window * 2 * shape_.keys());
        keys_.clear();
        values_.clear();
        for (std::size_t p = at + 1 - std::min(at + 1, shape_.window); p <= at; ++p) {
            keys_.push_back(ring + p % shape_.window * 2 * shape_.keys());
            values_.push_back(keys_.back() + shape_.keys());
        }
        attend(projected, out + i * shape_.queries());
    }
}

/// Rotary positions: each pair of elements is turned by an angle that grows with the position.
void attention::rotate(float* heads, std::size_t count, std::size_t position) const {
    for (std::size_t i = 0; i < frequencies_.size(); ++i) {
        float const angle = static_cast<float>(position) * frequencies_[i];
        float const c = std::cos(angle);
        float const s = std::sin(angle);
        for (std::size_t h = 0; h < count; ++h) {
            float* const pair = heads + h * shape_.head_dim + 2 * i;
            float const a = pair[0];
            float const b = pair[1];
            pair[0] = a * c - b * s;
            pair[1] = a * s + b * c;
        }
    }
}

/// All sums run over the tokens in the order of their positions, wherever their rows lie.
void attention::attend(float const* queries, float* out) {
    std::size_t const d = shape_.head_dim;
    float const scale = 1.0f / std::sqrt(static_cast<float>(d));
    weights_.resize(keys_.size());
    std::fill_n(out, shape_.queries(), 0.0f);
    for (std::size_t h = 0; h < shape_.heads; ++h, queries += d, out += d) {
        std::size_t const in_row = h / (shape_.heads / shape_.kv_heads) * d;
        for (std::size_t t = 0; t < keys_.size(); ++t)
            weights_[t] = scale * dot(queries, keys_[t] + in_row, d);
        float const largest = *std::max_element(weights_.begin(), weights_.end());
        float sum = 0;
        for (float& w : weights_)
            sum += w = std::exp(w - largest);
        for (std::size_t t = 0; t < values_.size(); ++t) {
            float const* const value = values_[t] + in_row;
            for (std::size_t i = 0; i < d; ++i)
                out[i] += weights_[t] * value[i];
        }
        for (std::size_t i = 0; i < d; ++i)
            out[i] /= sum;
    }
}

} // namespace tiny
