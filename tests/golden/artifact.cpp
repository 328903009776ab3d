// The baselines against what the paper's published artifact scores on the same traces. Runs where
// the reference figures and traces lie beside the checkout (or in MARCONI_REFERENCE_DIR).

#include <replay/options.hpp>
#include <replay/progress.hpp>
#include <replay/run.hpp>
#include <replay/trace_reader.hpp>

#include <marconi/core/types.hpp>

#include <support/catch.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

using namespace marconi;
using namespace marconi::replay;

namespace {

struct reference_row {
    std::string policy;
    byte_count capacity;
    double token_hit_rate;
};

std::filesystem::path reference_folder() {
    if (char const* set = std::getenv("MARCONI_REFERENCE_DIR")) return set;
    return MARCONI_REFERENCE_DIR;
}

std::map<std::string, std::vector<reference_row>> read_reference() {
    std::map<std::string, std::vector<reference_row>> rows;
    std::ifstream file{reference_folder() / "reference/artifact.jsonl"};
    for (std::string line; std::getline(file, line);) {
        auto const row = nlohmann::json::parse(line);
        rows[row["trace"]].push_back({row["policy"], byte_count{row["capacity_bytes"]},
                                      row["token_hit_rate"].get<double>()});
    }
    return rows;
}

/// The artifact's setting: one token a block, states at any token, a hit over the whole prompt.
options artifact_setting() {
    options chosen;
    chosen.cost = cost_model::paper;
    chosen.block_tokens = 1;
    chosen.whole_prompt = true;
    return chosen;
}

std::optional<policy_name> baseline_of(std::string const& reference_policy) {
    if (reference_policy == "sglang") return policy_name{"sglang+", {}};
    if (reference_policy.starts_with("static:"))
        return policy_name{"marconi-artifact", std::stod(reference_policy.substr(7))};
    return std::nullopt;
}

/// How far a row may be off, in points of token hit rate.
double tolerance(reference_row const& row) { return row.policy == "sglang" ? 1.0 : 3.0; }

} // namespace

TEST_CASE("the baselines score what the published artifact scores") {
    auto const reference = read_reference();
    if (reference.empty()) {
        WARN("skipped: no reference figures in " << reference_folder());
        return;
    }
    options const chosen = artifact_setting();
    footprint const model = footprint_of(chosen);
    std::ostringstream table;
    double sum = 0;
    int rows = 0;
    for (auto const& [name, expected] : reference) {
#if defined(__SANITIZE_ADDRESS__)
        if (name == "swegemini") continue; // takes minutes there
#endif
        trace const requests = read_trace(
            (reference_folder() / "traces" / (name + ".compact.jsonl.gz")).string(), chosen.limit);
        progress silent{std::cerr, false, requests.requests.size(), "requests"};
        for (reference_row const& row : expected) {
            auto const policy = baseline_of(row.policy);
            if (!policy) continue;
            result const r = run_one(requests, *policy, row.capacity, model, chosen, silent);
            double const off = 100 * (r.token_hit_rate - row.token_hit_rate);
            table << name << ' ' << row.capacity.value() / 1'000'000 << " MB " << policy->text()
                  << ' ' << 100 * r.token_hit_rate << " % against " << 100 * row.token_hit_rate
                  << " %\n";
            CAPTURE(name, row.capacity.value(), policy->text(), off);
            CHECK(std::abs(off) <= tolerance(row));
            if (policy->kind == "marconi-artifact") {
                sum += std::abs(off);
                ++rows;
            }
        }
    }
    INFO(table.str());
    REQUIRE(rows >= 20);
    CHECK(sum / rows <= 0.8);
}
