#pragma once

// Token sequences with the shapes that serving engines see, the same in every run.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

namespace marconi::micro {

using text = std::vector<std::int32_t>;

/// SplitMix64 (Steele, Lea, Flood 2014).
class random_source {
public:
    explicit random_source(std::uint64_t seed) : state_{seed} {}

    std::uint64_t next() {
        std::uint64_t z = state_ += 0x9E3779B97F4A7C15u;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
        return z ^ (z >> 31);
    }
    /// Uniform in [0, end).
    std::size_t below(std::size_t end) {
        return static_cast<std::size_t>(((next() >> 32) * end) >> 32);
    }
    /// Appends tokens that nothing else repeats.
    void append_text(text& to, std::size_t count) {
        std::size_t const begin = to.size();
        to.resize(begin + count);
        for (std::size_t at = begin; at < to.size(); at += 2) {
            std::uint64_t const two = next() & 0x7FFF'FFFF'7FFF'FFFFu;
            std::memcpy(to.data() + at, &two, std::min<std::size_t>(2, to.size() - at) * 4);
        }
    }
    void shuffle(std::vector<std::uint32_t>& order) {
        for (std::size_t i = order.size(); i > 1; --i)
            std::swap(order[i - 1], order[below(i)]);
    }

private:
    std::uint64_t state_;
};

/// A request: what is matched, and all that is committed.
struct request {
    std::span<std::int32_t const> prompt;
    std::span<std::int32_t const> whole;
};

/// Conversations over shared system prompts, their turns in random order.
class chat_sessions {
public:
    static constexpr std::size_t turns = 10;
    static constexpr std::size_t system_prompts = 20;
    static constexpr std::size_t system_tokens = 1000;
    static constexpr std::size_t turn_input = 200;
    static constexpr std::size_t turn_output = 200;

    explicit chat_sessions(std::size_t sessions) {
        random_source random{1};
        std::vector<text> systems(system_prompts);
        for (text& system : systems)
            random.append_text(system, system_tokens);
        for (std::size_t s = 0; s < sessions; ++s) {
            sessions_.push_back(systems[s % system_prompts]);
            random.append_text(sessions_.back(), turns * (turn_input + turn_output));
            order_.insert(order_.end(), turns, static_cast<std::uint32_t>(s));
        }
        random.shuffle(order_);
        std::vector<std::size_t> done(sessions);
        for (std::uint32_t const s : order_) {
            std::size_t const history = system_tokens + done[s]++ * (turn_input + turn_output);
            std::span<std::int32_t const> const all = sessions_[s];
            requests_.push_back(
                {all.first(history + turn_input), all.first(history + turn_input + turn_output)});
        }
    }

    [[nodiscard]] std::vector<request> const& requests() const { return requests_; }
    /// Tokens that a cache without limits holds in the end.
    [[nodiscard]] std::size_t distinct_tokens() const {
        return std::min(system_prompts, sessions_.size()) * system_tokens +
               sessions_.size() * turns * (turn_input + turn_output);
    }
    /// Tokens that such a cache finds, over all requests.
    [[nodiscard]] std::size_t known_tokens() const {
        std::size_t tokens = 0;
        for (request const& r : requests_)
            tokens += r.prompt.size() - turn_input;
        return tokens - std::min(system_prompts, sessions_.size()) * system_tokens;
    }

private:
    std::vector<text> sessions_;
    std::vector<std::uint32_t> order_;
    std::vector<request> requests_;
};

/// Long prompts that share nothing, each asked several times in random order.
class long_prompts {
public:
    long_prompts(std::size_t prompts, std::size_t tokens, std::size_t repeats) {
        random_source random{2};
        prompts_.resize(prompts);
        for (std::uint32_t p = 0; p < prompts; ++p) {
            random.append_text(prompts_[p], tokens);
            order_.insert(order_.end(), repeats, p);
        }
        random.shuffle(order_);
    }
    [[nodiscard]] std::vector<std::uint32_t> const& order() const { return order_; }
    [[nodiscard]] text const& operator[](std::size_t p) const { return prompts_[p]; }

private:
    std::vector<text> prompts_;
    std::vector<std::uint32_t> order_;
};

/// Short leaves under long prefixes, made one at a time.
class many_leaves {
public:
    static constexpr std::size_t prefixes = 1000;
    static constexpr std::size_t prefix_tokens = 512;
    static constexpr std::size_t leaf_tokens = 64;

    many_leaves() : prefixes_(prefixes) {
        for (text& prefix : prefixes_)
            random_.append_text(prefix, prefix_tokens);
    }
    [[nodiscard]] text const& prefix(std::size_t p) const { return prefixes_[p]; }
    /// The next prefix in turn, and a new leaf under it.
    [[nodiscard]] text const& next() {
        next_.assign(prefixes_[made_ % prefixes].begin(), prefixes_[made_ % prefixes].end());
        random_.append_text(next_, leaf_tokens);
        ++made_;
        return next_;
    }

private:
    random_source random_{3};
    std::vector<text> prefixes_;
    text next_;
    std::size_t made_ = 0;
};

/// An endless stream of conversations as traces show them: each ends after some turns, and another
/// begins. Inputs and outputs have from some dozens to some thousands of tokens; most are short.
class endless_chat {
public:
    /// Keeps `open` conversations going at a time.
    explicit endless_chat(std::size_t open) : systems_(100), open_(open) {
        for (text& system : systems_)
            random_.append_text(system, skewed(100, 3000));
    }

    /// The next turn: valid until the one after.
    [[nodiscard]] request next() {
        conversation& c = open_[random_.below(open_.size())];
        if (c.turns_left == 0) {
            c.turns_left = 1 + random_.below(12);
            text const& system = systems_[random_.below(systems_.size())];
            c.history.assign(system.begin(), system.end());
        }
        --c.turns_left;
        random_.append_text(c.history, skewed(50, 1500));
        std::size_t const prompt = c.history.size();
        random_.append_text(c.history, skewed(50, 1500));
        return {std::span{c.history}.first(prompt), c.history};
    }

private:
    struct conversation {
        std::size_t turns_left = 0;
        text history;
    };

    /// A number from `least` to `most`, at every scale: the smaller, the more often.
    std::size_t skewed(std::size_t least, std::size_t most) {
        std::size_t reach = most;
        while (reach / 2 > least && random_.below(4) != 0)
            reach /= 2;
        std::size_t const from = std::max(least, reach / 2);
        return from + random_.below(reach - from + 1);
    }

    random_source random_{4};
    std::vector<text> systems_;
    std::vector<conversation> open_;
};

} // namespace marconi::micro
