#include "help_epilogue.hpp"

#include "policy_name.hpp"

namespace marconi::replay {

std::string help_epilogue() {
    std::string text = "Policies (--policy):\n";
    for (known_policy const& policy : known_policies) {
        std::string kind{policy.kind};
        kind.resize(18, ' ');
        text.append("  ").append(kind).append(policy.meaning).append("\n");
    }
    return text + R"(
lru, gdsf, learned, oracle and infinite take a number of tokens after a colon: lru:4096 also has a
checkpoint every 4,096 tokens of what is new in a prompt; learned:4096 has these while they pay.
(Shares are of what infinite holds without them, and without --before-answer and --prompts-only.)
The oracle is greedy, so not quite the optimum.

Capacities (--capacity) are sizes in B, KB, MB, GB, TB (powers of 1000) or KiB, MiB, GiB, TiB
(powers of 1024), or shares such as 10% of the most that an infinite cache would hold.

A model of your own (--model) is a file named *.json that says what one sequence takes:
  {"flops_per_token":1.5e10,"flops_per_pair":32768,"kv_bytes_per_token":65536,
   "state_bytes":26787840,"windows":[{"tokens":4096,"bytes_per_token":8192,"flops_per_pair":16384}]}
L tokens take flops_per_token x L + flops_per_pair x L^2 FLOPs. flops_per_token is about twice the
parameters that a token uses; flops_per_pair is 2 x heads x head size for each layer of full
attention, and in windows, of so many tokens each, for each sliding one. state_bytes is the size of
a checkpoint without its windows. What is left out is 0.

Requests run one after another, in the order of their times: none holds memory while others run.
Columns: token hits and request hits are the shares of input tokens and of requests that were
resumed, FLOPs saved is the share of all prefill FLOPs that this saved; nodes and checkpoints are
those at the end, alpha is the last one, us/request is the cache's own time for one, seconds is that
of the whole run. JSON and CSV have the same under longer names, in bytes, FLOPs and shares of 1,
and also what was asked for: capacity_share is empty (null) if that was a size, or there is no
limit. ttft_percentiles_ms are the percentiles 0, 5, 10 and on to 100.

Time to first token (--ttft), estimated for what is left to prefill, no queueing or copying:
  h100      FLOPs / (989e12 FLOP/s dense bf16 x 0.5 utilisation, assumed) + 10 ms, assumed
  h200      as h100: it computes as fast
  a100x4    0.0530 ms a token + 17.8 ms, whatever the model: measured in the paper, with
            Jamba-1.5-Mini on four A100s

Traces (--trace) are JSON lines in one of these forms, one request per line, no blank lines:
  {"session_id":7,"turn_id":0,"ts":0.25,"input_tokens":[5,6],"output_tokens":[9]}
      the paper's artifact: times in seconds, a session's turns in order
  {"s":7,"t":1,"ts":4,"keep":3,"add":[8],"out":[9]}
      compact: the input is the first `keep` tokens of the session's previous input and output (0 in
      its first turn), then `add`; session, turn and time as above
  {"timestamp":4000,"input_length":700,"output_length":80,"hash_ids":[46,47]}
      Mooncake: times in milliseconds, an id for each 512 tokens of the input

A trace that cannot be read or replayed is named on standard error and left out as a whole; the
report, even one to a file (--out), has the others. Exit codes:
  0         the report is complete
  1         it lacks a trace, or there is no report: no trace worked, or it cannot be written
  2         the command line was refused, and nothing was done

Examples:
  marconi_replay --synthetic mixed
  marconi_replay --synthetic agent --sessions 300 --seed 7 --describe
  marconi_replay --trace chat.jsonl.gz --policy lru,marconi,infinite --capacity 1GB,5GB,20%
  marconi_replay --trace a.jsonl --trace b.jsonl --policy marconi --alpha 0.5 --format json \
                 --out results.jsonl
  zcat agent.jsonl.gz | marconi_replay --trace - --limit 1000 --policy marconi:0,marconi:1
)";
}

} // namespace marconi::replay
