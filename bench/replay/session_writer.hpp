#pragma once

// Writes the sessions of a synthetic trace, one at a time, and puts their requests in order.

#include "random.hpp"
#include "request.hpp"
#include "session_shapes.hpp"

#include <cstdint>
#include <functional>
#include <queue>
#include <vector>

namespace marconi::replay {

class session_writer {
public:
    explicit session_writer(std::uint64_t seed) : seed_{seed} {}

    /// Each writes session `session`, which is the `ordinal`-th of its kind: the content depends on
    /// the seed and the ordinal alone, the times on the session.
    void write_chat(std::uint32_t session, std::uint32_t ordinal);
    void write_agent(std::uint32_t session, std::uint32_t ordinal);
    void write_fewshot(std::uint32_t session, std::uint32_t ordinal);

    /// How many of the requests written come before all those of session `next` and of later ones.
    /// `next` must not fall from call to call. Amortised O(log N) a request.
    [[nodiscard]] std::uint64_t settled_before(std::uint32_t next);

    /// How many tokens the requests written have, inputs and outputs.
    [[nodiscard]] std::uint64_t tokens() const { return tokens_; }

    /// All that was written, by time.
    [[nodiscard]] std::vector<request> in_order() &&;

private:
    using text = std::vector<std::int32_t>;

    /// A request whose time is still a whole number.
    struct timed_request {
        std::uint64_t ms = 0;
        request content;
    };

    /// What random numbers are drawn for: each purpose has its own, apart from all others.
    enum purpose : std::uint64_t {
        chat_session,
        agent_session,
        fewshot_session,
        shared_chat,
        shared_software_agent,
        shared_service_agent,
        dropped_note,
        template_instructions,
        template_examples,
    };

    [[nodiscard]] text shared_text(purpose what, std::uint32_t tokens) const;
    void write_continued(std::uint32_t session, session_shape const& shape, purpose shared,
                         bool forgets, random_source& random);
    [[nodiscard]] text template_text(std::uint32_t chosen, random_source& job) const;
    text add(std::uint32_t session, std::uint32_t turn, std::uint64_t ms, text const& input,
             std::uint32_t output, random_source& random);

    std::uint64_t seed_;
    std::uint64_t tokens_ = 0;
    std::vector<timed_request> requests_;
    /// The times of requests that one of a later session may still precede, the earliest on top.
    std::priority_queue<std::uint64_t, std::vector<std::uint64_t>, std::greater<>> unsettled_;
};

} // namespace marconi::replay
