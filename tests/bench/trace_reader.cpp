#include <replay/line_source.hpp>
#include <replay/trace_reader.hpp>

#include <bench/temporary_file.hpp>
#include <support/catch.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace marconi::replay;

namespace {

using tokens = std::vector<std::int32_t>;

/// The message with which reading `text` fails, its file called "T"; empty if it succeeds.
std::string complaint(std::string const& text) {
    temporary_file const file{text};
    try {
        (void)read_trace(file.path());
    } catch (trace_error const& e) {
        std::string message = e.what();
        std::size_t const at = message.find(file.path());
        return at != 0 ? message : std::string{"T"}.append(message, file.path().size());
    }
    return {};
}

std::string compact(std::string const& fields) {
    return R"({"s":3,"t":0,"ts":1.5,"keep":0,"add":[1,2],"out":[3]})"
           "\n{" +
           fields + "}\n";
}

std::string mooncake(std::string const& fields) {
    return std::string{"{"}.append(fields).append("}\n");
}

} // namespace

TEST_CASE("the artifact's form") {
    temporary_file const file{
        R"({"session_id":7,"turn_id":0,"ts":0.25,"input_tokens":[5,6],"output_tokens":[7],"x":{}})"
        "\n"
        R"({"session_id":7,"turn_id":1,"ts":4,"input_tokens":[5,6,7,8],"output_tokens":[]})"};
    trace const read = read_trace(file.path());
    REQUIRE(read.requests.size() == 2);
    CHECK(read.requests[0].session == 7);
    CHECK(read.requests[0].turn == 0);
    CHECK(read.requests[0].seconds == 0.25);
    CHECK(read.requests[0].tokens == tokens{5, 6, 7});
    CHECK(read.requests[0].prompt_tokens == 2);
    CHECK(read.requests[1].turn == 1);
    CHECK(read.requests[1].tokens == tokens{5, 6, 7, 8});
    CHECK(read.requests[1].prompt_tokens == 4);
    CHECK(read.requests[1].output().empty());
}

TEST_CASE("the compact form continues the same session's input and output") {
    temporary_file const file{R"({"s":0,"t":0,"ts":0.0,"keep":0,"add":[1,2],"out":[3,4]})"
                              "\n"
                              R"({"s":1,"t":0,"ts":1.0,"keep":0,"add":[9],"out":[8]})"
                              "\r\n"
                              R"({"s":0,"t":1,"ts":2.0,"keep":4,"add":[5],"out":[6]})"
                              "\n"
                              R"({"s":0,"t":4,"ts":2.0,"keep":2,"add":[],"out":[7]})"
                              "\n"};
    trace const read = read_trace(file.path());
    REQUIRE(read.requests.size() == 4);
    CHECK(read.requests[1].tokens == tokens{9, 8});
    CHECK(read.requests[2].tokens == tokens{1, 2, 3, 4, 5, 6});
    CHECK(read.requests[2].prompt_tokens == 5);
    CHECK(read.requests[3].tokens == tokens{1, 2, 7});
    CHECK(read.requests[3].prompt_tokens == 2);
}

TEST_CASE("Mooncake's form: ids agree where they are equal, outputs match nothing") {
    temporary_file const file{
        mooncake(R"("timestamp":0,"input_length":600,"output_length":2,"hash_ids":[0,4])") +
        mooncake(R"("timestamp":1500,"input_length":1024,"output_length":1,"hash_ids":[0,4])") +
        mooncake(R"("timestamp":1500,"input_length":1,"output_length":0,"hash_ids":[4194303])")};
    trace const read = read_trace(file.path());
    REQUIRE(read.requests.size() == 3);
    request const& first = read.requests[0];
    CHECK(first.prompt_tokens == 600);
    CHECK(first.tokens.size() == 602);
    CHECK(first.tokens[0] == 0);
    CHECK(first.tokens[511] == 511);
    CHECK(first.tokens[512] == 4 * 512);
    CHECK(first.tokens[600] == -1);
    CHECK(first.tokens[601] == -2);
    request const& second = read.requests[1];
    CHECK(second.session != first.session);
    CHECK(second.seconds == 1.5);
    CHECK(second.tokens[599] == first.tokens[599]);
    CHECK(second.tokens[1024] == -3);
    CHECK(read.requests[2].tokens == tokens{4194303 * 512});
}

