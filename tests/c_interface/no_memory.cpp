// Whatever allocation fails, a C function answers, and what it had promised still holds.

#include <marconi_c.h>

#include <support/catch.hpp>
#include <support/no_memory.hpp>

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace {

/// A cache with events, and a request that forks off what is there, as far as memory allows.
class attempt {
public:
    attempt() {
        std::array const layers{marconi_kv_layer{8, 8}};
        std::array const pieces{marconi_state_piece{16, 0, 0}};
        marconi_options const options{.kv_layers = layers.data(),
                                      .kv_layer_count = layers.size(),
                                      .state_pieces = pieces.data(),
                                      .state_piece_count = pieces.size(),
                                      .flops_per_token = 1e6,
                                      .capacity = 1 << 16,
                                      .event_bytes = 1 << 16};
        REQUIRE(marconi_create(&options, &cache_) == MARCONI_OK);
        serve();
        tokens_[30] = -1;
    }
    attempt(attempt const&) = delete;
    attempt& operator=(attempt const&) = delete;
    ~attempt() {
        marconi_free_events(events_);
        CHECK(marconi_audit(cache_) == MARCONI_OK);
        CHECK(marconi_destroy(cache_) == MARCONI_OK);
    }

    /// Answers with the first failure.
    int serve() {
        marconi_scope const in{.tenant = 1, .adapter = 2, .revision = 3};
        marconi_lease* lease = nullptr;
        int answer = marconi_open(cache_, &in, tokens_.data(), tokens_.size(), nullptr, &lease);
        std::uint64_t covered = 0;
        if (answer == MARCONI_OK)
            answer = marconi_reserve(lease, tokens_.size(), 0, nullptr, &covered);
        std::array<void*, 1> const state{state_.data()};
        marconi_captured const end{covered, {.pieces = state.data(), .piece_count = 1}};
        if (answer == MARCONI_OK)
            answer = marconi_commit(lease, tokens_.data(), covered, nullptr, 0, &end, 1, nullptr,
                                    &outcome_);
        marconi_close(lease);
        return answer;
    }
    int take_events() { return marconi_take_events(cache_, &events_); }

    [[nodiscard]] marconi_outcome const& outcome() const { return outcome_; }
    [[nodiscard]] marconi_learning learned() const {
        marconi_learning found{};
        REQUIRE(marconi_read_learning(cache_, &found) == MARCONI_OK);
        return found;
    }
    [[nodiscard]] marconi_events const& events() const { return *events_; }

private:
    marconi_cache* cache_ = nullptr;
    std::vector<std::int32_t> tokens_ = std::vector<std::int32_t>(50, 7);
    std::array<std::uint64_t, 2> state_{};
    marconi_outcome outcome_{};
    marconi_events* events_ = nullptr;
};

} // namespace

TEST_CASE("a C function that finds no memory says so") {
    std::size_t refused = 0, lost = 0, unlearned = 0;
    for (bool unharmed = false; !unharmed; ++refused) {
        attempt one;
        int answer = MARCONI_OK, taken = MARCONI_OK;
        {
            testing::no_memory const none{refused};
            answer = one.serve();
            taken = one.take_events();
            unharmed = !none.was_asked();
        }
        REQUIRE((answer == MARCONI_OK || answer == MARCONI_OUT_OF_MEMORY));
        REQUIRE((taken == MARCONI_OK || taken == MARCONI_OUT_OF_MEMORY));
        if (answer == MARCONI_OK) REQUIRE(one.outcome().position == 50);
        // An event that is lost shows, and harms nobody.
        if (taken != MARCONI_OK) REQUIRE(one.take_events() == MARCONI_OK);
        REQUIRE(one.events().count <= one.events().next);
        lost += one.events().count < one.events().next;
        if (unharmed) REQUIRE(one.events().count == one.events().next);
        // Learning may end for it, and says why.
        marconi_learning const learned = one.learned();
        unlearned += learned.ended;
        if (learned.ended) REQUIRE(std::string{marconi_last_error()} == "no memory");
        if (unharmed) REQUIRE(learned.requests == 2);
    }
    CHECK(refused > 10);
    CHECK(lost > 0);
    CHECK(unlearned > 0);
}
