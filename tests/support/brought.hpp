#pragma once

#include <support/engine.hpp>

#include <marconi/cache/outcome.hpp>
#include <marconi/core/footprint.hpp>
#include <marconi/core/types.hpp>

#include <cstddef>
#include <vector>

namespace support {

/// What an engine has for a commit of all the tokens, with the states at some positions.
struct brought {
    engine_request engine;
    std::vector<std::vector<std::vector<std::byte>>> states{};
    std::vector<std::vector<std::byte*>> pieces{};
    std::vector<marconi::cache::captured_state> captured{};

    brought(footprint const& model, sequence const& tokens, std::vector<std::size_t> positions)
        : engine{model} {
        engine.compute(tokens, 0, tokens.size());
        for (std::size_t const p : positions)
            states.push_back(engine.state_at(tokens, p));
        pieces.resize(positions.size());
        for (std::size_t i = 0; i < positions.size(); ++i) {
            for (auto& piece : states[i])
                pieces[i].push_back(piece.data());
            captured.push_back({token_count{positions[i]}, {pieces[i]}});
        }
    }
};

} // namespace support
