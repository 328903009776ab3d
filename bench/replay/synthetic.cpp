#include "synthetic.hpp"

#include "session_writer.hpp"

#include <marconi/core/error.hpp>

#include <array>
#include <string>
#include <utility>
#include <vector>

namespace marconi::replay {

namespace {

constexpr std::array workload_names = {
    std::pair{workload::chat, std::string_view{"chat"}},
    std::pair{workload::agent, std::string_view{"agent"}},
    std::pair{workload::fewshot, std::string_view{"fewshot"}},
    std::pair{workload::mixed, std::string_view{"mixed"}},
};

void write(std::uint32_t session, workload kind, session_writer& to) {
    bool const mixed = kind == workload::mixed;
    std::array const turns = {workload::chat, workload::agent, workload::fewshot};
    std::uint32_t const ordinal = mixed ? session / 3 : session;
    switch (mixed ? turns[session % 3] : kind) {
    case workload::chat:
        to.write_chat(session, ordinal);
        break;
    case workload::agent:
        to.write_agent(session, ordinal);
        break;
    default:
        to.write_fewshot(session, ordinal);
        break;
    }
}

} // namespace

std::string synthetic_name(workload kind) {
    return "synthetic-" + std::string{workload_name(kind)};
}

trace make_synthetic(synthetic_options const& options, std::uint64_t most_tokens, progress& shown) {
    MARCONI_EXPECT(options.sessions >= 1 && options.sessions <= most_sessions, "sessions",
                   options.sessions, "1 to " + std::to_string(most_sessions));
    session_writer writer{options.seed};
    shown.begin("sessions made", options.sessions);
    for (std::uint32_t session = 0; session < options.sessions; ++session) {
        if (writer.settled_before(session) >= options.limit) break;
        write(session, options.kind, writer);
        if (writer.tokens() > most_tokens)
            throw_invalid("sessions", options.sessions,
                          "fewer, or a limit on the requests: the first " +
                              std::to_string(session + 1) + " have more than " +
                              std::to_string(most_tokens) + " tokens");
        shown.advance(1);
    }
    std::vector<request> made = std::move(writer).in_order();
    if (made.size() > options.limit) made.resize(options.limit);
    return {.name = synthetic_name(options.kind),
            .requests = std::move(made),
            .seed = options.seed,
            .sessions = options.sessions};
}

workload parse_workload(std::string_view name) {
    for (auto const& [kind, kind_name] : workload_names)
        if (name == kind_name) return kind;
    throw_invalid("synthetic", name, "chat, agent, fewshot or mixed");
}

std::string_view workload_name(workload kind) {
    for (auto const& [other, name] : workload_names)
        if (other == kind) return name;
    return "unknown";
}

} // namespace marconi::replay
