#include <replay/program.hpp>

#include <bench/temporary_file.hpp>
#include <support/catch.hpp>

#include <cstdio>
#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

using namespace marconi::replay;

namespace {

constexpr char good_trace[] = R"({"s":1,"t":0,"ts":0,"keep":0,"add":[1,2,3],"out":[4]})"
                              "\n"
                              R"({"s":1,"t":1,"ts":1,"keep":4,"add":[5],"out":[6]})"
                              "\n";
constexpr char cut_off[] = R"({"s":1,"t":0,"ts":0,"keep":0,"add":[1,2,3],"out":[4]})"
                           "\n"
                           R"({"s":1,"t":1,"ts":1,"keep":4,"ad)";

struct run_result {
    int code;
    std::string out;
    std::string err;
};

run_result run(std::vector<std::string> const& arguments) {
    std::vector<char const*> argv{"marconi_replay"};
    for (std::string const& a : arguments)
        argv.push_back(a.c_str());
    std::ostringstream out, err;
    int const code = run_program(static_cast<int>(argv.size()), argv.data(), out, err);
    return {code, out.str(), err.str()};
}

/// A field of each of the results, in JSON, in order, as it is written.
std::vector<std::string> values_in(std::string const& results, std::string const& field) {
    std::vector<std::string> values;
    std::istringstream lines{results};
    for (std::string line; std::getline(lines, line);) {
        std::size_t const begin = line.find("\"" + field + "\":") + field.size() + 3;
        values.push_back(line.substr(begin, line.find_first_of(",}", begin) - begin));
    }
    return values;
}

std::vector<std::string> traces_in(std::string const& results) {
    std::vector<std::string> names = values_in(results, "trace");
    for (std::string& name : names)
        name = name.substr(1, name.size() - 2); // without quotes
    return names;
}

std::string name_of(temporary_file const& file) {
    return file.path().substr(file.path().rfind('/') + 1);
}

/// Standard input is that file within its scope.
class standard_input_from {
public:
    explicit standard_input_from(std::string const& path) {
        int const file = open(path.c_str(), O_RDONLY);
        REQUIRE(file >= 0);
        dup2(file, STDIN_FILENO);
        close(file);
    }
    ~standard_input_from() {
        dup2(before_, STDIN_FILENO);
        close(before_);
        std::clearerr(stdin); // which may have met the file's end
    }
    standard_input_from(standard_input_from const&) = delete;
    standard_input_from& operator=(standard_input_from const&) = delete;

private:
    int before_ = dup(STDIN_FILENO);
};

} // namespace

TEST_CASE("of several traces those that work are reported, and the others named") {
    temporary_file const first{good_trace}, broken{cut_off}, last{good_trace}, results;
    std::vector<std::string> arguments{
        "--trace",  first.path(), "--trace",     broken.path(), "--trace",    "/no/such",
        "--trace",  last.path(),  "--synthetic", "chat",        "--limit",    "3",
        "--policy", "lru",        "--format",    "json",        "--capacity", "1GB"};
    run_result const o = run(arguments);
    CHECK(o.code == exit_code::incomplete);
    CHECK(traces_in(o.out) ==
          std::vector<std::string>{name_of(first), name_of(last), "synthetic-chat"});
    std::istringstream told{o.err};
    std::string line;
    CHECK(
        (std::getline(told, line) && line.starts_with("marconi_replay: " + broken.path() + ":2")));
    CHECK((std::getline(told, line) && line.starts_with("marconi_replay: '/no/such' cannot be")));
    CHECK((std::getline(told, line) &&
           line == "marconi_replay: 2 of 5 traces failed; the report has the others"));
    CHECK_FALSE(std::getline(told, line));

    arguments.insert(arguments.end(), {"--out", results.path()});
    CHECK(run(arguments).code == exit_code::incomplete);
    CHECK(traces_in(results.contents()).size() == 3);
}

