#pragma once

// The program's commands. Each adds itself to the command line and returns the function that runs
// it, which writes its report to the first stream, what else it has to say to the second, and
// returns the program's exit code.

#include "shape.hpp"

#include <replay/option_values.hpp>

#include <CLI/CLI.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <iosfwd>
#include <map>
#include <string>

namespace tiny {

struct command {
    CLI::App* app;
    std::function<int(std::ostream& out, std::ostream& err)> run;
};

[[nodiscard]] command define_prove(CLI::App& app);
[[nodiscard]] command define_serve(CLI::App& app);

/// Adds an option that is a number.
template <class Number>
CLI::Option* add_number(CLI::App& app, char const* name, Number& to, char const* what,
                        std::uint64_t least, std::uint64_t most) {
    return app.add_option(name, to, what)
        ->type_name("N")
        ->transform(marconi::replay::whole_number(least, most))
        ->capture_default_str();
}

/// The options that size the model. No product of sizes below these bounds comes near 2^64, though
/// memory may not hold it.
inline void define_model(CLI::App& app, model_shape& shape) {
    app.option_defaults()->group("Model");
    app.add_option("--layers", shape.layers,
                   "A letter per layer: M, Mamba-2; A, attention; S, attention over a window")
        ->capture_default_str();
    auto const size = [&](char const* name, std::size_t& to, char const* what,
                          std::uint64_t least = 1, std::uint64_t most = 1 << 16) {
        add_number(app, name, to, what, least, most);
    };
    size("--width", shape.width, "Width of the residual stream");
    size("--vocabulary", shape.vocabulary, "Number of different tokens", 1, 1 << 20);
    size("--mlp-width", shape.mlp_width, "Width of the MLP after each layer");
    size("--heads", shape.heads, "Query heads of A and S", 1, 1 << 10);
    size("--kv-heads", shape.kv_heads, "Key and value heads; a divisor of --heads", 1, 1 << 10);
    size("--head-dim", shape.head_dim, "Elements of a head; even", 2, 1 << 10);
    size("--window", shape.window, "Tokens that S attends to", 1, 1 << 20);
    size("--mamba-heads", shape.mamba_heads, "Heads of M", 1, 1 << 10);
    size("--mamba-head-dim", shape.mamba_head_dim, "Channels of each head of M", 1, 1 << 10);
    size("--mamba-state", shape.mamba_state, "N, the size of a channel's state", 1, 1 << 10);
    size("--taps", shape.taps, "Taps of M's convolution", 2, 1 << 10);
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