TEST_CASE("gzip is told by its content, and damage to it is noticed") {
    // {"s":0,"t":0,"ts":0,"keep":0,"add":[1,2,3],"out":[4]}
    std::string const packed{
        "\037\213\010\000\000\000\000\000\002\003\253\126\052\126\262\062\320\121\052\201"
        "\220\020\116\166\152\152\001\230\221\230\222\242\144\025\155\250\143\244\143\034"
        "\253\243\224\137\012\124\025\155\022\133\313\005\000\134\045\164\206\066\000\000"
        "\000",
        61};
    temporary_file const file{packed};
    CHECK(read_trace(file.path()).requests.at(0).tokens == tokens{1, 2, 3, 4});

    std::string damaged = packed;
    damaged[damaged.size() - 6] ^= 1; // in the checksum
    CHECK(complaint(damaged) ==
          "T:1: cannot be read: its gzip data is damaged: incorrect data check");
    for (std::size_t size = 2; size < packed.size(); ++size)
        CHECK(complaint(packed.substr(0, size))
                  .ends_with("cannot be read: its gzip data ends early"));

    temporary_file const two_members{packed + packed}; // as `cat` leaves them
    line_source lines{two_members.path()};
    std::string_view first, second;
    REQUIRE(lines.next(first));
    std::string const kept{first};
    REQUIRE(lines.next(second));
    CHECK(second == kept);
    CHECK_FALSE(lines.next(second));
    CHECK(complaint(packed + "{\"s\":1") ==
          "T:2: cannot be read: what follows its gzip data is not gzip");
    CHECK(complaint(packed + "\x1f plainly").starts_with("T:2: cannot be read: "));
}

TEST_CASE("reading stops at the limit, and looks no further") {
    temporary_file const file{R"({"s":0,"t":0,"ts":0,"keep":0,"add":[1],"out":[]})"
                              "\n"
                              R"({"s":1,"t":0,"ts":0,"keep":0,"add":[1],"out":[]})"
                              "\nnonsense"};
    CHECK(read_trace(file.path(), 1).requests.size() == 1);
    CHECK(read_trace(file.path(), 2).requests.size() == 2);
    CHECK_THROWS_AS(read_trace(file.path(), 3), trace_error);
}

TEST_CASE("errors name file, line and field") {
    CHECK(complaint("") == "T: holds no request; expected at least 1");
    CHECK(complaint("\n") == "T:1: is empty; expected a JSON object");
    CHECK(complaint(compact("") + "\n") ==
          "T:2: field 's': is missing; expected a whole number from 0 to 4294967295");
    CHECK(complaint("{\"s\":") == "T:1: is not JSON: it ends early");
    CHECK(complaint("[1]\n") == "T:1: is an array; expected a JSON object");
    CHECK(complaint("17\n") == "T:1: is 17; expected a JSON object");
    CHECK(complaint("{\"a\":1}\n") ==
          "T:1: is of no known form; expected a field 'input_tokens' (the artifact's traces), "
          "'keep' (compact ones) or 'hash_ids' (Mooncake's)");
    CHECK_THROWS_WITH(read_trace("/no/such/file"),
                      "'/no/such/file' cannot be opened: No such file or directory");
    CHECK_THROWS_WITH(read_trace("/"), "/:1: cannot be read: Is a directory");
}

TEST_CASE("errors in the compact form") {
    auto const [fields, message] = GENERATE(table<char const*, char const*>({
        {R"("s":-1)", "field 's': is -1; expected a whole number from 0 to 4294967295"},
        {R"("s":4294967296)",
         "field 's': is 4294967296; expected a whole number from 0 to 4294967295"},
        {R"("s":3,"t":1.0)", "field 't': is 1.0; expected a whole number from 0 to 4294967295"},
        {R"("s":3,"t":1)", "field 'ts': is missing; expected a number of seconds, at least 0"},
        {R"("s":3,"t":1,"ts":"2")",
         "field 'ts': is a string; expected a number of seconds, at least 0"},
        {R"("s":3,"t":1,"ts":-2)", "field 'ts': is -2; expected a number of seconds, at least 0"},
        {R"("s":3,"t":1,"ts":1e999)", "is not JSON: a number in it is out of range"},
        {R"("s":3,"t":0,"ts":2,"keep":0)",
         "field 't': is 0; expected more than 0, the last turn of session 3"},
        {R"("s":3,"t":1,"ts":2,"keep":4,"add":[1],"out":[1])",
         "field 'keep': is 4; expected at most 3, the length of session 3 so far"},
        {R"("s":4,"t":1,"ts":2,"keep":1,"add":[1],"out":[1])",
         "field 'keep': is 1; expected at most 0, the length of session 4 so far"},
        {R"("s":3,"t":1,"ts":2,"keep":0,"add":[],"out":[1])",
         "field 'add': is empty; expected an input of at least 1 token"},
        {R"("s":3,"t":1,"ts":2,"keep":0,"add":7,"out":[1])",
         "field 'add': is 7; expected an array of token ids"},
        {R"("s":3,"t":1,"ts":2,"keep":0,"add":[1]})", "is not JSON: error at byte 40 of 40"},
        {R"("s":3,"t":1,"ts":2,"keep":0,"add":[1])",
         "field 'out': is missing; expected an array of token ids"},
        {R"("s":3,"t":1,"ts":2,"keep":0,"add":[1,-5],"out":[])",
         "field 'add': is -5 at index 1; expected a whole number from 0 to 2147483647"},
        {R"("s":3,"t":1,"ts":2,"keep":0,"add":[1],"out":[2147483648])",
         "field 'out': is 2147483648 at index 0; expected a whole number from 0 to 2147483647"},
        {R"("s":3,"t":1,"ts":2,"keep":0,"add":[[1]],"out":[])",
         "field 'add': is an array at index 0; expected a whole number from 0 to 2147483647"},
        {R"("s":3,"t":1,"ts":2,"keep":0,"add":[null],"out":[])",
         "field 'add': is null at index 0; expected a whole number from 0 to 2147483647"},
        {R"("s":3,"t":1,"ts":1.25,"keep":3,"add":[1],"out":[])",
         "field 'ts': is 1.25; expected at least 1.5, the time of the line before"},
    }));
    CHECK(complaint(compact(fields)) == std::string{"T:2: "} + message);
}

