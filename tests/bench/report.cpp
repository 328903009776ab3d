#include <replay/report.hpp>

#include <support/catch.hpp>

#include <limits>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

using namespace marconi::replay;

namespace {

result run(std::string policy, double saved, std::optional<double> alpha = {}) {
    return {.trace = "chat",
            .policy = std::move(policy),
            .capacity_bytes = 5'000'000'000,
            .requests = 622,
            .input_tokens = 679'978,
            .resumed_tokens = 340'000,
            .token_hit_rate = 0.5,
            .request_hit_rate = 0.875,
            .flops_asked = 8e15,
            .flops_saved = saved,
            .alpha = alpha,
            .evictions = 1'234,
            .peak_bytes = 4'999'000'000,
            .nodes = 77,
            .checkpoints = 66,
            .ttft_p50_ms = 42.4,
            .ttft_p95_ms = 108.25,
            .request_us_p50 = 3.2,
            .request_us_p99 = 9.5,
            .seconds = 0.13,
            .model = "paper-7b",
            .cost = "shape",
            .block_tokens = 16,
            .checkpoint_grid = 512,
            .whole_prompt = true,
            .ttft = "h100",
            .thoughts = 600,
            .before_answer = 16,
            .limit = 300,
            .ttft_percentiles_ms = {10.5, 42.4, 200}};
}

std::vector<result> results() {
    result ceiling = run("infinite", 6e15);
    ceiling.capacity_bytes.reset();
    return {run("lru", 2e15), ceiling, run("marconi", 4e15, 0.7)};
}

std::string written(report_format format, std::vector<result> const& of) {
    std::ostringstream text;
    write_report(format, of, text);
    return text.str();
}

} // namespace

TEST_CASE("a report as a table marks the best of each capacity") {
    CHECK(written(report_format::table, results()) ==
          R"(chat, capacity 5.00 GB: 622 requests, 679,978 input tokens, 8.00 PFLOP asked
policy    alpha  token hits  request hits  FLOPs saved    evictions     peak  nodes  checkpoints  TTFT p50     p95  us/request p50  p99  seconds
lru           -     50.00 %       87.50 %      25.00 %        1,234  5.00 GB     77           66     42 ms  108 ms             3.2  9.5     0.13
marconi    0.70     50.00 %       87.50 %      50.00 % *      1,234  5.00 GB     77           66     42 ms  108 ms             3.2  9.5     0.13

chat, no limit: 622 requests, 679,978 input tokens, 8.00 PFLOP asked
policy    alpha  token hits  request hits  FLOPs saved    evictions     peak  nodes  checkpoints  TTFT p50     p95  us/request p50  p99  seconds
infinite      -     50.00 %       87.50 %      75.00 %        1,234  5.00 GB     77           66     42 ms  108 ms             3.2  9.5     0.13

* saves the most at its capacity; TTFT is estimated, see --ttft
)");
    CHECK(written(report_format::table, {}).empty());
}

TEST_CASE("a report does not compare policies with one that knows the future") {
    std::string const table = written(
        report_format::table, {run("lru", 2e15), run("oracle", 6e15), run("oracle:4096", 7e15)});
    CHECK(table.find("25.00 % *") != std::string::npos);
    CHECK(table.find("75.00 % *") == std::string::npos);
    CHECK(table.find("87.50 % *") == std::string::npos);
}

TEST_CASE("a report as CSV") {
    std::vector<result> const two = {run("lru", 2e15), run("marconi", 4e15, 0.7)};
    CHECK(written(report_format::csv, two) ==
          R"(trace,policy,capacity_bytes,requests,input_tokens,resumed_tokens,token_hit_rate,)"
          R"(request_hit_rate,flops_asked,flops_saved,alpha,evictions,peak_bytes,nodes,)"
          R"(checkpoints,ttft_p50_ms,ttft_p95_ms,request_us_p50,request_us_p99,seconds,)"
          R"(model,cost,block_tokens,checkpoint_grid,whole_prompt,ttft,capacity_share,)"
          R"(thoughts,before_answer,prompts_only,limit,seed,sessions,)"
          R"(ttft_percentiles_ms)"
          "\n"
          R"(chat,lru,5000000000,622,679978,340000,0.5,0.875,8e+15,2e+15,,1234,4999000000,77,66,)"
          R"(42.4,108.25,3.2,9.5,0.13,paper-7b,shape,16,512,true,h100,,600,16,false,300,,,)"
          R"(10.5 42.4 200.0)"
          "\n"
          R"(chat,marconi,5000000000,622,679978,340000,0.5,0.875,8e+15,4e+15,0.7,1234,4999000000,)"
          R"(77,66,42.4,108.25,3.2,9.5,0.13,paper-7b,shape,16,512,true,h100,,600,16,false,300,,,)"
          R"(10.5 42.4 200.0)"
          "\n");
    result odd = run("a,\"b\"\nc", 0);
    CHECK(written(report_format::csv, {odd}).find("\nchat,\"a,\"\"b\"\"\nc\",5000000000,") !=
          std::string::npos);
}

