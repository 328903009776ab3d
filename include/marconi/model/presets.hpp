#pragma once

// Published models, by name.

#include <marconi/core/error.hpp>
#include <marconi/model/presets/attention.hpp>
#include <marconi/model/presets/linear_attention.hpp>
#include <marconi/model/presets/paper.hpp>
#include <marconi/model/presets/state_space.hpp>
#include <marconi/model/spec.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace marconi::model {

/// Every model that is described here; each carries its name and source.
[[nodiscard]] inline std::vector<spec> presets() {
    return {paper_7b(),
            jamba_1_5_mini(),
            nemotron_h_8b(),
            nemotron_3_nano_30b_a3b(),
            nemotron_3_super_120b_a12b(),
            zamba2_7b(),
            granite_4_0_h_small(),
            falcon_h1_7b(),
            lfm2_1_2b(),
            qwen3_next_80b_a3b(),
            qwen3_5_9b(),
            qwen3_5_27b(),
            qwen3_5_35b_a3b(),
            qwen3_5_397b_a17b(),
            kimi_linear_48b_a3b(),
            recurrentgemma_9b(),
            bmojo_8b(),
            gemma_3_27b(),
            gemma_4_31b(),
            gpt_oss_20b(),
            gpt_oss_120b(),
            mimo_v2_flash(),
            llama_3_1_8b()};
}

/// The preset of that name. Throws invalid_argument, which lists all names, if there is none.
[[nodiscard]] inline spec find_preset(std::string_view name) {
    std::string names;
    for (spec const& candidate : presets()) {
        if (candidate.name == name) return candidate;
        names += (names.empty() ? "one of " : ", ") + candidate.name;
    }
    throw_invalid("preset", name, names);
}

} // namespace marconi::model
