#include <replay/ttft.hpp>

#include <support/catch.hpp>

using namespace marconi;
using namespace marconi::replay;

TEST_CASE("estimated time to first token") {
    CHECK(prefill_ms(ttft_curve::a100x4, token_count{10'000}, flop_count{}) == Approx(547.8));
    CHECK(prefill_ms(ttft_curve::a100x4, token_count{0}, flop_count{1e18}) == Approx(17.8));
    // 10,000 tokens of a 7B model: 1.4e14 FLOPs at 494.5e12 a second.
    CHECK(prefill_ms(ttft_curve::h100, token_count{10'000}, flop_count{1.4e14}) ==
          Approx(10 + 283.11).epsilon(1e-4));
    CHECK(prefill_ms(ttft_curve::h200, token_count{1}, flop_count{1e12}) ==
          prefill_ms(ttft_curve::h100, token_count{2}, flop_count{1e12}));
}
