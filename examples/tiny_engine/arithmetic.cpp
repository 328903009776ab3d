#include "arithmetic.hpp"

#include <algorithm>
#include <cstring>

#if defined(__x86_64__) && defined(__GNUC__)
#define TINY_HAS_AVX2 1
#endif

namespace tiny {
namespace {

/// Eight sums side by side; if the machine's vectors are narrower, the compiler takes two.
typedef float eight __attribute__((vector_size(8 * sizeof(float))));
constexpr std::size_t vectors = matrix::tile / 8;

/// `Rows` rows of x against one tile of outputs. The sums stay in registers; each grows input by
/// input, so it is the same whatever `Rows` is.
template <std::size_t Rows>
[[gnu::always_inline]] inline void tile_product(matrix const& w, float const* x, float* y,
                                                std::size_t column) {
    eight sums[Rows][vectors] = {};
    std::size_t const in = w.in();
    float const* weights = w.row(0) + column;
    for (std::size_t i = 0; i < in; ++i, weights += w.stride())
        for (std::size_t v = 0; v < vectors; ++v) {
            eight weight;
            std::memcpy(&weight, weights + 8 * v, sizeof weight);
            for (std::size_t r = 0; r < Rows; ++r)
                sums[r][v] += x[r * in + i] * weight;
        }
    std::size_t const width = std::min(matrix::tile, w.out() - column);
    for (std::size_t r = 0; r < Rows; ++r)
        std::memcpy(y + r * w.out() + column, sums[r], width * sizeof(float));
}

template <std::size_t Rows>
[[gnu::always_inline]] inline void row_product(matrix const& w, float const* x, float* y) {
    for (std::size_t column = 0; column < w.out(); column += matrix::tile)
        tile_product<Rows>(w, x, y, column);
}

[[gnu::always_inline]] inline void product(matrix const& w, float const* x, std::size_t rows,
                                           float* y) {
    std::size_t r = 0;
    for (; r + 4 <= rows; r += 4)
        row_product<4>(w, x + r * w.in(), y + r * w.out());
    for (; r < rows; ++r)
        row_product<1>(w, x + r * w.in(), y + r * w.out());
}

#ifdef TINY_HAS_AVX2
[[gnu::target("avx2")]] void product_avx2(matrix const& w, float const* x, std::size_t rows,
                                          float* y) {
    product(w, x, rows, y);
}
#endif

} // namespace

void project(matrix const& w, float const* x, std::size_t rows, float* y) {
#ifdef TINY_HAS_AVX2
    static bool const wide = __builtin_cpu_supports("avx2");
    if (wide) return product_avx2(w, x, rows, y);
#endif
    product(w, x, rows, y);
}

} // namespace tiny
