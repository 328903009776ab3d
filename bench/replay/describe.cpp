#include "describe.hpp"

#include "percentile.hpp"
#include "sizes.hpp"
#include "text_table.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace marconi::replay {

namespace {

/// The prefixes seen so far, one for each step of tokens, each identified by a hash of its parent's
/// hash and its tokens. Statistics can live with the odds of a 64-bit collision; a cache could not.
class prefix_trie {
public:
    /// Adds a request; returns how many tokens of its input were there already.
    std::uint64_t add(request const& r) {
        constexpr std::size_t step = trace_statistics::prefix_step;
        // With more bits than a token has, so that none makes it 0: zeros would leave it there.
        std::uint64_t hash = 0x9E3779B97F4A7C15u;
        std::uint64_t known = 0;
        bool on_known_path = true;
        for (std::size_t end = step; end <= r.tokens.size(); end += step) {
            for (std::size_t i = end - step; i < end; ++i)
                hash = mixed(hash, static_cast<std::uint32_t>(r.tokens[i]));
            on_known_path = !seen_.insert(hash).second && on_known_path;
            if (on_known_path && end <= r.prompt_tokens) known = end;
        }
        return known;
    }

private:
    static std::uint64_t mixed(std::uint64_t hash, std::uint32_t token) {
        hash = (hash ^ token) * 0x9E3779B97F4A7C15u;
        return hash ^ (hash >> 29);
    }

    std::unordered_set<std::uint64_t> seen_;
};

spread spread_of(std::vector<std::uint64_t> values) {
    if (values.empty()) return {};
    double sum = 0;
    for (std::uint64_t const value : values)
        sum += static_cast<double>(value);
    return {.mean = sum / static_cast<double>(values.size()),
            .median = percentile(values, 50),
            .p95 = percentile(values, 95),
            .max = percentile(values, 100)};
}

bool continues(request const& later, request const& earlier) {
    return earlier.tokens.size() <= later.prompt_tokens &&
           std::equal(earlier.tokens.begin(), earlier.tokens.end(), later.tokens.begin());
}

double ratio(double part, double whole) { return whole > 0 ? part / whole : 0; }

} // namespace

trace_statistics describe(trace const& of, progress& shown) {
    struct session_so_far {
        std::uint64_t turns = 0;
        request const* last = nullptr;
    };
    std::unordered_map<std::uint32_t, session_so_far> sessions;
    prefix_trie prefixes;
    std::vector<std::uint64_t> inputs, outputs, turns;
    double repeated = 0, growth = 0, continued = 0, later_turns = 0;
    trace_statistics result;
    result.name = of.name;
    shown.begin("requests described", of.requests.size());
    stepper steps{shown};
    for (request const& r : of.requests) {
        steps.step();
        inputs.push_back(r.prompt_tokens);
        outputs.push_back(r.output().size());
        result.input_tokens += r.prompt_tokens;
        repeated += static_cast<double>(prefixes.add(r));
        session_so_far& session = sessions[r.session];
        if (session.last != nullptr) {
            later_turns += 1;
            growth += static_cast<double>(r.prompt_tokens) - session.last->prompt_tokens;
            continued += continues(r, *session.last);
        }
        session = {.turns = session.turns + 1, .last = &r};
    }
    for (auto const& [id, session] : sessions)
        turns.push_back(session.turns);

    result.requests = of.requests.size();
    result.sessions = sessions.size();
    result.turns = spread_of(std::move(turns));
    result.input = spread_of(std::move(inputs));
    result.output = spread_of(std::move(outputs));
    if (!of.requests.empty())
        result.seconds = of.requests.back().seconds - of.requests.front().seconds;
    result.requests_per_second = ratio(static_cast<double>(result.requests), result.seconds);
    result.repeated_share = ratio(repeated, static_cast<double>(result.input_tokens));
    result.growth_per_turn = ratio(growth, later_turns);
    result.continued_share = ratio(continued, later_turns);
    return result;
}

void print_statistics(std::span<trace_statistics const> statistics, std::ostream& to) {
    text_table::row heading{"trace"};
    for (trace_statistics const& s : statistics)
        heading.push_back(s.name);
    text_table table;
    table.add(std::move(heading));
    auto const line = [&](char const* title, auto const& cell) {
        text_table::row cells{title};
        for (trace_statistics const& s : statistics)
            cells.push_back(cell(s));
        table.add(std::move(cells));
    };
    auto const spread_lines = [&](std::string const& title, spread trace_statistics::*of,
                                  int decimals) {
        line((title + ", mean").c_str(), [&](auto const& s) {
            double const mean = (s.*of).mean;
            return decimals != 0 ? format_fixed(mean, decimals)
                                 : format_count(static_cast<std::uint64_t>(std::llround(mean)));
        });
        line("  median", [&](auto const& s) { return format_count((s.*of).median); });
        line("  95th percentile", [&](auto const& s) { return format_count((s.*of).p95); });
        line("  maximum", [&](auto const& s) { return format_count((s.*of).max); });
    };
    line("requests", [](auto const& s) { return format_count(s.requests); });
    line("sessions", [](auto const& s) { return format_count(s.sessions); });
    spread_lines("turns of a session", &trace_statistics::turns, 1);
    line("input tokens", [](auto const& s) { return format_count(s.input_tokens); });
    spread_lines("input of a request", &trace_statistics::input, 0);
    spread_lines("output of a request", &trace_statistics::output, 0);
    line("seconds", [](auto const& s) { return format_fixed(s.seconds, 1); });
    line("requests a second", [](auto const& s) { return format_fixed(s.requests_per_second, 2); });
    line("input that repeats a prefix",
         [](auto const& s) { return format_share(s.repeated_share); });
    line("input growth per turn", [](auto const& s) { return format_fixed(s.growth_per_turn, 0); });
    line("turns that keep all history",
         [](auto const& s) { return format_share(s.continued_share); });
    table.print(to);
}

} // namespace marconi::replay
