#pragma once

// What is compared with what; copies.cu says what each method is.

namespace gpu_bench {

enum class way { restore, commit };
enum class method { marconi, one_piece, loop, batch, cub, bulk };

inline char const* name(method m) {
    constexpr char const* names[] = {"marconi", "one_piece", "loop", "batch", "cub", "bulk"};
    return names[static_cast<int>(m)];
}

} // namespace gpu_bench
