#include "weights.hpp"

#include <cmath>

namespace tiny {
namespace {

/// Numbers in [-1, 1) by splitmix64.
class noise {
public:
    explicit noise(std::uint64_t seed) : state_{seed} {}

    float operator()() {
        std::uint64_t z = state_ += 0x9E3779B97F4A7C15u;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
        return static_cast<float>((z ^ (z >> 31)) >> 40) / static_cast<float>(1 << 23) - 1;
    }
    std::vector<float> around(float middle, float spread, std::size_t n) {
        std::vector<float> made(n);
        for (float& x : made)
            x = middle + spread * (*this)();
        return made;
    }
    matrix weights(std::size_t in, std::size_t out) {
        matrix made{in, out};
        float const spread = std::sqrt(3.0f / static_cast<float>(in));
        for (std::size_t i = 0; i < in; ++i)
            for (std::size_t o = 0; o < out; ++o)
                made.row(i)[o] = spread * (*this)();
        return made;
    }

private:
    std::uint64_t state_;
};

mamba2_weights make_mamba2(model_shape const& s, noise& random) {
    mamba2_weights made;
    made.in = random.weights(s.width, s.inner() + s.channels() + s.mamba_heads);
    made.taps = random.around(0, 0.8f, s.taps * s.channels());
    made.bias = random.around(0, 0.1f, s.channels());
    made.step_bias = random.around(-2, 1, s.mamba_heads); // some heads forget fast, some slowly
    made.rate = random.around(0.6f, 0.5f, s.mamba_heads);
    made.skip = random.around(1, 0.2f, s.mamba_heads);
    made.norm = random.around(1, 0.1f, s.inner());
    made.out = random.weights(s.inner(), s.width);
    return made;
}

} // namespace

model_weights make_weights(model_shape const& s, std::uint64_t seed) {
    noise random{seed};
    model_weights made;
    made.embedding = random.around(0, 1, s.vocabulary * s.width);
    for (char const mixer : s.layers) {
        layer_weights layer{.mixer = mixer};
        layer.norm = random.around(1, 0.1f, s.width);
        if (mixer == 'M') {
            layer.mamba2 = make_mamba2(s, random);
        } else {
            layer.attention.in = random.weights(s.width, s.queries() + 2 * s.keys());
            layer.attention.out = random.weights(s.queries(), s.width);
        }
        layer.mlp.norm = random.around(1, 0.1f, s.width);
        layer.mlp.up = random.weights(s.width, 2 * s.mlp_width);
        layer.mlp.down = random.weights(s.mlp_width, s.width);
        made.layers.push_back(std::move(layer));
    }
    made.norm = random.around(1, 0.1f, s.width);
    made.logits = random.weights(s.width, s.vocabulary);
    return made;
}

std::vector<float> make_adapter(model_shape const& shape, std::uint64_t adapter) {
    if (adapter == 0) return std::vector<float>(shape.width);
    return noise{0xADA97E2 * adapter}.around(0, 0.5f, shape.width);
}

} // namespace tiny
