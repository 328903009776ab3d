#pragma once

// Reads request traces: JSON lines in one of three forms, told apart by the first line's fields:
//
//   artifact   {"session_id", "turn_id", "ts", "input_tokens": [...], "output_tokens": [...]}
//   compact    {"s", "t", "ts", "keep": K, "add": [...], "out": [...]}
//              input = the first K tokens of the session's previous input + output, then `add`
//   Mooncake   {"timestamp": ms, "input_length", "output_length", "hash_ids": [...]}
//              an id stands for 512 tokens, the last block is cut at input_length
//
// Further fields are allowed and ignored; anything else unexpected is a trace_error.

#include "line_source.hpp"
#include "progress.hpp"
#include "request.hpp"

#include <cstdint>
#include <limits>
#include <string>
#include <unordered_map>
#include <vector>

namespace marconi::replay {

class json_line;

/// One request after another, for traces that need not be held as a whole.
class trace_reader {
public:
    /// The longest request that is accepted, input and output together.
    static constexpr std::uint64_t longest_request = std::uint64_t{1} << 24;
    /// Tokens that an id of Mooncake's form stands for.
    static constexpr std::uint64_t mooncake_block = 512;

    /// Opens a file, plain or gzip, or standard input for "-".
    explicit trace_reader(std::string const& path);

    /// Reads the next request into `to`; false at the end. Throws trace_error.
    [[nodiscard]] bool next(request& to);

private:
    enum class form { unknown, artifact, compact, mooncake };

    struct session_state {
        std::uint32_t turn = 0;
        std::vector<std::int32_t> tokens; // of the last request; kept for the compact form only
    };

    [[nodiscard]] static form form_of(json_line const& line);
    void read_artifact(json_line const& line, request& to);
    void read_compact(json_line const& line, request& to);
    void read_mooncake(json_line const& line, request& to);
    session_state& enter_turn(json_line const& line, request const& to, char const* field);
    void check(json_line const& line, request const& to, char const* input, char const* time,
               double units_a_second = 1);

    line_source lines_;
    form form_ = form::unknown;
    std::unordered_map<std::uint32_t, session_state> sessions_;
    double last_seconds_ = 0;
    std::uint32_t requests_ = 0;
    std::int32_t next_output_ = -1; // Mooncake's outputs count down: no input is negative
};

/// Reads the first `limit` requests. Throws trace_error, also if there is no request at all, or if
/// they have more than `most_tokens` tokens.
[[nodiscard]] trace read_trace(std::string const& path,
                               std::uint64_t limit = std::numeric_limits<std::uint64_t>::max(),
                               std::uint64_t most_tokens = most_trace_tokens,
                               progress& shown = progress::unseen());

/// "traces/taubench.compact.jsonl.gz" -> "taubench"; "-" -> "stdin".
[[nodiscard]] std::string trace_name(std::string const& path);
/// The name of each path. Paths that share a name get as many of their folders before it as tell
/// them apart ("monday/chats"), or are named by the whole path.
[[nodiscard]] std::vector<std::string> trace_names(std::vector<std::string> const& paths);

} // namespace marconi::replay
