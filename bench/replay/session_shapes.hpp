#pragma once

// What sessions look like: quantiles measured on three public traces (ShareGPT conversations,
// SWE-bench Verified runs of a software agent, tau-bench's airline agent; Llama-2 tokens), and
// chosen for few-shot jobs, of which there is no public trace.

#include "random.hpp"

#include <cstdint>

namespace marconi::replay {

/// A session whose every turn continues the one before.
struct session_shape {
    quantiles turns;
    quantiles first_input; // tokens of the first turn's input, those shared included
    quantiles added;       // tokens that a later turn adds to the history
    quantiles output;
    std::uint32_t usual_turns;   // longer sessions say less per turn, see scaled(); 0: they do not
    std::uint32_t shared_tokens; // all sessions of the shape start with the same ones
    std::uint32_t typing_ms_a_token; // a person's pause before a turn; 0: think_ms applies
    quantiles think_ms;              // an agent's
    std::uint32_t longest = 32'768;  // tokens: a session ends before a request that would have more
};

/// Tokens of one turn in a session of `turns` turns: the traces' long sessions are made of short
/// turns, so that the sessions' lengths vary less than the numbers of their turns do.
constexpr std::uint32_t scaled(std::uint32_t tokens, session_shape const& shape,
                               std::uint32_t turns) {
    if (shape.usual_turns == 0) return tokens;
    std::uint32_t const sum = shape.usual_turns + turns;
    return (tokens * 2 * shape.usual_turns + sum / 2) / sum;
}

/// Poisson-distributed seconds with mean 7.5, as the paper's agents think.
inline constexpr quantiles agent_think_ms = {{0, 2000, 3000, 4000, 5000, 6000, 7000, 7000, 8000,
                                              9000, 10000, 11000, 12000, 14000, 16000, 17000}};

inline constexpr session_shape chat_shape = {
    .turns = {{4, 4, 4, 4, 4, 4, 5, 5, 5, 6, 7, 9, 12, 18, 32, 33}},
    .first_input = {{14, 15, 20, 24, 31, 41, 66, 134, 208, 372, 454, 572, 827, 1149, 1530, 1572}},
    .added = {{13, 13, 16, 18, 21, 23, 25, 28, 33, 41, 55, 104, 197, 496, 1078, 1462}},
    .output = {{15, 16, 22, 42, 90, 138, 183, 254, 322, 386, 445, 583, 701, 928, 1114, 1131}},
    .usual_turns = 7,
    .shared_tokens = 12,
    .typing_ms_a_token = 320, // 90 words a minute
    .think_ms = {},
    .longest = 3'000,
};

inline constexpr session_shape software_agent_shape = {
    .turns = {{13, 14, 19, 22, 25, 27, 28, 32, 34, 37, 41, 48, 56, 61, 65, 65}},
    .first_input = {{1633, 1633, 1660, 1699, 1764, 1830, 1950, 2028, 2110, 2267, 2528, 3180, 3446,
                     4975, 5034, 5041}},
    .added = {{28, 28, 28, 28, 28, 42, 64, 114, 165, 271, 416, 928, 1721, 3918, 5325, 5521}},
    .output = {{37, 40, 43, 47, 60, 70, 84, 110, 168, 281, 463, 803, 1260, 2962, 6621, 10339}},
    .usual_turns = 36,
    .shared_tokens = 171,
    .typing_ms_a_token = 0,
    .think_ms = agent_think_ms,
};

inline constexpr session_shape service_agent_shape = {
    .turns = {{2, 4, 5, 5, 6, 7, 9, 11, 12, 15, 17, 19, 23, 30, 30, 30}},
    .first_input = {{4227, 4228, 4229, 4230, 4233, 4235, 4238, 4239, 4241, 4245, 4248, 4256, 4259,
                     4263, 4268, 4268}},
    .added = {{16, 21, 25, 30, 37, 43, 49, 54, 69, 356, 397, 465, 531, 1363, 3311, 3314}},
    .output = {{23, 33, 42, 51, 67, 84, 88, 91, 103, 115, 160, 235, 296, 401, 583, 584}},
    .usual_turns = 0,
    .shared_tokens = 4'221,
    .typing_ms_a_token = 0,
    .think_ms = agent_think_ms,
};

/// A job of independent questions under one template.
struct fewshot_shape {
    std::uint32_t templates; // the r-th most popular one is drawn in proportion to 1 / r
    quantiles instructions;  // tokens before the examples
    quantiles example;       // tokens of one worked example
    std::uint32_t least_examples;
    std::uint32_t most_examples;
    std::uint32_t pool;  // examples to choose from, if a template picks them anew
    quantiles questions; // in one job
    quantiles question;  // tokens
    quantiles output;
    quantiles pause_ms;
};

inline constexpr fewshot_shape fewshot_jobs = {
    .templates = 24,
    .instructions = {{60, 65, 80, 100, 140, 180, 230, 280, 340, 420, 540, 800, 1100, 1400, 1490,
                      1500}},
    .example = {{40, 45, 60, 75, 100, 125, 150, 180, 210, 250, 310, 400, 500, 700, 790, 800}},
    .least_examples = 3,
    .most_examples = 8,
    .pool = 32,
    .questions = {{4, 4, 5, 6, 8, 10, 12, 15, 18, 22, 28, 36, 44, 60, 64, 64}},
    .question = {{8, 10, 15, 20, 28, 36, 45, 55, 70, 90, 130, 220, 350, 700, 1150, 1200}},
    .output = {{1, 1, 1, 2, 4, 6, 10, 18, 32, 50, 80, 140, 220, 400, 590, 600}},
    .pause_ms = {{100, 120, 200, 300, 500, 700, 900, 1200, 1500, 2000, 2800, 4500, 7000, 15000,
                  29000, 30000}},
};

} // namespace marconi::replay
