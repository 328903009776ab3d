#include "options.hpp"

#include "help_epilogue.hpp"
#include "option_values.hpp"

#include <marconi/core/error.hpp>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <ostream>
#include <thread>
#include <utility>

namespace marconi::replay {

namespace {

/// Option values that are parsed once all options are known.
struct raw_values {
    std::vector<std::string> synthetic;
    std::vector<std::string> policies{"vllm+", "sglang+", "marconi", "lru", "gdsf", "learned"};
    std::vector<std::string> capacities{"5%", "10%", "20%"};
    std::string alpha = "auto";
    std::string cost = "shape";
    std::string ttft = "h100";
    std::string format = "table";
    std::string out;
};

template <class Value>
using choices = std::vector<std::pair<std::string, Value>>;

choices<cost_model> const cost_choices{{"paper", cost_model::paper}, {"shape", cost_model::shape}};
choices<ttft_curve> const ttft_choices{
    {"a100x4", ttft_curve::a100x4}, {"h100", ttft_curve::h100}, {"h200", ttft_curve::h200}};
choices<report_format> const format_choices{
    {"table", report_format::table}, {"csv", report_format::csv}, {"json", report_format::json}};

template <class Value>
Value chosen(choices<Value> const& from, std::string const& name) {
    return std::ranges::find(from, name, &std::pair<std::string, Value>::first)->second;
}

template <class Value>
std::string name_in(choices<Value> const& from, Value value) {
    return std::ranges::find(from, value, &std::pair<std::string, Value>::second)->first;
}

template <class Value>
CLI::Validator one_of(choices<Value> const& from) {
    auto const check = [&from](std::string const& text) -> std::string {
        std::string names;
        for (auto const& [name, value] : from) {
            if (name == text) return {};
            names += (names.empty() ? "" : ", ") + name;
        }
        return "is '" + text + "'; expected one of " + names;
    };
    return CLI::Validator{check, ""};
}

void define_traces(CLI::App& app, options& to, raw_values& raw) {
    app.add_option("--trace", to.traces,
                   "Trace file, plain or gzip, - for standard input; repeatable")
        ->type_name("FILE");
    CLI::Option* const synthetic =
        app.add_option("--synthetic", raw.synthetic, "Synthetic trace: chat, agent, fewshot, mixed")
            ->type_name("KIND");
    app.add_option("--seed", to.seed, "Seed of synthetic traces")
        ->type_name("N")
        ->needs(synthetic)
        ->transform(whole_number(0, any))
        ->capture_default_str();
    app.add_option("--sessions", to.sessions, "Sessions in a synthetic trace")
        ->type_name("N")
        ->needs(synthetic)
        ->transform(whole_number(1, most_sessions))
        ->capture_default_str();
    app.add_option("--limit", to.limit, "Only the first N requests of each trace")
        ->type_name("N")
        ->transform(whole_number(1, any));
    app.add_option("--thoughts", to.thoughts,
                   "Begin each output with N tokens of reasoning that later inputs leave out")
        ->type_name("N")
        ->transform(whole_number(0, 1 << 20))
        ->capture_default_str();
    app.add_flag("--describe", to.describe, "Print statistics of the traces; replay nothing");
}

void define_caches(CLI::App& app, options& to, raw_values& raw) {
    // The defaults of lists are in the text, since CLI11 would print their separators too.
    app.add_option("--policy", raw.policies,
                   "Listed below; separated by commas [vllm+,sglang+,marconi,lru,gdsf,learned]")
        ->type_name("NAME");
    app.add_option("--capacity", raw.capacities,
                   "Sizes, see below; separated by commas [5%,10%,20%]")
        ->type_name("SIZE");
    app.add_option("--alpha", raw.alpha,
                   "auto, or the alpha of policies that take one but name none")
        ->type_name("X")
        ->capture_default_str();
    app.add_option("--model", to.model, "A preset, or FILE.json: see below")
        ->type_name("NAME")
        ->capture_default_str();
    app.add_flag("--list-models", to.list_models, "Print the presets");
    app.add_option("--cost", raw.cost, "paper: the paper's formulas; shape: the model's real shape")
        ->type_name("KIND")
        ->check(one_of(cost_choices))
        ->capture_default_str();
    app.add_option("--block-tokens", to.block_tokens, "Tokens per KV block, 1 to 256")
        ->type_name("N")
        ->transform(whole_number(1, 256))
        ->capture_default_str();
    app.add_option("--checkpoint-grid", to.checkpoint_grid,
                   "Checkpoints within a prompt only at multiples of N: the engine's\n"
                   "chunk (vllm+: of both N and 32)")
        ->type_name("N")
        ->transform(whole_number(1, 1 << 20))
        ->capture_default_str();
    app.add_option("--before-answer", to.before_answer,
                   "Also a checkpoint N tokens before each prompt's end, for reasoning\n"
                   "models; 16 is enough for most (not vllm+, sglang+, marconi-artifact)")
        ->type_name("N")
        ->transform(whole_number(0, 1 << 20))
        ->capture_default_str();
    app.add_flag("--prompts-only", to.prompts_only,
                 "Keep nothing of outputs, as an engine may whose outputs never come back");
    app.add_flag("--whole-prompt", to.whole_prompt,
                 "Resume up to the prompt's end, as published figures do;\n"
                 "otherwise its last token is always computed");
}

void define_output(CLI::App& app, options& to, raw_values& raw) {
    app.add_option("--ttft", raw.ttft, "Time to first token as on a100x4, h100 or h200; see below")
        ->type_name("KIND")
        ->check(one_of(ttft_choices))
        ->capture_default_str();
    app.add_option("--format", raw.format, "table, csv, or json: one object per run, one per line")
        ->type_name("KIND")
        ->check(one_of(format_choices))
        ->capture_default_str();
    app.add_option("--out", raw.out, "Write the report to FILE; - is standard output")
        ->type_name("FILE");
    app.add_option("--jobs", to.jobs, "Runs in parallel")
        ->type_name("N")
        ->transform(whole_number(1, 1024))
        ->capture_default_str();
}

void define(CLI::App& app, options& to, raw_values& raw) {
    app.option_defaults()->group("Traces");
    define_traces(app, to, raw);
    app.option_defaults()->group("Caches");
    define_caches(app, to, raw);
    app.option_defaults()->group("Output");
    define_output(app, to, raw);
    app.get_formatter()->column_width(30);
    app.footer(help_epilogue());
}

void interpret(raw_values const& raw, options& to) {
    for (std::string const& name : listed(raw.synthetic, "synthetic"))
        to.synthetic.push_back(parse_workload(name));
    std::optional<double> alpha;
    if (raw.alpha != "auto") alpha = parse_alpha(raw.alpha);
    for (std::string const& name : listed(raw.policies, "policy")) {
        policy_name policy = parse_policy(name);
        auto const* const known =
            std::ranges::find(known_policies, policy.kind, &known_policy::kind);
        if (known->takes == policy_argument::alpha && !policy.alpha) policy.alpha = alpha;
        if (std::ranges::find(to.policies, policy) == to.policies.end())
            to.policies.push_back(std::move(policy));
    }
    for (std::string const& size : listed(raw.capacities, "capacity")) {
        capacity const given = parse_capacity(size);
        if (std::ranges::find(to.capacities, given) == to.capacities.end())
            to.capacities.push_back(given);
    }
    to.cost = chosen(cost_choices, raw.cost);
    to.ttft = chosen(ttft_choices, raw.ttft);
    to.format = chosen(format_choices, raw.format);
    if (!raw.out.empty() && raw.out != "-") to.out = raw.out;
    if ((to.describe || to.list_models) && to.format != report_format::table)
        throw_invalid("format", raw.format, "table: models and statistics are printed as text");
    if (alpha && std::ranges::find(to.policies, alpha, &policy_name::alpha) == to.policies.end())
        throw_invalid("alpha", raw.alpha,
                      "marconi or marconi-artifact among the policies, without an alpha of its "
                      "own, to take it");
    if (std::ranges::count(to.traces, "-") > 1)
        throw invalid_argument{"trace is '-' twice; expected standard input at most once"};
    if (to.traces.empty() && to.synthetic.empty() && !to.list_models)
        throw invalid_argument{"no trace; expected --trace FILE or --synthetic KIND"};
}

} // namespace

std::string name_of(cost_model kind) { return name_in(cost_choices, kind); }
std::string name_of(ttft_curve kind) { return name_in(ttft_choices, kind); }

command_line parse_command_line(int argc, char const* const* argv, std::ostream& out,
                                std::ostream& err) {
    options result;
    result.jobs = std::clamp(std::thread::hardware_concurrency(), 1u, 1024u);
    raw_values raw;
    CLI::App app{"Replays request traces through prefix caches of any policy and capacity, and "
                 "prints what each saved.",
                 "marconi_replay"};
    define(app, result, raw);
    try {
        app.parse(argc, argv);
        interpret(raw, result);
    } catch (CLI::ParseError const& e) {
        return {.chosen = {}, .exit_code = app.exit(e, out, err) == 0 ? 0 : 2};
    } catch (error const& e) {
        err << e.what() << "\nRun with --help for more information.\n";
        return {.chosen = {}, .exit_code = 2};
    }
    return {.chosen = std::move(result), .exit_code = 0};
}

} // namespace marconi::replay
