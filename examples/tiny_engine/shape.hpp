#pragma once

// The sizes of the model, and what the cache has to know of it.

#include <marconi/model/spec.hpp>

#include <cstddef>
#include <string>
#include <string_view>

namespace tiny {

/// A layer is a mixer and an MLP. The mixers, by their letters: M, a Mamba-2 layer; A, attention
/// over all tokens; S, attention over a sliding window.
struct model_shape {
    std::string layers = "MSMA";
    std::size_t vocabulary = 64;
    std::size_t width = 32;
    std::size_t mlp_width = 64;
    std::size_t heads = 4; ///< of queries, in both kinds of attention
    std::size_t kv_heads = 2;
    std::size_t head_dim = 8;
    std::size_t window = 12; ///< tokens that S attends to, the current one included
    std::size_t mamba_heads = 4;
    std::size_t mamba_head_dim = 16;
    std::size_t mamba_state = 16;
    std::size_t taps = 4; ///< of the causal convolution, at least 2

    [[nodiscard]] std::size_t queries() const { return heads * head_dim; }
    [[nodiscard]] std::size_t keys() const { return kv_heads * head_dim; }
    [[nodiscard]] std::size_t inner() const { return mamba_heads * mamba_head_dim; }
    /// What the convolution runs over: x, B and C.
    [[nodiscard]] std::size_t channels() const { return inner() + 2 * mamba_state; }

    /// The same for the cache, which takes from this the bytes of a token, the pieces of a
    /// checkpoint, in the order of the layers, and the FLOPs that evictions are weighed by. All
    /// floats are 4 bytes. Throws marconi::invalid_argument for sizes that make no model.
    [[nodiscard]] marconi::model::spec spec() const {
        MARCONI_EXPECT(head_dim % 2 == 0, "head_dim", head_dim, "even, for rotary positions");
        MARCONI_EXPECT(vocabulary > 0, "vocabulary", vocabulary, "at least 1");
        MARCONI_EXPECT(mlp_width > 0, "mlp_width", mlp_width, "at least 1");
        MARCONI_EXPECT(!layers.empty(), "layers", "empty", "a letter at least: M, A or S");
        marconi::model::spec made{.name = "tiny",
                                  .width = width,
                                  .vocabulary = vocabulary,
                                  .bytes = {.kv = 4, .state = 4, .convolution = 4}};
        for (char const letter : layers) {
            made.layers.push_back({1, mixer(letter)});
            made.layers.push_back({1, marconi::model::mlp{.inner_width = mlp_width}});
        }
        return made;
    }

private:
    [[nodiscard]] marconi::model::layer mixer(char letter) const {
        namespace model = marconi::model;
        if (letter == 'M') {
            // The cache leaves out a piece without bytes, and the engine counts two for each M.
            MARCONI_EXPECT(taps >= 2, "taps", taps, "at least 2, the current token's included");
            return model::mamba2{.heads = mamba_heads,
                                 .head_dim = mamba_head_dim,
                                 .state = mamba_state,
                                 .convolution = taps};
        }
        if (letter == 'A')
            return model::full_attention{
                .heads = heads, .kv_heads = kv_heads, .head_dim = head_dim};
        if (letter == 'S')
            return model::sliding_window_attention{
                .heads = heads, .kv_heads = kv_heads, .head_dim = head_dim, .window = window};
        marconi::throw_invalid("layer", std::string(1, letter), "M, A or S");
    }
};

} // namespace tiny
