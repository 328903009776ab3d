#pragma once

#include <marconi/model/bytes.hpp>
#include <marconi/model/flops.hpp>
#include <marconi/model/presets.hpp>

#include <support/catch.hpp>

#include <cstdint>

/// What a preset should cost, worked out by hand from its published configuration.
struct figures {
    std::uint64_t kv_per_token;
    std::uint64_t checkpoint_at_1; ///< at position 1, where windows hold one token
    std::uint64_t checkpoint_full; ///< where windows are full
    double prefill;                ///< FLOPs of the first 10,000 tokens
};

inline void check_figures(marconi::model::spec const& model,
                          marconi::model::footprint_options const& options,
                          figures const& expected) {
    using namespace marconi;
    using namespace marconi::model;
    CHECK(kv_bytes_per_token(model, options) == byte_count{expected.kv_per_token});
    CHECK(checkpoint_bytes(model, token_count{1}, options) == byte_count{expected.checkpoint_at_1});
    CHECK(checkpoint_bytes(model, token_count{100'000}, options) ==
          byte_count{expected.checkpoint_full});
    double const flops = prefill_flops(model, token_count{10'000}, options).value();
    CHECK(flops == Approx(expected.prefill).epsilon(1e-12));
}

/// The paper's formulas, per layer and token or pair of tokens.
struct paper_formulas {
    double d;
    double n;
    [[nodiscard]] double attention(double tokens) const {
        return 8 * tokens * d * d + 4 * tokens * tokens * d;
    }
    [[nodiscard]] double mlp(double tokens) const { return 16 * tokens * d * d; }
    [[nodiscard]] double mamba(double tokens) const {
        return 12 * tokens * d * d + 16 * tokens * d * n + 10 * tokens * d;
    }
};
