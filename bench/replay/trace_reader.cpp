#include "trace_reader.hpp"

#include "json_line.hpp"

#include <algorithm>
#include <array>
#include <sstream>
#include <utility>
#include <vector>

namespace marconi::replay {

namespace {

constexpr std::int32_t largest_token = std::numeric_limits<std::int32_t>::max();
constexpr std::uint64_t largest_id = std::numeric_limits<std::uint32_t>::max();

std::uint32_t read_id(json_line const& line, char const* field) {
    return static_cast<std::uint32_t>(line.count(field, 0, largest_id));
}

/// A path's name preceded by its last `folders` folders; the path if it has fewer.
std::string name_in(std::string const& path, std::size_t folders) {
    std::vector<std::size_t> begins{0}; // of the folders, and of the file's own name
    for (std::size_t at = 0; at < path.size(); ++at)
        if (path[at] == '/') begins.push_back(at + 1);
    if (folders >= begins.size()) return path;
    std::size_t const begin = begins[begins.size() - 1 - folders];
    return path.substr(begin, begins.back() - begin) + trace_name(path);
}

std::string number_text(double value) {
    std::ostringstream text;
    text << value;
    return text.str();
}

} // namespace

trace_reader::trace_reader(std::string const& path) : lines_{path} {}

bool trace_reader::next(request& to) {
    std::string_view text;
    if (!lines_.next(text)) return false;
    json_line const line{lines_, text};
    if (form_ == form::unknown) form_ = form_of(line);
    to.tokens.clear();
    switch (form_) {
    case form::artifact:
        read_artifact(line, to);
        break;
    case form::compact:
        read_compact(line, to);
        break;
    default:
        read_mooncake(line, to);
        break;
    }
    ++requests_;
    return true;
}

trace_reader::form trace_reader::form_of(json_line const& line) {
    if (line.has("input_tokens")) return form::artifact;
    if (line.has("keep") || line.has("add")) return form::compact;
    if (line.has("hash_ids")) return form::mooncake;
    line.fail("is of no known form; expected a field 'input_tokens' (the artifact's traces), "
              "'keep' (compact ones) or 'hash_ids' (Mooncake's)");
}

void trace_reader::read_artifact(json_line const& line, request& to) {
    to.session = read_id(line, "session_id");
    to.turn = read_id(line, "turn_id");
    to.seconds = line.time("ts");
    line.append("input_tokens", largest_token, to.tokens);
    to.prompt_tokens = static_cast<std::uint32_t>(to.tokens.size());
    line.append("output_tokens", largest_token, to.tokens);
    enter_turn(line, to, "turn_id");
    check(line, to, "input_tokens", "ts");
}

void trace_reader::read_compact(json_line const& line, request& to) {
    to.session = read_id(line, "s");
    to.turn = read_id(line, "t");
    to.seconds = line.time("ts");
    session_state& session = enter_turn(line, to, "t");
    std::uint64_t const keep = line.count("keep", 0, longest_request);
    if (keep > session.tokens.size())
        line.fail("keep", std::to_string(keep),
                  "at most " + std::to_string(session.tokens.size()) + ", the length of session " +
                      std::to_string(to.session) + " so far");
    to.tokens.reserve(keep + line.length("add") + line.length("out"));
    to.tokens.assign(session.tokens.begin(),
                     session.tokens.begin() + static_cast<std::ptrdiff_t>(keep));
    line.append("add", largest_token, to.tokens);
    to.prompt_tokens = static_cast<std::uint32_t>(to.tokens.size());
    line.append("out", largest_token, to.tokens);
    check(line, to, "add", "ts");
    session.tokens = to.tokens;
}

void trace_reader::read_mooncake(json_line const& line, request& to) {
    // This form has no sessions: each request is one of its own.
    to.session = requests_;
    to.turn = 0;
    to.seconds = line.time("timestamp", "milliseconds") / 1000;
    std::uint64_t const input = line.count("input_length", 1, longest_request);
    std::uint64_t const output = line.count("output_length", 0, longest_request);
    std::uint64_t const blocks = (input + mooncake_block - 1) / mooncake_block;
    if (line.length("hash_ids") != blocks)
        line.fail("hash_ids", std::to_string(line.length("hash_ids")) + " ids long",
                  std::to_string(blocks) + ", one for each " + std::to_string(mooncake_block) +
                      " of " + std::to_string(input) + " tokens");
    std::vector<std::int32_t> ids;
    // Above this, id * 512 + 511 would not fit in a token.
    line.append("hash_ids", largest_token / static_cast<std::int32_t>(mooncake_block), ids);
    if (static_cast<std::uint64_t>(next_output_ - std::numeric_limits<std::int32_t>::min()) <
        output)
        line.fail("output_length", std::to_string(output), "fewer than 2^31 over all lines");

    to.tokens.reserve(input + output);
    for (std::uint64_t i = 0; i < input; ++i)
        to.tokens.push_back(static_cast<std::int32_t>(
            static_cast<std::uint64_t>(ids[i / mooncake_block]) * mooncake_block +
            i % mooncake_block));
    to.prompt_tokens = static_cast<std::uint32_t>(input);
    for (std::uint64_t i = 0; i < output; ++i)
        to.tokens.push_back(next_output_--);
    check(line, to, "input_length", "timestamp", 1000);
}

trace_reader::session_state& trace_reader::enter_turn(json_line const& line, request const& to,
                                                      char const* field) {
    auto const [found, is_new] = sessions_.try_emplace(to.session);
    session_state& session = found->second;
    if (!is_new && to.turn <= session.turn)
        line.fail(field, std::to_string(to.turn),
                  "more than " + std::to_string(session.turn) + ", the last turn of session " +
                      std::to_string(to.session));
    session.turn = to.turn;
    return session;
}

void trace_reader::check(json_line const& line, request const& to, char const* input,
                         char const* time, double units_a_second) {
    if (to.prompt_tokens == 0) line.fail(input, "empty", "an input of at least 1 token");
    if (to.tokens.size() > longest_request)
        line.fail("is a request of " + std::to_string(to.tokens.size()) +
                  " tokens; expected at most " + std::to_string(longest_request));
    if (to.seconds < last_seconds_)
        line.fail(time, number_text(to.seconds * units_a_second),
                  "at least " + number_text(last_seconds_ * units_a_second) +
                      ", the time of the line before");
    last_seconds_ = to.seconds;
}

trace read_trace(std::string const& path, std::uint64_t limit, std::uint64_t most_tokens,
                 progress& shown) {
    trace result{.name = trace_name(path), .requests = {}};
    std::string const file = path == "-" ? "standard input" : path;
    trace_reader reader{path};
    request next;
    std::uint64_t tokens = 0;
    shown.begin("requests read");
    stepper steps{shown};
    while (result.requests.size() < limit && reader.next(next)) {
        tokens += next.tokens.size();
        if (tokens > most_tokens)
            throw trace_error{file + ": has more than " + std::to_string(most_tokens) +
                              " tokens in its first " + std::to_string(result.requests.size() + 1) +
                              " requests; expected fewer, or a limit on the requests"};
        result.requests.push_back(std::move(next));
        steps.step();
    }
    if (result.requests.empty())
        throw trace_error{file + ": holds no request; expected at least 1"};
    return result;
}

std::string trace_name(std::string const& path) {
    if (path == "-") return "stdin";
    std::string name = path.substr(path.find_last_of('/') + 1);
    for (std::string_view const suffix : std::array{".gz", ".jsonl", ".json", ".compact"})
        if (name.size() > suffix.size() && name.ends_with(suffix))
            name.resize(name.size() - suffix.size());
    return name;
}

std::vector<std::string> trace_names(std::vector<std::string> const& paths) {
    std::vector<std::string> names;
    for (std::string const& path : paths)
        names.push_back(trace_name(path));
    for (std::size_t folders = 1;; ++folders) {
        std::vector<std::size_t> alike;
        for (std::size_t i = 0; i < paths.size(); ++i)
            for (std::size_t j = 0; j < paths.size(); ++j)
                if (names[i] == names[j] && paths[i] != paths[j] && names[i] != paths[i]) {
                    alike.push_back(i);
                    break;
                }
        if (alike.empty()) return names;
        for (std::size_t const i : alike)
            names[i] = name_in(paths[i], folders);
    }
}

} // namespace marconi::replay
