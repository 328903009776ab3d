#pragma once

#include <marconi/core/error.hpp>
#include <marconi/model/presets/paper.hpp>
#include <marconi/model/spec.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace marconi::model {

/// Every model that is described here.
[[nodiscard]] inline std::vector<spec> presets() { return {paper_7b()}; }

/// The preset of that name. Throws invalid_argument, which lists the names, if there is none.
[[nodiscard]] inline spec find_preset(std::string_view name) {
    std::string names = "one of";
    for (spec& candidate : presets()) {
        if (candidate.name == name) return candidate;
        names += " " + candidate.name;
    }
    throw_invalid("preset", name, names);
}

} // namespace marconi::model
