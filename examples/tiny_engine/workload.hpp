#pragma once

// Random requests that share whatever a cache could confuse.

#include "sequence.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <random>
#include <utility>
#include <vector>

namespace tiny {

/// Random numbers, the same on every platform.
class dice {
public:
    explicit dice(std::uint64_t seed) : engine_{seed} {}

    /// A number in [0, n).
    std::size_t below(std::size_t n) { return static_cast<std::size_t>(engine_() % n); }
    std::size_t between(std::size_t low, std::size_t high) { return low + below(high - low + 1); }
    bool chance(std::size_t percent) { return below(100) < percent; }
    template <class Value, std::size_t N>
    Value pick(Value const (&from)[N]) {
        return from[below(N)];
    }

private:
    std::mt19937_64 engine_;
};

class workload {
public:
    static constexpr std::size_t longest_prompt = 160;
    static constexpr std::size_t longest_answer = 12;

    workload(std::size_t vocabulary, std::uint64_t seed) : vocabulary_{vocabulary}, random_{seed} {}

    [[nodiscard]] request next() {
        request made{
            .in = scope(), .prompt = {}, .answer_tokens = random_.between(1, longest_answer)};
        std::size_t const kind = random_.below(100);
        if (past_.empty() || kind < 15) { // something new
            append(made.prompt, random_.between(1, 60));
        } else {
            auto const& [in, tokens] = past_[random_.below(past_.size())];
            made.prompt = tokens;
            if (random_.chance(85)) made.in = in; // else the same words in another scope
            if (kind < 30) {                      // the very same, or a part of it
                if (random_.chance(50)) made.prompt.resize(random_.between(1, tokens.size()));
            } else if (kind < 65) { // it goes on
                append(made.prompt, random_.between(1, 25));
            } else { // it forks somewhere
                made.prompt.resize(random_.between(1, tokens.size()));
                append(made.prompt, random_.between(1, 40));
            }
        }
        if (made.prompt.size() > longest_prompt) made.prompt.resize(longest_prompt);
        remember(made.in, made.prompt);
        return made;
    }

    /// A later prompt may be made from this, say from a prompt with its answer.
    void remember(marconi::scope const& in, std::vector<token> const& tokens) {
        past_.emplace_back(in, tokens);
        if (past_.size() > remembered) past_.pop_front();
    }

private:
    static constexpr std::size_t remembered = 24;

    marconi::scope scope() {
        return {.tenant = random_.below(2), .adapter = random_.below(3), .revision = 0};
    }
    void append(std::vector<token>& to, std::size_t count) {
        while (count-- > 0)
            to.push_back(static_cast<token>(random_.below(vocabulary_)));
    }

    std::size_t vocabulary_;
    dice random_;
    std::deque<std::pair<marconi::scope, std::vector<token>>> past_;
};

} // namespace tiny
