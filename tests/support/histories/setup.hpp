#pragma once

// What a history is played on: a model, a cut into pages, a capacity, policies.

#include <support/reference/cache.hpp>

#include <marconi/core/footprint.hpp>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace histories {

struct setup {
    std::string name; ///< says it all: "hybrid-b16-p20-gdsf-tail"
    marconi::footprint model;
    std::uint32_t block = 1;
    std::uint32_t pages = 20;
    reference::rules rules;
    std::uint32_t longest = 40; ///< most tokens of a sequence
};

/// Tokens of 16 bytes of KV, checkpoints of 304 bytes or less, in pages of 256 bytes or little
/// more: enough to tell right from wrong bytes.
inline std::vector<marconi::footprint> models() {
    marconi::footprint hybrid{.model = "hybrid",
                              .kv_layers = {{8, 8}},
                              .state_pieces = {{.fixed_bytes = 304}},
                              .flops = {.per_token = 100, .per_pair = 1}};
    marconi::footprint attention = hybrid, recurrent = hybrid, window = hybrid;
    attention.model = "attention";
    attention.state_pieces.clear();
    recurrent.model = "recurrent";
    recurrent.kv_layers.clear();
    recurrent.flops = {.per_token = 100};
    window.model = "window";
    window.state_pieces = {{.fixed_bytes = 0, .window = 5, .bytes_per_window_token = 64}};
    return {hybrid, attention, recurrent, window};
}

/// All combinations. More checkpoints than pages, and pages for little more than one request, are
/// where requests get into each other's way.
inline std::vector<setup> setups() {
    struct eviction {
        char const* name;
        reference::rule rule;
    };
    using reference::rule;
    eviction const evictions[] = {{"lru", {rule::lru}},
                                  {"gdsf", {rule::gdsf}},
                                  {"flops0", {rule::flop_aware, 0}},
                                  {"flops0.5", {rule::flop_aware, 0.5}},
                                  {"flops2", {rule::flop_aware, 2}},
                                  {"odds", {rule::expected_savings}}};
    struct admission {
        char const* name;
        reference::rules rules;
    };
    admission const admissions[] = {
        {"tail", {}},
        {"spaced5grid4answer6", {.eviction = {}, .tail = true, .every = 5, .grid = 4, .answer = 6}},
        {"every3", {.eviction = {}, .tail = false, .every = 3}}};
    std::vector<setup> all;
    for (auto const& model : models())
        for (std::uint32_t const block : {1u, 2u, 16u, 17u})
            for (std::uint32_t const pages : {5u, 16u, 50u})
                for (auto const& e : evictions)
                    for (auto const& a : admissions) {
                        setup s{.name = model.model + "-b" + std::to_string(block) + "-p" +
                                        std::to_string(pages) + "-" + e.name + "-" + a.name,
                                .model = model,
                                .block = block,
                                .pages = pages,
                                .rules = a.rules,
                                .longest = block > 2 ? 70u : 40u};
                        s.rules.eviction = e.rule;
                        all.push_back(std::move(s));
                    }
    return all;
}

/// What a seed becomes for one of them, so that no two see the same decisions.
inline std::uint64_t seed_for(setup const& s, std::uint64_t seed) {
    std::uint64_t hash = 0xCBF29CE484222325u ^ seed;
    for (char const c : s.name)
        hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3u;
    return hash;
}

/// The one of that name; throws std::out_of_range if there is none.
inline setup named(std::string const& name) {
    for (setup const& s : setups())
        if (s.name == name) return s;
    throw std::out_of_range{"no setup is called " + name};
}

} // namespace histories
