#pragma once

// A history from its first call to its last, and, where the two caches disagree, the shortest
// history that this file can find in which they do.

#include <support/histories/call.hpp>
#include <support/histories/contest.hpp>
#include <support/histories/generator.hpp>
#include <support/histories/setup.hpp>
#include <support/histories/tally.hpp>

#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <utility>

namespace histories {

struct failure {
    std::string what;
    history calls;

    /// For a test: the calls as code.
    [[nodiscard]] std::string to_code(setup const& s) const {
        std::string text = "// " + s.name + ": " + what + "\n";
        text += "replay(\"" + s.name + "\", {\n";
        for (call const& c : calls)
            text += "    " + histories::to_code(c) + ",\n";
        return text + "});\n";
    }
};

/// Plays a history as it is written; what would break a contract is left out.
inline std::optional<failure> replay(setup const& s, history const& calls) {
    contest on{s};
    on.look_at_bytes = 1;
    for (std::size_t i = 0; i < calls.size(); ++i) {
        try {
            on.play(calls[i]);
        } catch (std::exception const& e) {
            return failure{e.what(), {calls.begin(), calls.begin() + std::ptrdiff_t(i) + 1}};
        }
    }
    return std::nullopt;
}

namespace detail {

/// What a failure is about, without the figures.
inline std::string subject(std::string const& what) {
    return what.substr(0, std::min(what.find(" is "), what.find(" of ")));
}

/// Whether a shorter history fails likewise; then it is the new best.
inline bool improve(setup const& s, failure& best, history const& shorter) {
    auto found = replay(s, shorter);
    if (!found || subject(found->what) != subject(best.what)) return false;
    best = std::move(*found);
    return true;
}

/// Leaves out runs of calls, halving their length.
inline void drop_calls(setup const& s, failure& best) {
    for (std::size_t run = best.calls.size() / 2; run > 0; run /= 2)
        for (std::size_t at = 0; at + run <= best.calls.size();) {
            history shorter = best.calls;
            auto const from = shorter.begin() + static_cast<std::ptrdiff_t>(at);
            shorter.erase(from, from + static_cast<std::ptrdiff_t>(run));
            if (!improve(s, best, shorter)) at += run;
        }
}

/// Leaves out checkpoints, and one token position from all sequences at once.
inline void drop_details(setup const& s, failure& best) {
    for (std::size_t i = 0; i < best.calls.size(); ++i)
        for (std::size_t k = 0; i < best.calls.size() && k < best.calls[i].checkpoints.size();) {
            history simpler = best.calls;
            simpler[i].checkpoints.erase(simpler[i].checkpoints.begin() + std::ptrdiff_t(k));
            if (!improve(s, best, simpler)) ++k;
        }
    for (std::size_t at = s.longest; at-- > 0;) {
        history shorter = best.calls;
        bool changed = false;
        for (call& c : shorter) {
            if (c.tokens.size() > at) {
                c.tokens.erase(at, 1);
                changed = true;
                for (std::uint32_t& p : c.checkpoints)
                    p -= p > at;
                if (c.limit && *c.limit > at) --*c.limit;
            }
            if ((c.what == call::reserve || c.what == call::unreserve) && c.amount > at) --c.amount;
        }
        if (changed) improve(s, best, shorter);
    }
}

} // namespace detail

inline failure shrink(setup const& s, failure best) {
    for (std::size_t before = 0; best.calls.size() != before;) {
        before = best.calls.size();
        detail::drop_calls(s, best);
        detail::drop_details(s, best);
    }
    return best;
}

/// Plays `steps` random calls, and those that end a history: nothing must be left.
inline std::optional<failure> run_history(setup const& s, decisions decide, std::uint64_t steps,
                                          tally* counts = nullptr) {
    contest on{s};
    generator next{s, on, std::move(decide)};
    history played;
    auto const play = [&](call c) {
        played.push_back(std::move(c));
        on.play(played.back());
    };
    try {
        for (std::uint64_t i = 0; i < steps; ++i)
            play(next.next());
        for (call& c : generator::ending(on.right()))
            play(std::move(c));
        if (!on.right().nodes.empty() || on.right().used() != 0)
            throw reference::disagreement{"something is left at the end"};
    } catch (std::exception const& e) {
        return failure{e.what(), std::move(played)};
    }
    if (counts) counts->add(on.tallied());
    return std::nullopt;
}

inline std::optional<failure> run_history(setup const& s, std::uint64_t seed, std::uint64_t steps,
                                          tally* counts = nullptr) {
    return run_history(s, random_decisions(seed_for(s, seed)), steps, counts);
}

} // namespace histories