TEST_CASE("a trace too small for a share of it costs the others nothing") {
    temporary_file const small{good_trace};
    run_result const o = run({"--trace", small.path(), "--synthetic", "chat", "--policy", "lru",
                              "--format", "json", "--capacity", "0.1%"});
    CHECK(o.code == exit_code::incomplete);
    CHECK(traces_in(o.out) == std::vector<std::string>{"synthetic-chat"});
    CHECK(o.err.starts_with("marconi_replay: " + name_of(small) + ": capacity in bytes is "));
}

TEST_CASE("statistics are of the traces that could be read") {
    temporary_file const good{good_trace}, broken{cut_off};
    run_result const o = run({"--trace", broken.path(), "--trace", good.path(), "--describe"});
    CHECK(o.code == exit_code::incomplete);
    CHECK(o.out.find(name_of(good)) != std::string::npos);
    CHECK(o.out.find(name_of(broken)) == std::string::npos);
}

TEST_CASE("where no trace works there is no report, and an earlier one stays") {
    temporary_file const broken{cut_off}, results{"earlier results"};
    run_result const o = run({"--trace", broken.path(), "--out", results.path()});
    CHECK(o.code == exit_code::incomplete);
    CHECK(o.err.find(broken.path()) != std::string::npos);
    CHECK(o.err.find("the report has") == std::string::npos);
    CHECK(results.contents() == "earlier results");
    CHECK(run({"--trace", broken.path(), "--format", "csv"}).out.empty());
}

TEST_CASE("what is read is not written over") {
    temporary_file const trace{good_trace}, link{};
    std::filesystem::remove(link.path());
    std::filesystem::create_hard_link(trace.path(), link.path());
    auto const refuses = [&](std::string const& input, std::string const& file) {
        run_result const o = run({"--trace", input, "--out", file});
        CHECK(o.code == exit_code::refused);
        CHECK(o.err ==
              "marconi_replay: --out is '" + file + "'; expected a file that is not an input\n");
    };
    refuses(trace.path(), link.path());
    {
        standard_input_from const input{trace.path()};
        refuses("-", trace.path());
        refuses("-", link.path());
        refuses("/dev/stdin", trace.path());
    }
    CHECK(trace.contents() == good_trace);
}

TEST_CASE("a model of one's own is not written over") {
    std::string const text = R"({"flops_per_token":1e9,"kv_bytes_per_token":1000})";
    temporary_file const model{text}, file{};
    std::string const path = file.path() + ".json";
    std::filesystem::rename(model.path(), path);
    run_result const o = run({"--synthetic", "chat", "--model", path, "--out", path});
    std::filesystem::rename(path, model.path());
    CHECK(o.code == exit_code::refused);
    CHECK(model.contents() == text);
}

TEST_CASE("standard input may be read into a file that is another") {
    temporary_file const trace{good_trace}, results;
    standard_input_from const input{trace.path()};
    std::vector<std::string> const arguments{"--trace",  "-",    "--policy", "none",
                                             "--format", "json", "--out",    results.path()};
    CHECK(run(arguments).code == exit_code::good);
    CHECK(traces_in(results.contents()) == std::vector<std::string>{"stdin"});
}

TEST_CASE("what is wrong for all traces is refused before one is read") {
    temporary_file const results;
    auto const [option, value, message] = GENERATE(table<char const*, char const*, char const*>({
        {"--model", "no-such",
         "marconi_replay: model is 'no-such'; expected a preset (--list-models has them)"},
        {"--capacity", "5%,1B", "marconi_replay: capacity in bytes is 1; expected at least"},
    }));
    run_result const o = run({"--trace", "/no/such", "--trace", "/nor/this", option, value});
    CHECK(o.code == exit_code::refused);
    CHECK(o.err.starts_with(message));
    CHECK(o.err.find("/no/such") == std::string::npos);
}

TEST_CASE("a capacity that no policy takes is none that could be too small") {
    temporary_file const trace{good_trace};
    std::vector<std::string> arguments{"--trace", trace.path(), "--capacity",
                                       "1KB",     "--policy",   "infinite,none"};
    CHECK(run(arguments).code == exit_code::good);
    arguments.back() += ",lru";
    CHECK(run(arguments).code == exit_code::refused);
}

