#pragma once

// Where histories come from: any source of small numbers decides. A generator reaches for the
// places where requests meet: prefixes of each other, the same tokens at the same time.

#include <support/histories/call.hpp>
#include <support/histories/contest.hpp>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <random>
#include <span>
#include <string>
#include <vector>

namespace histories {

/// decide(n) is at least 0 and less than n.
using decisions = std::function<std::uint32_t(std::uint32_t)>;

inline decisions random_decisions(std::uint64_t seed) {
    return [random = std::mt19937_64{seed}](std::uint32_t n) mutable {
        return static_cast<std::uint32_t>(random() % n);
    };
}

/// A byte a decision, two for large ones; 0 where there are no more. For fuzzers.
inline decisions byte_decisions(std::span<unsigned char const> bytes) {
    return [bytes](std::uint32_t n) mutable {
        std::uint32_t value = 0;
        for (std::uint32_t reach = 1; reach < n; reach *= 256) {
            if (bytes.empty()) break;
            value = value * 256 + bytes.front();
            bytes = bytes.subspan(1);
        }
        return value % n;
    };
}

class generator {
public:
    generator(setup const& s, contest const& on, decisions decide)
        : setup_{s}, right_{on.right()}, on_{on}, decide_{std::move(decide)} {}

    call next() {
        if (acquire_next_) {
            acquire_next_ = false;
            if (int const slot = free_slot(); slot < most_open && decide_(8) != 0)
                return acquire(slot);
        }
        auto const open = static_cast<std::uint32_t>(right_.leases.size());
        std::uint32_t const dice = decide_(64);
        if (open == 0 || dice < 14) return match();
        if (dice < 16 && free_slot() < most_open && on_.has_plan(plan_))
            return acquire(free_slot());
        int const slot = std::next(right_.leases.begin(), decide_(open))->first;
        if (dice < 40) return commit(slot);
        if (dice < 44) return restore_or_let_go(slot);
        if (dice < 50) return reserve(slot);
        if (dice < 59) return release(slot);
        if (dice < 61) return let_go_kv(slot);
        if (dice == 61 && decide_(3) != 0) return forget();
        if (dice == 61 && decide_(2)) return {.what = call::forget_unused, .amount = decide_(30)};
        if (dice < 63 || decide_(3) != 0) {
            std::uint32_t const bytes = 1 + decide_(decide_(2) ? 300 : 2500);
            if (decide_(4) == 0) return {.what = call::evict_of, .scope = scope(), .amount = bytes};
            return {.what = call::evict, .amount = bytes};
        }
        if (decide_(2)) return {.what = call::clear, .scope = scope()};
        return {.what = call::clear_all};
    }

    /// What ends a history: nothing may be left after it.
    [[nodiscard]] static std::vector<call> ending(reference::cache const& right) {
        std::vector<call> calls;
        for (auto const& [slot, l] : right.leases)
            calls.push_back({.what = call::release, .lease = slot});
        calls.push_back({.what = call::clear_all});
        return calls;
    }

private:
    static constexpr int most_open = 5;
    static constexpr std::size_t most_past = 10;

    char scope() { return decide_(6) == 0 ? 'B' : 'A'; }
    [[nodiscard]] int free_slot() const {
        int slot = 0;
        while (right_.leases.contains(slot))
            ++slot;
        return slot;
    }

    std::string invent() {
        std::string tokens;
        if (!past_.empty() && decide_(6) != 0) {
            tokens = past_[decide_(static_cast<std::uint32_t>(past_.size()))];
            if (decide_(3) == 0)
                tokens.resize(decide_(static_cast<std::uint32_t>(tokens.size()) + 1));
        }
        if (decide_(5) != 0) extend(tokens, decide_(3) ? 8 : setup_.longest);
        return tokens;
    }
    void extend(std::string& tokens, std::uint32_t most) {
        std::size_t const size =
            std::min<std::size_t>(setup_.longest, tokens.size() + 1 + decide_(most));
        while (tokens.size() < size)
            tokens.push_back(decide_(4) ? 'a' : 'b');
    }
    void remember(std::string tokens) {
        if (tokens.empty()) return;
        past_.push_back(std::move(tokens));
        if (past_.size() > most_past) past_.erase(past_.begin());
    }

