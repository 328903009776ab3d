#pragma once

#include "two_units.hpp"

#include <all_headers.hpp>

#include <array>
#include <numeric>

namespace two_units {

/// In a nameless namespace, so that each unit instantiates everything for itself.
namespace {

report make_report() {
    marconi::footprint const model = marconi::model::paper_7b().footprint();
    marconi::prefix_cache cache{marconi::ledger_store{model, marconi::byte_count{1ull << 30}}};
    std::array<std::int32_t, 100> tokens;
    std::iota(tokens.begin(), tokens.end(), 0);
    {
        auto lease = cache.acquire(cache.plan(cache.match({}, tokens)));
        std::array const states{marconi::captured_state{.position = marconi::token_count{64}}};
        (void)cache.commit(lease, tokens, {.kv = {}, .checkpoints = states});
    }
    return {.copy_function = reinterpret_cast<void const*>(&marconi::memory::copy),
            .presets_function = reinterpret_cast<void const*>(&marconi::model::presets),
            .presets = marconi::model::presets().size(),
            .kv_bytes_of_7b = model.kv_bytes_per_token().value(),
            .resumed_at = cache.match({}, tokens).resumable.value()};
}

} // namespace
} // namespace two_units