TEST_CASE("names of files cannot disturb a report, nor messages") {
    std::string const odd =
        (std::filesystem::temp_directory_path() / "odd\n\x1b[2Jname.jsonl").string();
    auto const missing = run({"--trace", odd, "--trace", ""});
    CHECK(missing.err.find("odd??[2Jname.jsonl' cannot be opened") != std::string::npos);
    CHECK(missing.err.find("'' cannot be opened") != std::string::npos);
    temporary_file const trace{good_trace};
    std::filesystem::copy_file(trace.path(), odd,
                               std::filesystem::copy_options::overwrite_existing);
    auto const o = run({"--trace", odd, "--policy", "infinite"});
    std::filesystem::remove(odd);
    CHECK(o.out.find("odd??[2Jname, no limit") != std::string::npos);
}

TEST_CASE("a whole report is a good end") {
    temporary_file const good{good_trace};
    run_result const o = run({"--trace", good.path(), "--trace", good.path(), "--policy",
                              "none,lru", "--format", "json", "--capacity", "1GB"});
    CHECK(o.code == exit_code::good);
    CHECK(o.err.empty());
    std::string const name = name_of(good);
    CHECK(traces_in(o.out) == std::vector<std::string>{name, name, name + " (2)", name + " (2)"});
    CHECK(run({"--list-models"}).code == exit_code::good);
    CHECK(run({"--help"}).code == exit_code::good);
    CHECK(run({"--nonsense"}).code == exit_code::refused);
}

TEST_CASE("no two traces have one name in a report") {
    temporary_file const good{good_trace};
    std::filesystem::path const path{good.path()};
    std::string const other =
        (path.parent_path() / (path.stem().string() + " (2)")).string() + path.extension().string();
    std::filesystem::copy_file(path, other);
    run_result const o = run({"--trace", good.path(), "--trace", other.c_str(), "--trace",
                              good.path(), "--policy", "none", "--format", "json"});
    std::filesystem::remove(other);
    std::string const name = name_of(good);
    CHECK(traces_in(o.out) == std::vector<std::string>{name, name + " (2)", name + " (3)"});
}

TEST_CASE("the list of models replaces no input either") {
    temporary_file const good{good_trace};
    run_result const o = run({"--list-models", "--trace", good.path(), "--out", good.path()});
    CHECK(o.code == exit_code::refused);
    CHECK(good.contents() == good_trace);
}

TEST_CASE("results have the share that their capacity is of what an infinite cache held") {
    run_result const o =
        run({"--synthetic", "chat", "--sessions", "5", "--policy", "none,lru,gdsf,infinite",
             "--capacity", "5%,1GB,12.5%", "--format", "json"});
    CHECK(values_in(o.out, "policy") ==
          std::vector<std::string>{R"("none")", R"("infinite")", R"("lru")", R"("gdsf")",
                                   R"("lru")", R"("gdsf")", R"("lru")", R"("gdsf")"});
    CHECK(values_in(o.out, "capacity_share") == std::vector<std::string>{"null", "null", "0.05",
                                                                         "0.05", "null", "null",
                                                                         "0.125", "0.125"});
}

TEST_CASE("results say which part of a trace they are of, and what made it") {
    temporary_file const good{good_trace};
    run_result const o =
        run({"--trace", good.path(), "--synthetic", "chat", "--seed", "7", "--sessions", "5",
             "--policy", "lru", "--capacity", "1GB", "--limit", "2", "--format", "json"});
    CHECK(values_in(o.out, "limit") == std::vector<std::string>{"2", "2"});
    CHECK(values_in(o.out, "seed") == std::vector<std::string>{"null", "7"});
    CHECK(values_in(o.out, "sessions") == std::vector<std::string>{"null", "5"});
}

TEST_CASE("a model that is a file by another name is no preset") {
    temporary_file const model{"{}"};
    run_result const o = run({"--synthetic", "chat", "--model", model.path()});
    CHECK(o.code == exit_code::refused);
    CHECK(o.err.find("expected a preset (--list-models has them), or a file named *.json") !=
          std::string::npos);
}
