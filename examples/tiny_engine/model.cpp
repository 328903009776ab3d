#include "model.hpp"

#include "arithmetic.hpp"

#include <algorithm>

namespace tiny {

model::model(model_shape const& shape, std::uint64_t seed)
    : shape_{shape},
      footprint_{shape.spec().footprint()},
      weights_{make_weights(shape, seed)},
      attention_{shape},
      mamba2_{shape} {}

std::span<float const> model::forward(std::span<batch_item const> batch, wanted which) {
    embed(batch);
    std::size_t kv_layer = 0;
    std::size_t piece = 0;
    for (layer_weights const& w : weights_.layers) {
        mix(w, kv_layer, piece, batch);
        run_mlp(w.mlp);
        if (w.mixer == 'A') ++kv_layer;
        if (w.mixer == 'M') piece += 2;
        if (w.mixer == 'S') piece += 1;
    }
    if (which == wanted::last) { // the last token of each item moves to the front
        std::size_t row = 0;
        std::size_t end = 0;
        for (batch_item const& item : batch) {
            end += item.tokens.size();
            std::copy_n(hidden_.begin() + static_cast<std::ptrdiff_t>((end - 1) * shape_.width),
                        shape_.width,
                        hidden_.begin() + static_cast<std::ptrdiff_t>(row++ * shape_.width));
        }
        rows_ = row;
    }
    project_normed(weights_.norm, weights_.logits);
    logits_.swap(projected_);
    return std::span{logits_}.first(rows_ * shape_.vocabulary);
}

token model::most_likely(std::span<float const> logits) {
    return static_cast<token>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

void model::embed(std::span<batch_item const> batch) {
    hidden_.clear();
    for (batch_item const& item : batch) {
        std::vector<float> const& shift = adapter(item.adapter);
        for (token const t : item.tokens) {
            auto const row =
                weights_.embedding.begin() + t * static_cast<std::ptrdiff_t>(shape_.width);
            std::transform(shift.begin(), shift.end(), row, std::back_inserter(hidden_),
                           [](float a, float b) { return a + b; });
        }
    }
    rows_ = hidden_.size() / shape_.width;
}

void model::mix(layer_weights const& w, std::size_t kv_layer, std::size_t piece,
                std::span<batch_item const> batch) {
    bool const recurrent = w.mixer == 'M';
    std::size_t const in = recurrent ? mamba2::projected_width(shape_) : projected_width(shape_);
    std::size_t const out = recurrent ? shape_.inner() : shape_.queries();
    project_normed(w.norm, recurrent ? w.mamba2.in : w.attention.in);
    mixed_.resize(rows_ * out);
    float* from = projected_.data();
    float* to = mixed_.data();
    for (batch_item const& item : batch) {
        std::size_t const count = item.tokens.size();
        if (recurrent)
            mamba2_.scan(w.mamba2, item.state->piece(piece), item.state->piece(piece + 1), count,
                         from, to);
        else if (w.mixer == 'A')
            attention_.over_all(*item.kv, kv_layer, item.position, count, from, to);
        else
            attention_.over_window(item.state->piece(piece), item.position, count, from, to);
        from += count * in;
        to += count * out;
    }
    add_projected(recurrent ? w.mamba2.out : w.attention.out);
}

void model::run_mlp(mlp_weights const& w) {
    project_normed(w.norm, w.up);
    mixed_.resize(rows_ * shape_.mlp_width);
    for (std::size_t r = 0; r < rows_; ++r) {
        float const* const gate = projected_.data() + r * 2 * shape_.mlp_width;
        for (std::size_t i = 0; i < shape_.mlp_width; ++i)
            mixed_[r * shape_.mlp_width + i] = silu(gate[i]) * gate[shape_.mlp_width + i];
    }
    add_projected(w.down);
}

void model::project_normed(std::span<float const> norm, matrix const& w) {
    normed_.resize(rows_ * shape_.width);
    for (std::size_t r = 0; r < rows_; ++r)
        rms_norm(hidden_.data() + r * shape_.width, norm, normed_.data() + r * shape_.width);
    projected_.resize(rows_ * w.out());
    project(w, normed_.data(), rows_, projected_.data());
}

void model::add_projected(matrix const& w) {
    added_.resize(rows_ * w.out());
    project(w, mixed_.data(), rows_, added_.data());
    add(hidden_, added_);
}

std::vector<float> const& model::adapter(std::uint64_t id) {
    auto const [it, fresh] = adapters_.try_emplace(id);
    if (fresh) it->second = make_adapter(shape_, id);
    return it->second;
}

} // namespace tiny
