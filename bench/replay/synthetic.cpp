#include "synthetic.hpp"

#include "random.hpp"
#include "session_shapes.hpp"

#include <marconi/core/error.hpp>

#include <algorithm>
#include <array>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace marconi::replay {

namespace {

using text = std::vector<std::int32_t>;

/// A request whose time is still a whole number.
struct timed_request {
    std::uint64_t ms = 0;
    request content;
};

/// What random numbers are drawn for: none of them shall meet those of another purpose.
enum purpose : std::uint64_t {
    chat_session,
    agent_session,
    fewshot_session,
    shared_chat,
    shared_software_agent,
    shared_service_agent,
    placeholder_note,
    template_instructions,
    template_examples,
};

constexpr std::uint32_t observations_kept = 5;
constexpr std::uint32_t placeholder_tokens = 12;

void append(text& to, text const& from) { to.insert(to.end(), from.begin(), from.end()); }

/// Writes one trace's sessions, in any order; the requests are put in order of time at the end.
class session_writer {
public:
    explicit session_writer(std::uint64_t seed) : seed_{seed} {}

    void write_chat(std::uint32_t session, std::uint32_t ordinal) {
        random_source random{seed_, chat_session, ordinal};
        write_continued(session, chat_shape, shared_chat, false, random);
    }

    void write_agent(std::uint32_t session, std::uint32_t ordinal) {
        random_source random{seed_, agent_session, ordinal};
        bool const serves = ordinal % 3 == 2;
        // Software agents have ordinals 0, 1, 3, 4, 6, 7, 9, 10, ...: of each 12, 1 and 7 forget.
        bool const forgets = ordinal % 6 == 1;
        write_continued(session, serves ? service_agent_shape : software_agent_shape,
                        serves ? shared_service_agent : shared_software_agent, forgets, random);
    }

    void write_fewshot(std::uint32_t session, std::uint32_t ordinal) {
        fewshot_shape const& shape = fewshot_jobs;
        random_source random{seed_, fewshot_session, ordinal};
        std::uint32_t const chosen = choose_template(random);
        std::uint64_t ms = start_of(session);
        std::uint32_t const questions = random.draw(shape.questions);
        for (std::uint32_t turn = 0; turn < questions; ++turn) {
            text tokens = template_text(chosen, random);
            random.append_text(tokens, random.draw(shape.question));
            add(session, turn, ms, std::move(tokens), random.draw(shape.output), random);
            ms += random.draw(shape.pause_ms);
        }
    }

    [[nodiscard]] std::vector<request> in_order() && {
        // Session and turn break ties, so that the order does not hang on the sort.
        std::ranges::sort(requests_, {}, [](timed_request const& r) {
            return std::tuple{r.ms, r.content.session, r.content.turn};
        });
        std::vector<request> ordered;
        ordered.reserve(requests_.size());
        for (timed_request& r : requests_)
            ordered.push_back(std::move(r.content));
        return ordered;
    }

private:
    static std::uint64_t start_of(std::uint32_t session) { return std::uint64_t{1000} * session; }

    text shared_text(purpose what, std::uint64_t index, std::uint32_t tokens) const {
        text result;
        random_source{seed_, what, index}.append_text(result, tokens);
        return result;
    }

    /// A chat or an agent. With `forgets`, observations older than the last few are replaced by
    /// a note, so that each later input parts from the one before well before its end.
    void write_continued(std::uint32_t session, session_shape const& shape, purpose shared,
                         bool forgets, random_source& random) {
        text const note = shared_text(placeholder_note, 0, placeholder_tokens);
        std::vector<text> observations{shared_text(shared, 0, shape.shared_tokens)};
        random.append_text(observations.front(),
                           random.draw(shape.first_input) - shape.shared_tokens);
        std::vector<text> answers;

        std::uint64_t ms = start_of(session);
        std::uint32_t const turns = random.draw(shape.turns);
        for (std::uint32_t turn = 0; turn < turns; ++turn) {
            text tokens = observations.front();
            for (std::uint32_t i = 1; i <= turn; ++i) {
                append(tokens, answers[i - 1]);
                bool const forgotten = forgets && i + observations_kept <= turn;
                append(tokens, forgotten ? note : observations[i]);
            }
            std::uint32_t const output = scaled(random.draw(shape.output), shape, turns);
            if (tokens.size() + output > longest_context) return;
            answers.push_back(add(session, turn, ms, std::move(tokens), output, random));

            std::uint32_t const added = scaled(random.draw(shape.added), shape, turns);
            random.append_text(observations.emplace_back(), added);
            ms += shape.typing_ms_a_token != 0 ? std::uint64_t{added} * shape.typing_ms_a_token
                                               : random.draw(shape.think_ms);
        }
    }

    static std::uint32_t choose_template(random_source& random) {
        constexpr std::uint32_t unit = 1'000'000; // the weight of the most popular
        std::uint32_t total = 0;
        for (std::uint32_t rank = 1; rank <= fewshot_jobs.templates; ++rank)
            total += unit / rank;
        std::uint32_t left = random.below(total);
        std::uint32_t rank = 1;
        while (left >= unit / rank)
            left -= unit / rank++;
        return rank - 1;
    }

    text template_text(std::uint32_t chosen, random_source& job) const {
        fewshot_shape const& shape = fewshot_jobs;
        random_source random{seed_, template_instructions, chosen};
        text result;
        random.append_text(result, random.draw(shape.instructions));
        std::uint32_t const examples =
            shape.least_examples + random.below(shape.most_examples - shape.least_examples + 1);
        bool const picks = chosen % 4 == 3;
        for (std::uint32_t i = 0; i < examples; ++i) {
            std::uint32_t const which = picks ? job.below(shape.pool) : i;
            random_source example{seed_, template_examples,
                                  std::uint64_t{chosen} * shape.pool + which};
            example.append_text(result, example.draw(shape.example));
        }
        return result;
    }

    /// Adds a request, its output made up; returns the output.
    text add(std::uint32_t session, std::uint32_t turn, std::uint64_t ms, text input,
             std::uint32_t output, random_source& random) {
        timed_request& r = requests_.emplace_back();
        r.ms = ms;
        r.content = {.session = session,
                     .turn = turn,
                     .seconds = static_cast<double>(ms) / 1000,
                     .tokens = std::move(input),
                     .prompt_tokens = 0};
        r.content.prompt_tokens = static_cast<std::uint32_t>(r.content.tokens.size());
        random.append_text(r.content.tokens, output);
        auto const answer = r.content.output();
        return {answer.begin(), answer.end()};
    }

    std::uint64_t seed_;
    std::vector<timed_request> requests_;
};

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