TEST_CASE("errors in the artifact's form") {
    CHECK(
        complaint(R"({"session_id":0,"turn_id":0,"ts":0,"input_tokens":[],"output_tokens":[]})") ==
        "T:1: field 'input_tokens': is empty; expected an input of at least 1 token");
    CHECK(complaint(R"({"session_id":0,"ts":0,"input_tokens":[1],"output_tokens":[]})") ==
          "T:1: field 'turn_id': is missing; expected a whole number from 0 to 4294967295");
    CHECK(complaint(R"({"session_id":0,"turn_id":0,"ts":0,"input_tokens":[1]})") ==
          "T:1: field 'output_tokens': is missing; expected an array of token ids");
    CHECK(complaint(R"({"session_id":true,"turn_id":0,"ts":0,"input_tokens":[1]})") ==
          "T:1: field 'session_id': is true; expected a whole number from 0 to 4294967295");
}

TEST_CASE("errors in Mooncake's form") {
    auto const [fields, message] = GENERATE(table<char const*, char const*>({
        {R"("hash_ids":[1])",
         "field 'timestamp': is missing; expected a number of milliseconds, at least 0"},
        {R"("timestamp":0,"input_length":0,"output_length":1,"hash_ids":[])",
         "field 'input_length': is 0; expected a whole number from 1 to 16777216"},
        {R"("timestamp":0,"input_length":10,"output_length":1e3,"hash_ids":[1])",
         "field 'output_length': is 1000.0; expected a whole number from 0 to 16777216"},
        {R"("timestamp":0,"input_length":513,"output_length":1,"hash_ids":[1])",
         "field 'hash_ids': is 1 ids long; expected 2, one for each 512 of 513 tokens"},
        {R"("timestamp":0,"input_length":512,"output_length":1,"hash_ids":[1,2])",
         "field 'hash_ids': is 2 ids long; expected 1, one for each 512 of 512 tokens"},
        {R"("timestamp":0,"input_length":512,"output_length":1,"hash_ids":[4194304])",
         "field 'hash_ids': is 4194304 at index 0; expected a whole number from 0 to 4194303"},
        {R"("timestamp":0,"input_length":512,"output_length":16777216,"hash_ids":[1])",
         "is a request of 16777728 tokens; expected at most 16777216"},
    }));
    CHECK(complaint(mooncake(fields)) == std::string{"T:1: "}.append(message));
}

TEST_CASE("times in Mooncake's form are told as they are written there") {
    temporary_file const file{
        R"({"timestamp":4000,"input_length":1,"output_length":0,"hash_ids":[1]})"
        "\n"
        R"({"timestamp":3999,"input_length":1,"output_length":0,"hash_ids":[1]})"};
    CHECK_THROWS_WITH(read_trace(file.path()),
                      file.path() + ":2: field 'timestamp': is 3999; expected at least 4000, the "
                                    "time of the line before");
}

