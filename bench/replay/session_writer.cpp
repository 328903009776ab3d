#include "session_writer.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

namespace marconi::replay {

namespace {

constexpr std::uint32_t observations_kept = 5;
constexpr std::uint32_t dropped_note_tokens = 12;

std::uint64_t start_of(std::uint32_t session) { return std::uint64_t{1000} * session; }

/// Draws the r-th most popular template in proportion to 1 / r; returns r - 1.
std::uint32_t choose_template(random_source& random) {
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

} // namespace

void session_writer::write_chat(std::uint32_t session, std::uint32_t ordinal) {
    random_source random{seed_, chat_session, ordinal};
    write_continued(session, chat_shape, shared_chat, false, random);
}

void session_writer::write_agent(std::uint32_t session, std::uint32_t ordinal) {
    random_source random{seed_, agent_session, ordinal};
    bool const serves = ordinal % 3 == 2;
    bool const forgets = ordinal % 6 == 1; // software agents are 0, 1, 3, 4 of six
    write_continued(session, serves ? service_agent_shape : software_agent_shape,
                    serves ? shared_service_agent : shared_software_agent, forgets, random);
}

void session_writer::write_fewshot(std::uint32_t session, std::uint32_t ordinal) {
    fewshot_shape const& shape = fewshot_jobs;
    random_source random{seed_, fewshot_session, ordinal};
    std::uint32_t const chosen = choose_template(random);
    std::uint32_t const questions = random.draw(shape.questions);
    std::uint64_t ms = start_of(session);
    for (std::uint32_t turn = 0; turn < questions; ++turn) {
        text tokens = template_text(chosen, random);
        random.append_text(tokens, random.draw(shape.question));
        std::uint32_t const output = random.draw(shape.output);
        add(session, turn, ms, tokens, output, random);
        ms += random.draw(shape.pause_ms);
    }
}

std::uint64_t session_writer::settled_before(std::uint32_t next) {
    // At equal times the earlier session comes first.
    while (!unsettled_.empty() && unsettled_.top() <= start_of(next))
        unsettled_.pop();
    return requests_.size() - unsettled_.size();
}

std::vector<request> session_writer::in_order() && {
    // Session and turn break ties, so that the order does not depend on the sort.
    std::ranges::sort(requests_, {}, [](timed_request const& r) {
        return std::tuple{r.ms, r.content.session, r.content.turn};
    });
    std::vector<request> ordered;
    ordered.reserve(requests_.size());
    for (timed_request& r : requests_)
        ordered.push_back(std::move(r.content));
    return ordered;
}

session_writer::text session_writer::shared_text(purpose what, std::uint32_t tokens) const {
    text result;
    random_source{seed_, what, 0}.append_text(result, tokens);
    return result;
}

/// A chat or an agent. With `forgets`, observations older than the last few are replaced by a
/// note, so that each later input departs from the previous one well before its end.
void session_writer::write_continued(std::uint32_t session, session_shape const& shape,
                                     purpose shared, bool forgets, random_source& random) {
    auto const append = [](text& to, text const& from) {
        to.insert(to.end(), from.begin(), from.end());
    };
    text const note = shared_text(dropped_note, dropped_note_tokens);
    std::vector<text> observations{shared_text(shared, shape.shared_tokens)};
    random.append_text(observations.front(), random.draw(shape.first_input) - shape.shared_tokens);
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
        if (tokens.size() + output > shape.longest) return;
        answers.push_back(add(session, turn, ms, tokens, output, random));

        std::uint32_t const added = scaled(random.draw(shape.added), shape, turns);
        random.append_text(observations.emplace_back(), added);
        ms += shape.typing_ms_a_token != 0 ? std::uint64_t{added} * shape.typing_ms_a_token
                                           : random.draw(shape.think_ms);
    }
}

/// The instructions and examples before a question. The examples that a template picks anew are
/// drawn from the job's own source.
session_writer::text session_writer::template_text(std::uint32_t chosen, random_source& job) const {
    fewshot_shape const& shape = fewshot_jobs;
    random_source random{seed_, template_instructions, chosen};
    text result;
    random.append_text(result, random.draw(shape.instructions));
    std::uint32_t const examples =
        shape.least_examples + random.below(shape.most_examples - shape.least_examples + 1);
    bool const picks = chosen % 4 == 3;
    for (std::uint32_t i = 0; i < examples; ++i) {
        std::uint32_t const which = picks ? job.below(shape.pool) : i;
        random_source example{seed_, template_examples, std::uint64_t{chosen} * shape.pool + which};
        example.append_text(result, example.draw(shape.example));
    }
    return result;
}

/// Adds a request with an answer that is made up here; returns the answer.
session_writer::text session_writer::add(std::uint32_t session, std::uint32_t turn,
                                         std::uint64_t ms, text const& input, std::uint32_t output,
                                         random_source& random) {
    timed_request& r = requests_.emplace_back();
    unsettled_.push(ms);
    r.ms = ms;
    r.content.session = session;
    r.content.turn = turn;
    r.content.seconds = static_cast<double>(ms) / 1000;
    r.content.prompt_tokens = static_cast<std::uint32_t>(input.size());
    r.content.tokens.reserve(input.size() + output); // growing, it may take twice as much
    r.content.tokens.assign(input.begin(), input.end());
    random.append_text(r.content.tokens, output);
    tokens_ += r.content.tokens.size();
    auto const answer = r.content.output();
    return {answer.begin(), answer.end()};
}

} // namespace marconi::replay
