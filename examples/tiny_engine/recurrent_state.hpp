#pragma once

// All of a request's state that does not grow with its length: for each Mamba layer its SSM state
// and the last inputs of its convolution, for each sliding window the keys and values of its last
// tokens. A checkpoint is a copy of this at one position.

#include <marconi/core/footprint.hpp>
#include <marconi/memory/views.hpp>

#include <algorithm>
#include <cstddef>
#include <vector>

namespace tiny {

class recurrent_state {
public:
    /// The state before the first token: zeros. The footprint must outlive it.
    explicit recurrent_state(marconi::footprint const& model) : model_{&model} {
        for (marconi::state_piece const& piece : model.state_pieces)
            pieces_.emplace_back(piece.bytes_at(piece.window) / sizeof(float));
        for (auto& piece : pieces_)
            addresses_.push_back(reinterpret_cast<std::byte*>(piece.data()));
    }
    recurrent_state(recurrent_state&&) = default;
    recurrent_state& operator=(recurrent_state&&) = default;

    /// Pieces are in the order of the layers: two for a Mamba layer, one for a sliding window.
    [[nodiscard]] float* piece(std::size_t i) { return pieces_[i].data(); }

    /// For the cache, which wants windows oldest token first: see checkpoint() and roll().
    [[nodiscard]] marconi::memory::state_view view() const { return {addresses_}; }

    /// A copy as the cache wants it, of the state after `position` tokens.
    [[nodiscard]] recurrent_state checkpoint(std::size_t position) const {
        recurrent_state copy{*model_};
        for (std::size_t i = 0; i < pieces_.size(); ++i) {
            std::size_t const oldest = oldest_row(i, position);
            auto const middle = pieces_[i].begin() + static_cast<std::ptrdiff_t>(oldest);
            std::rotate_copy(pieces_[i].begin(), middle, pieces_[i].end(), copy.pieces_[i].begin());
        }
        return copy;
    }
    /// Puts what the cache restored at `position` back into the engine's order: the token at
    /// position p of a sliding window lies in row p % window.
    void roll(std::size_t position) {
        for (std::size_t i = 0; i < pieces_.size(); ++i) {
            std::size_t const oldest = oldest_row(i, position);
            std::rotate(pieces_[i].begin(), pieces_[i].end() - static_cast<std::ptrdiff_t>(oldest),
                        pieces_[i].end());
        }
    }

private:
    /// Where a window's oldest row begins after `position` tokens; 0 for any other piece.
    [[nodiscard]] std::size_t oldest_row(std::size_t i, std::size_t position) const {
        marconi::state_piece const& piece = model_->state_pieces[i];
        if (piece.window == 0 || position <= piece.window) return 0;
        return position % piece.window * piece.bytes_per_window_token / sizeof(float);
    }

    marconi::footprint const* model_;
    std::vector<std::vector<float>> pieces_;
    std::vector<std::byte*> addresses_;
};

} // namespace tiny