    call match() {
        call c{.what = call::match,
               .plan = static_cast<int>(decide_(3)),
               .scope = scope(),
               .tokens = invent()};
        auto const size = static_cast<std::uint32_t>(c.tokens.size());
        if (std::uint32_t const dice = decide_(6); dice == 0)
            c.limit = size;
        else if (dice == 1)
            c.limit = decide_(size + 1);
        plan_ = c.plan;
        prompts_[c.plan] = c.tokens;
        acquire_next_ = true;
        return c;
    }
    call acquire(int slot) {
        if (decide_(6) == 0)
            for (int other = 0; other < 3; ++other)
                if (other != plan_ && on_.has_plan(other)) plan_ = other;
        target_[slot] = prompts_[plan_];
        constexpr double weights[] = {1, 1, 1, 0, 0.5, 3, 100, 1e6};
        return {.what = call::acquire, .lease = slot, .plan = plan_, .weight = weights[decide_(8)]};
    }

    call commit(int slot) {
        reference::lease const& l = right_.leases.at(slot);
        std::string& target = follow(slot, l);
        auto const room = static_cast<std::uint32_t>(target.size()) - l.position;
        std::uint32_t const end = l.position + (decide_(3) ? room : decide_(room + 1));
        call c{.what = decide_(2) ? call::commit_in_place : call::commit,
               .lease = slot,
               .tokens = target.substr(0, end)};
        if (l.in_place != (c.what == call::commit_in_place) && decide_(3) != 0)
            c.what = l.in_place ? call::commit_in_place : call::commit;
        if (right_.needs_checkpoint())
            for (std::uint32_t p = std::max(l.position, 1u); p <= end; ++p)
                if (captures(l, p, p == target.size()) || decide_(16) == 0)
                    c.checkpoints.push_back(p);
        if (decide_(4) == 0) remember(c.tokens);
        return c;
    }
    /// The sequence that a lease works on, longer than where it stands, mostly.
    std::string& follow(int slot, reference::lease const& l) {
        std::string& target = target_[slot];
        if (target.size() < l.position) target.resize(l.position, 'a');
        if (l.stands) target.replace(0, l.position, *l.stands, 1, l.position);
        if (target.size() == l.position && decide_(4) != 0) {
            if (decide_(2) && !past_.empty()) { // as another request went on
                std::string const& other = past_[decide_(static_cast<std::uint32_t>(past_.size()))];
                if (other.size() > target.size() && other.starts_with(target))
                    return target = other;
            }
            extend(target, decide_(3) ? 6 : 40);
        }
        return target;
    }
    static bool captures(reference::lease const& l, std::uint32_t p, bool last) {
        if (p <= l.resume_at) return false;
        if (last && l.captures.tail) return true;
        return std::ranges::find(l.captures.at, token_count{p}) != l.captures.at.end();
    }

    call restore_or_let_go(int slot) {
        if (decide_(4) == 0) return {.what = call::let_go_checkpoint, .lease = slot};
        return {.what = call::restore, .lease = slot};
    }
    call reserve(int slot) {
        reference::lease const& l = right_.leases.at(slot);
        if (l.end_block() * right_.block() > l.position && decide_(4) == 0)
            return {.what = call::unreserve,
                    .lease = slot,
                    .amount = decide_(2) ? l.position : decide_(l.end_block() * right_.block())};
        if (l.in_place && decide_(4) == 0) return {.what = call::deduplicate, .lease = slot};
        auto const most = static_cast<std::uint32_t>(follow(slot, l).size());
        return {.what = call::reserve,
                .lease = slot,
                .amount = decide_(4) ? std::max(most, l.position) : l.position + decide_(40),
                .spare = decide_(3) ? 0 : decide_(12)};
    }
    call release(int slot) {
        reference::lease const& l = right_.leases.at(slot);
        if (l.stands) remember(l.stands->substr(1));
        return {.what = call::release, .lease = slot};
    }
    call forget() {
        call c{.what = call::forget, .scope = scope(), .tokens = invent()};
        if (c.tokens.empty()) c.tokens = "a";
        c.amount = decide_(static_cast<std::uint32_t>(c.tokens.size()));
        return c;
    }
    call let_go_kv(int slot) { return {.what = call::let_go_kv, .lease = slot}; }

    setup const& setup_;
    reference::cache const& right_;
    contest const& on_;
    decisions decide_;
    std::vector<std::string> past_;
    std::map<int, std::string> target_, prompts_;
    int plan_ = 0;
    bool acquire_next_ = false;
};

} // namespace histories
