#pragma once

#include <marconi/cache/lease_record.hpp>
#include <marconi/core/types.hpp>
#include <marconi/tune/replay.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <unordered_map>
#include <vector>

namespace marconi::tune {

/// What a log needs to know of a commit beside its tokens.
struct commit_facts {
    bool first; ///< of its lease
    bool ended; ///< the state after its last token exists
    /// Where the lease stood: the tokens before that are the same as in its last commit.
    token_count from = {};
};

/// The requests of a cache, in the order of their first commits, as far as a bound on memory lets
/// them stay:
///
///     | forgotten | before the window      | the window            |
///                 | at most half the bound | the rest of the bound |
///
/// Before the window opens the oldest requests make room for new ones: they are the likeliest to
/// have lost their entries anyway. Of each request the tokens of its last commit are kept. If a
/// request from before the window commits within it, that is kept as a request of its own with an
/// empty prompt, so that the state at the window's start stays what it was.
template <token Token>
class request_log {
public:
    explicit request_log(byte_count bound) : bound_{bound} {}

    /// Keeps a commit's tokens. False if the window has no room for them. O(tokens) for a request's
    /// first commit, O(new tokens) later. The bound is exceeded by one request at most, until the
    /// oldest are forgotten for it. May throw std::bad_alloc; the log is of no use then.
    bool record(cache::lease_record const& lease, std::span<Token const> tokens,
                commit_facts commit) {
        auto const known = index_.find(lease.request);
        entry* const old = known == index_.end() ? nullptr : &at(known->second);
        byte_count const replaced = old ? bytes_of(*old) : byte_count{};
        if (window_open_ && bytes_ - replaced + bytes_with(old, tokens.size()) > bound_)
            return false;

        if (old) {
            go_on(old->tokens, tokens, commit.from);
            old->ended = commit.ended;
            bytes_ = bytes_ - replaced + bytes_of(*old);
        } else {
            entries_.push_back(entry{.in = lease.match().in,
                                     .number = lease.request,
                                     .prompt = commit.first ? lease.match().tokens : token_count{},
                                     .limit = commit.first ? lease.match().limit : token_count{},
                                     .answer_from = lease.match().answer_from,
                                     .tokens = {tokens.begin(), tokens.end()},
                                     .weight = lease.weight(),
                                     .counts = commit.first,
                                     .ended = commit.ended});
            index_.emplace(lease.request, forgotten_ + entries_.size() - 1);
            (window_open_ ? in_window_ : before_window_) += commit.first;
            bytes_ += bytes_of(entries_.back());
        }
        while (!window_open_ && bytes_ > byte_count{bound_.value() / 2})
            forget_oldest();
        return true;
    }

    /// From here on requests belong to the window.
    void open_window() {
        window_open_ = true;
        window_start_ = entries_.size();
        index_.clear();
    }

    /// Forgets a scope's requests, since their entries were cleared. O(requests).
    void forget(scope const& in) {
        auto const of_scope = [&](entry const& e) { return e.in == in; };
        auto const window = entries_.begin() + static_cast<std::ptrdiff_t>(window_start_);
        auto const before = std::count_if(entries_.begin(), window, of_scope);
        if (window_open_)
            in_window_ -= static_cast<std::uint64_t>(std::count_if(
                window, entries_.end(), [&](entry const& e) { return of_scope(e) && e.counts; }));
        bool const any = std::erase_if(entries_, [&](entry const& e) {
            if (of_scope(e)) bytes_ -= bytes_of(e);
            return of_scope(e);
        });
        if (!any) return;
        window_start_ -= static_cast<std::size_t>(before);
        index_.clear();
        for (std::size_t i = window_start_; i < entries_.size(); ++i)
            index_.insert_or_assign(entries_[i].number, forgotten_ + i);
    }

    /// Forgets every scope's.
    void forget_all() noexcept {
        forgotten_ += entries_.size();
        entries_.clear();
        index_.clear();
        bytes_ = {};
        window_start_ = 0;
        in_window_ = 0;
    }

    /// Entry i, oldest first; a prompt of which only a part was committed is cut to that.
    [[nodiscard]] replay_request<Token> operator[](std::size_t i) const {
        entry const& e = entries_[i];
        token_count const size{e.tokens.size()};
        return {.in = e.in,
                .tokens = e.tokens,
                .prompt = std::min(e.prompt, size),
                .limit = std::min(e.limit, size),
                .ended = e.ended,
                .weight = e.weight,
                .answer_from = e.answer_from};
    }
    [[nodiscard]] std::size_t size() const { return entries_.size(); }
    /// The first entry of the window.
    [[nodiscard]] std::size_t window_start() const { return window_start_; }

    /// Requests seen before the window, forgotten ones included, and those in it.
    [[nodiscard]] std::uint64_t before_window() const { return before_window_; }
    [[nodiscard]] std::uint64_t in_window() const { return in_window_; }
    /// Memory in use.
    [[nodiscard]] byte_count bytes() const { return bytes_; }

private:
    struct entry {
        scope in;
        std::uint64_t number;
        token_count prompt;
        token_count limit;
        token_count answer_from;
        std::vector<Token> tokens;
        float weight;
        bool counts; ///< as one of the requests that the window has, or those before it
        bool ended;
    };
    /// What an entry takes beside its tokens: its place in the index is about as large as itself.
    static constexpr std::uint64_t overhead = 2 * sizeof(entry);

    [[nodiscard]] static byte_count bytes_of(entry const& e) {
        return byte_count{overhead + e.tokens.capacity() * sizeof(Token)};
    }
    /// Bytes it takes to keep `size` tokens of a request; `old` is what is kept of it by now.
    [[nodiscard]] static byte_count bytes_with(entry const* old, std::size_t size) {
        std::size_t const room = old ? room_for(old->tokens, size) : size;
        return byte_count{overhead + room * sizeof(Token)};
    }
    /// Tokens that a vector has room for once it holds `size`: some to spare if it has to grow, so
    /// that a request that commits after every token moves each only a few times.
    [[nodiscard]] static std::size_t room_for(std::vector<Token> const& kept, std::size_t size) {
        if (size < kept.size()) return size;
        return size <= kept.capacity() ? kept.capacity() : size + size / 4;
    }
    /// Brings `kept` up to date: the sequence grew from `from` on, or is another one and shorter.
    static void go_on(std::vector<Token>& kept, std::span<Token const> tokens, token_count from) {
        if (tokens.size() < kept.size()) {
            kept = std::vector<Token>{tokens.begin(), tokens.end()};
            return;
        }
        kept.reserve(room_for(kept, tokens.size()));
        std::size_t const same = std::min<std::size_t>(kept.size(), from.value());
        kept.erase(kept.begin() + static_cast<std::ptrdiff_t>(same), kept.end());
        auto const fresh = tokens.subspan(kept.size());
        kept.insert(kept.end(), fresh.begin(), fresh.end());
    }
    [[nodiscard]] entry& at(std::uint64_t place) { return entries_[place - forgotten_]; }

    void forget_oldest() {
        bytes_ -= bytes_of(entries_.front());
        index_.erase(entries_.front().number);
        entries_.pop_front();
        ++forgotten_;
    }

    byte_count bound_;
    byte_count bytes_;
    std::deque<entry> entries_;
    std::unordered_map<std::uint64_t, std::uint64_t> index_; ///< number to place since the start
    std::uint64_t forgotten_ = 0;
    bool window_open_ = false;
    std::size_t window_start_ = 0;
    std::uint64_t before_window_ = 0;
    std::uint64_t in_window_ = 0;
};

} // namespace marconi::tune