TEST_CASE("garbage is an error, never a crash") {
    CHECK_FALSE(complaint(std::string(100, '\0')).empty());
    CHECK_FALSE(complaint("\x1f\x8b garbage that starts like gzip").empty());
    CHECK_FALSE(complaint("{\"keep\": \"\xff\xfe\"}").empty());
    CHECK_FALSE(complaint(R"({"keep":1e400,"add":[]})").empty());
    CHECK_FALSE(complaint(R"({"keep":99999999999999999999999999999999,"s":0})").empty());
    std::string const deep(1'000'000, '[');
    CHECK(complaint(R"({"keep":)" + deep).starts_with("T:1: is not JSON"));
    CHECK(
        complaint(R"({"s":0,"t":0,"ts":0,"keep":)" + deep + std::string(deep.size(), ']') + "}") ==
        "T:1: field 'keep': is an array; expected a whole number from 0 to 16777216");
    std::string const zero{"{\"s\":0}\0{\"s\":1}", 15};
    CHECK(complaint(zero) == "T:1: is not JSON: error at byte 8 of 15");
    CHECK(complaint(R"({"s":0,"t":0,"ts":0,"keep":0,"add":[1,2],"out":[],"add":[1]})") ==
          "T:1: field 'add': is there twice");
    CHECK(complaint(R"({"s":0,"t":0,"ts":0,"keep":0,"add":[1],"out":[],"x":[{"s":1},{"s":2}]})")
              .empty());
    CHECK(complaint(R"({"s":0,"t":0,"ts":0,"keep":0,"add":[1],"out":[],"x":{"y":1,"y":2}})") ==
          "T:1: field 'y': is there twice");
    // Every prefix of a good line is bad.
    std::string const good = R"({"s":0,"t":0,"ts":0,"keep":0,"add":[1],"out":[2]})";
    CHECK(complaint(good).empty());
    for (std::size_t length = 0; length < good.size(); ++length)
        CHECK_FALSE(complaint(good.substr(0, length)).empty());
}

TEST_CASE("a line that does not end is given up") {
    temporary_file const file{std::string(1'000'000, 'x')};
    line_source lines{file.path(), 1000};
    std::string_view line;
    CHECK_THROWS_WITH(lines.next(line), file.path() + ":1: is too long a line; "
                                                      "expected at most 1000 bytes");
}

TEST_CASE("a small file cannot ask for any amount of memory") {
    temporary_file const file{R"({"s":0,"t":0,"ts":0,"keep":0,"add":[1,2,3,4],"out":[]})"
                              "\n"
                              R"({"s":0,"t":1,"ts":0,"keep":4,"add":[5],"out":[]})"
                              "\n"
                              R"({"s":0,"t":2,"ts":0,"keep":5,"add":[],"out":[]})"};
    CHECK(read_trace(file.path(), 9, 14).requests.size() == 3);
    CHECK(read_trace(file.path(), 2, 13).requests.size() == 2);
    CHECK_THROWS_WITH(read_trace(file.path(), 9, 13),
                      file.path() + ": has more than 13 tokens in its first 3 requests; expected "
                                    "fewer, or a limit on the requests");

    std::string line = R"({"s":0,"x":[)";
    line.append(line_source::most_values, ',');
    CHECK(complaint(line) == "T:1: holds 16842756 values or more; expected at most 16842752");
}

TEST_CASE("lines come whole, however they lie in the buffer") {
    std::string text;
    std::vector<std::string> expected;
    for (std::size_t length = 0; length < 3000; ++length)
        text +=
            expected.emplace_back(length * 7 % 1009, static_cast<char>('a' + length % 26)) + "\n";
    text += expected.emplace_back("the last has no end");
    temporary_file const file{text};
    line_source lines{file.path()};
    std::string_view line;
    std::vector<std::string> read;
    while (lines.next(line))
        read.emplace_back(line);
    CHECK(read == expected);
    CHECK(lines.number() == expected.size());
}

TEST_CASE("a trace is named after its file") {
    CHECK(trace_name("a/b/taubench.compact.jsonl.gz") == "taubench");
    CHECK(trace_name("mooncake.jsonl") == "mooncake");
    CHECK(trace_name("v1.2.json") == "v1.2");
    CHECK(trace_name(".gz") == ".gz");
    CHECK(trace_name("-") == "stdin");
}

TEST_CASE("traces of one name are told apart by their folders") {
    using names = std::vector<std::string>;
    CHECK(trace_names({"a/chats.jsonl", "b/agents.jsonl"}) == names{"chats", "agents"});
    CHECK(trace_names({"a/chats.jsonl", "b/agents.json", "b/chats.jsonl.gz"}) ==
          names{"a/chats", "agents", "b/chats"});
    CHECK(trace_names({"/x/a/chats.json", "/y/a/chats.json", "/y/b/chats.json"}) ==
          names{"x/a/chats", "y/a/chats", "b/chats"});
    CHECK(trace_names({"a/chats.json", "chats.json"}) == names{"a/chats", "chats.json"});
    CHECK(trace_names({"a/chats.json", "a/chats.jsonl"}) == names{"a/chats.json", "a/chats.jsonl"});
    CHECK(trace_names({"a/chats.json", "a/chats.json"}) == names{"chats", "chats"});
    CHECK(trace_names({"-", "a/stdin.json"}) == names{"-", "a/stdin"});
    CHECK(trace_names({}).empty());
}
