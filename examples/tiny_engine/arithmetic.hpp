#pragma once

// The arithmetic of the model. Every result comes from the same floating-point operations in the
// same order, whatever else is computed beside it, so that a token's logits do not depend on how
// its prompt was cut into chunks or on what else is in the batch. (This needs -ffp-contract=off: a
// compiler that may fuse a multiply and an add may do so in one loop and not in another.)

#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

namespace tiny {

/// A matrix of weights with a row for each input; rows are padded with zeros to whole tiles.
class matrix {
public:
    static constexpr std::size_t tile = 16;

    matrix() = default;
    matrix(std::size_t in, std::size_t out)
        : in_{in}, out_{out}, stride_{(out + tile - 1) / tile * tile}, weights_(in * stride_) {}

    [[nodiscard]] std::size_t in() const { return in_; }
    [[nodiscard]] std::size_t out() const { return out_; }
    [[nodiscard]] std::size_t stride() const { return stride_; }
    [[nodiscard]] float* row(std::size_t input) { return weights_.data() + input * stride_; }
    [[nodiscard]] float const* row(std::size_t input) const {
        return weights_.data() + input * stride_;
    }

private:
    std::size_t in_ = 0, out_ = 0, stride_ = 0;
    std::vector<float> weights_;
};

/// y = x W for `rows` rows, each output summed over the inputs from the first to the last.
void project(matrix const& w, float const* x, std::size_t rows, float* y);

/// The sum of a[i] * b[i], in eight interleaved sums that are added up at the end.
[[nodiscard]] inline float dot(float const* a, float const* b, std::size_t n) {
    constexpr std::size_t lanes = 8;
    float sums[lanes] = {};
    std::size_t i = 0;
    for (; i + lanes <= n; i += lanes)
        for (std::size_t l = 0; l < lanes; ++l)
            sums[l] += a[i + l] * b[i + l];
    for (std::size_t l = 0; i < n; ++i, ++l)
        sums[l] += a[i] * b[i];
    return ((sums[0] + sums[4]) + (sums[1] + sums[5])) +
           ((sums[2] + sums[6]) + (sums[3] + sums[7]));
}

/// to = x / rms(x) * scale.
inline void rms_norm(float const* x, std::span<float const> scale, float* to) {
    std::size_t const n = scale.size();
    float const inverse = 1.0f / std::sqrt(dot(x, x, n) / static_cast<float>(n) + 1e-5f);
    for (std::size_t i = 0; i < n; ++i)
        to[i] = x[i] * inverse * scale[i];
}

[[nodiscard]] inline float silu(float x) { return x / (1.0f + std::exp(-x)); }
[[nodiscard]] inline float softplus(float x) { return x > 20 ? x : std::log1p(std::exp(x)); }

inline void add(std::span<float> to, std::span<float const> what) {
    for (std::size_t i = 0; i < to.size(); ++i)
        to[i] += what[i];
}

} // namespace tiny
