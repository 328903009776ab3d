#pragma once

// The program's commands. Each adds itself to the command line and returns the function that runs
// it, which returns the program's exit code.

#include "shape.hpp"

#include <CLI/CLI.hpp>

#include <cstddef>
#include <functional>
#include <map>
#include <string>

namespace tiny {

struct command {
    CLI::App* app;
    std::function<int()> run;
};

[[nodiscard]] command define_prove(CLI::App& app);
[[nodiscard]] command define_serve(CLI::App& app);

/// The options that size the model.
inline void define_model(CLI::App& app, model_shape& shape) {
    auto const size = [&](char const* name, std::size_t& to, char const* what) {
        app.add_option(name, to, what)->capture_default_str()->group("Model");
    };
    app.add_option("--layers", shape.layers,
                   "A letter per layer: M, Mamba-2; A, attention; S, attention over a window")
        ->capture_default_str()
        ->group("Model");
    size("--width", shape.width, "Width of the residual stream");
    size("--vocabulary", shape.vocabulary, "Number of different tokens");
    size("--mlp-width", shape.mlp_width, "Width of the MLP after each layer");
    size("--heads", shape.heads, "Query heads of A and S");
    size("--kv-heads", shape.kv_heads, "Key and value heads; a divisor of --heads");
    size("--head-dim", shape.head_dim, "Elements of a head; even");
    size("--window", shape.window, "Tokens that S attends to");
    size("--mamba-heads", shape.mamba_heads, "Heads of M");
    size("--mamba-head-dim", shape.mamba_head_dim, "Channels of each head of M");
    size("--mamba-state", shape.mamba_state, "N, the size of a channel's state");
    size("--taps", shape.taps, "Taps of M's convolution");
}

/// "a, b, c"
template <class Value>
std::string names(std::map<std::string, Value> const& of) {
    std::string all;
    for (auto const& [name, value] : of)
        all += (all.empty() ? "" : ", ") + name;
    return all;
}

} // namespace tiny
