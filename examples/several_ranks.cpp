// A small tensor-parallel engine: one index decides what is cached, and two ranks hold the memory,
// each its share of every layer. The scheduler's calls become orders, which the ranks carry out in
// sequence with the steps of the model. Here KV is read and written in place, and the queue from
// the scheduler to the ranks is a function call.

#include <marconi/marconi.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <map>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

using namespace marconi;
using namespace marconi::literals;

/// What one rank of two holds: 32 bytes of key and of value a token, 512 of recurrent state.
footprint const share{.model = "half of a hybrid layer pair",
                      .kv_layers = {{32, 32}},
                      .state_pieces = {{.fixed_bytes = 512}},
                      .flops = {.per_token = 1e6, .per_pair = 1e3}};
byte_count const on_each_rank = 256_KiB;
page_options const blocks{.block_tokens = 16_tokens};

/// What the scheduler tells the ranks of one request's prefill.
struct step {
    request_tag request;
    std::vector<std::int32_t> tokens;
    std::size_t begin;
    std::vector<page_id> table;
    std::vector<token_count> capture_at;
};

class rank {
public:
    explicit rank(int number) : number_{number}, memory_{host_store{share, on_each_rank, blocks}} {}

    void carry_out(copy_order const& order) {
        request& r = requests_[order.request.value];
        memory_.carry_out(order, {}, [&](token_count position) {
            bool const captured = order.what == copy_order::action::save;
            auto& state = captured ? r.captured.at(position) : r.state;
            r.pieces = {state.data()};
            return state_view{r.pieces};
        });
    }

    /// The "model": a token's KV and the state after it depend on all tokens so far, and the rank.
    void prefill(step const& s) {
        request& r = requests_[s.request.value];
        if (s.begin == 0) r.state.assign(512, {}); // nothing was loaded
        for (std::size_t t = s.begin; t < s.tokens.size(); ++t) {
            r.state[t % 512] ^= static_cast<std::byte>(s.tokens[t] * 31 + number_);
            auto const page = memory_.store().page(s.table[t / 16]);
            auto const [key, value] = places_of(page, t);
            std::ranges::fill(key, sum_of(r.state));
            std::ranges::fill(value, ~sum_of(r.state));
            for (token_count const wanted : s.capture_at)
                if (wanted.value() == t + 1) r.captured[wanted] = r.state;
        }
    }

    /// For after the commit: what was to be saved has been.
    void forget_captured(request_tag of) { requests_[of.value].captured.clear(); }

    /// Whether a request's state, and KV read through its table, are what computing all of it from
    /// the first token gives.
    [[nodiscard]] bool is_right(step const& s) {
        std::vector<std::byte> state(512);
        for (std::size_t t = 0; t < s.tokens.size(); ++t) {
            state[t % 512] ^= static_cast<std::byte>(s.tokens[t] * 31 + number_);
            auto const page = memory_.store().page(s.table[t / 16]);
            auto const [key, value] = places_of(page, t);
            if (std::ranges::count(key, sum_of(state)) != 32 ||
                std::ranges::count(value, ~sum_of(state)) != 32)
                return false;
        }
        return requests_[s.request.value].state == state;
    }

private:
    struct request {
        std::vector<std::byte> state = std::vector<std::byte>(512);
        std::map<token_count, std::vector<std::byte>> captured;
        std::vector<std::byte*> pieces;
    };
    /// Where in its page a token's key and value lie.
    [[nodiscard]] std::pair<std::span<std::byte>, std::span<std::byte>>
    places_of(std::span<std::byte> page, std::size_t t) const {
        page_layout const& layout = memory_.store().layout();
        return {page.subspan(layout.key_offset(0, t % 16), 32),
                page.subspan(layout.value_offset(0, t % 16), 32)};
    }
    static std::byte sum_of(std::vector<std::byte> const& state) {
        return std::accumulate(state.begin(), state.end(), std::byte{}, [](auto a, auto b) {
            return static_cast<std::byte>(std::to_integer<int>(a) * 3 + std::to_integer<int>(b));
        });
    }

    int number_;
    rank_memory<host_store> memory_;
    std::map<std::uint64_t, request> requests_;
};

int main() {
    std::vector<rank> ranks;
    for (int number = 0; number < 2; ++number)
        ranks.emplace_back(number);
    auto const to_all = [&](copy_order const& order) { // an engine would serialise it
        for (rank& each : ranks)
            each.carry_out(order);
    };
    prefix_cache index{relay_store{share, on_each_rank, blocks, to_all}};

    // Two requests show that a prefix is shared; the third resumes at its end, the fourth goes on
    // from the first.
    auto const prompt_of = [](std::size_t shared, std::size_t own, std::int32_t first) {
        std::vector<std::int32_t> prompt(shared + own);
        std::iota(prompt.begin(), prompt.begin() + static_cast<std::ptrdiff_t>(shared), 1);
        std::iota(prompt.begin() + static_cast<std::ptrdiff_t>(shared), prompt.end(), first);
        return prompt;
    };
    std::vector<std::vector<std::int32_t>> const prompts{
        prompt_of(50, 50, 1000), prompt_of(50, 50, 2000), prompt_of(50, 50, 3000),
        prompt_of(50, 90, 1000)};

    bool right = true;
    request_tag request;
    for (auto const& prompt : prompts) {
        ++request.value;
        token_count const end{prompt.size()};
        auto lease = index.open({}, prompt);
        index.restore(lease, {}, {}, request);
        if (index.reserve(lease, end, request) < end) return 1; // a real engine would preempt

        std::vector<token_count> wanted(lease.capture_at().begin(), lease.capture_at().end());
        if (lease.should_capture(end, /*last=*/true)) wanted.push_back(end);
        step const s{request, prompt, lease.resume_at().value(), index.block_table(lease), wanted};
        for (rank& each : ranks)
            each.prefill(s);

        std::vector<captured_state> captured;
        for (token_count const position : wanted)
            captured.push_back({position});
        auto const outcome = index.commit(lease, prompt, {.checkpoints = captured}, request);
        for (rank& each : ranks) {
            each.forget_captured(request);
            right = right && each.is_right(s);
        }
        std::printf("request %lu: %zu tokens, resumed at %lu, stored %lu and %u states on each "
                    "rank\n",
                    request.value, prompt.size(), lease.resume_at().value(),
                    outcome.stored_tokens.value(), outcome.stored_checkpoints);
    }
    std::printf("every rank holds %s\n", right ? "what it should" : "something wrong");
    return right && index.stats().tokens_resumed == 150_tokens ? 0 : 1;
}