TEST_CASE("a report as JSON lines") {
    CHECK(written(report_format::json, results()) ==
          R"({"trace":"chat","policy":"lru","capacity_bytes":5000000000,"requests":622,)"
          R"("input_tokens":679978,"resumed_tokens":340000,"token_hit_rate":0.5,)"
          R"("request_hit_rate":0.875,"flops_asked":8e+15,"flops_saved":2e+15,"alpha":null,)"
          R"("evictions":1234,"peak_bytes":4999000000,"nodes":77,"checkpoints":66,)"
          R"("ttft_p50_ms":42.4,"ttft_p95_ms":108.25,"request_us_p50":3.2,"request_us_p99":9.5,)"
          R"("seconds":0.13,"model":"paper-7b","cost":"shape","block_tokens":16,)"
          R"("checkpoint_grid":512,"whole_prompt":true,"ttft":"h100","capacity_share":null,)"
          R"("thoughts":600,"before_answer":16,"prompts_only":false,)"
          R"("limit":300,"seed":null,"sessions":null,"ttft_percentiles_ms":[10.5,42.4,200.0]})"
          "\n"
          R"({"trace":"chat","policy":"infinite","capacity_bytes":null,"requests":622,)"
          R"("input_tokens":679978,"resumed_tokens":340000,"token_hit_rate":0.5,)"
          R"("request_hit_rate":0.875,"flops_asked":8e+15,"flops_saved":6e+15,"alpha":null,)"
          R"("evictions":1234,"peak_bytes":4999000000,"nodes":77,"checkpoints":66,)"
          R"("ttft_p50_ms":42.4,"ttft_p95_ms":108.25,"request_us_p50":3.2,"request_us_p99":9.5,)"
          R"("seconds":0.13,"model":"paper-7b","cost":"shape","block_tokens":16,)"
          R"("checkpoint_grid":512,"whole_prompt":true,"ttft":"h100","capacity_share":null,)"
          R"("thoughts":600,"before_answer":16,"prompts_only":false,)"
          R"("limit":300,"seed":null,"sessions":null,"ttft_percentiles_ms":[10.5,42.4,200.0]})"
          "\n"
          R"({"trace":"chat","policy":"marconi","capacity_bytes":5000000000,"requests":622,)"
          R"("input_tokens":679978,"resumed_tokens":340000,"token_hit_rate":0.5,)"
          R"("request_hit_rate":0.875,"flops_asked":8e+15,"flops_saved":4e+15,"alpha":0.7,)"
          R"("evictions":1234,"peak_bytes":4999000000,"nodes":77,"checkpoints":66,)"
          R"("ttft_p50_ms":42.4,"ttft_p95_ms":108.25,"request_us_p50":3.2,"request_us_p99":9.5,)"
          R"("seconds":0.13,"model":"paper-7b","cost":"shape","block_tokens":16,)"
          R"("checkpoint_grid":512,"whole_prompt":true,"ttft":"h100","capacity_share":null,)"
          R"("thoughts":600,"before_answer":16,"prompts_only":false,)"
          R"("limit":300,"seed":null,"sessions":null,"ttft_percentiles_ms":[10.5,42.4,200.0]})"
          "\n");
}

TEST_CASE("a report says which share of an infinite cache was asked for") {
    result share = run("lru", 2e15), size = share;
    share.capacity_share = 0.025;
    std::string const table = written(report_format::table, {share, size});
    CHECK(table.starts_with("chat, capacity 5.00 GB, 2.50 % of infinite: 622 requests"));
    CHECK(table.find("\nchat, capacity 5.00 GB: 622 requests") != std::string::npos);
    CHECK(written(report_format::csv, {share})
              .ends_with(",h100,0.025,600,16,false,300,,,10.5 42.4 200.0\n"));
    CHECK(written(report_format::json, {share}).find(R"(,"capacity_share":0.025,)") !=
          std::string::npos);
}

TEST_CASE("what JSON cannot say becomes null, and bytes that are no text are replaced") {
    result odd = run("lru", std::numeric_limits<double>::quiet_NaN());
    odd.trace = "caf\xe9";
    std::string const line = written(report_format::json, {odd});
    CHECK(line.find("\"flops_saved\":null") != std::string::npos);
    CHECK(line.find("\"trace\":\"caf\xef\xbf\xbd\"") != std::string::npos);
}
