#include "synthetic.hpp"

#include "session_writer.hpp"

#include <marconi/core/error.hpp>

#include <array>
#include <string>
#include <utility>

namespace marconi::replay {

namespace {

constexpr std::array workload_names = {
    std::pair{workload::chat, std::string_view{"chat"}},
    std::pair{workload::agent, std::string_view{"agent"}},
    std::pair{workload::fewshot, std::string_view{"fewshot"}},
    std::pair{workload::mixed, std::string_view{"mixed"}},
};

} // namespace

trace make_synthetic(synthetic_options const& options) {
    MARCONI_EXPECT(options.sessions >= 1 && options.sessions <= most_sessions, "sessions",
                   options.sessions, "1 to " + std::to_string(most_sessions));
    session_writer writer{options.seed};
    for (std::uint32_t session = 0; session < options.sessions; ++session) {
        bool const mixed = options.kind == workload::mixed;
        std::array const turns = {workload::chat, workload::agent, workload::fewshot};
        std::uint32_t const ordinal = mixed ? session / 3 : session;
        switch (mixed ? turns[session % 3] : options.kind) {
        case workload::chat:
            writer.write_chat(session, ordinal);
            break;
        case workload::agent:
            writer.write_agent(session, ordinal);
            break;
        default:
            writer.write_fewshot(session, ordinal);
            break;
        }
    }
    return {.name = "synthetic-" + std::string{workload_name(options.kind)},
            .requests = std::move(writer).in_order()};
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
