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
After a colon lru, gdsf, learned, oracle and infinite take a number of tokens: lru:4096 has a
checkpoint every 4,096 tokens of what is new in a prompt, too; learned:4096 while these pay. (A
share of what infinite holds is without them.) The oracle is greedy, so not quite the best there is.

Capacities (--capacity) are sizes in B, KB, MB, GB, TB (powers of 1000) or KiB, MiB, GiB, TiB
(powers of 1024), or a share such as 10% of the most that an infinite cache would hold.

A model of your own (--model) is a file that ends in .json, of what one of its sequences takes:
  {"flops_per_token":1.5e10,"flops_per_pair":32768,"kv_bytes_per_token":65536,
   "state_bytes":26787840,"windows":[{"tokens":4096,"bytes_per_token":8192,"flops_per_pair":16384}]}
FLOPs of L tokens are per_token x L + per_pair x L^2: about twice the parameters that a token uses,
and 2 x heads x head size for each layer of full attention; in windows, of so many tokens each, for
each sliding one. state_bytes is a checkpoint's size but for the windows'. What is left out is 0.

Requests run one after another, in the order of their times: none holds memory while others run.
Columns: the share of input tokens and of requests that were resumed, and of all prefill FLOPs that
was saved by it; nodes and checkpoints are those at the end, alpha is the last one, us/request is
the cache's own time. JSON and CSV have the same by longer names, in bytes, FLOPs and shares of 1,
and what was asked for: capacity_share is empty (null) where that was a size.

Estimated time to first token (--ttft) of what is left to prefill, without queueing or copying:
  h100      FLOPs / (989e12 FLOP/s dense bf16 x 0.5 utilisation, assumed) + 10 ms, assumed
  h200      as h100: it computes as fast
  a100x4    0.0530 ms a token + 17.8 ms, whatever the model: measured in the paper, of
            Jamba-1.5-Mini on four A100

Traces (--trace) are JSON lines of one of these forms. Each line is a request, and none is blank:
  {"session_id":7,"turn_id":0,"ts":0.25,"input_tokens":[5,6],"output_tokens":[9]}
      as the paper's artifact has it: times in seconds, a session's turns in order
  {"s":7,"t":1,"ts":4,"keep":3,"add":[8],"out":[9]}
      compact: the input is the first `keep` tokens of the session's last input and output (0 in
      its first turn), then `add`; session, turn and time as above
  {"timestamp":4000,"input_length":700,"output_length":80,"hash_ids":[46,47]}
      Mooncake: times in milliseconds, an id for each 512 tokens of the input

Of several traces, one that cannot be read or replayed is named on standard error and left out as a
whole; the report, also one to a file (--out), has the others. Exit codes:
  0         the report is as asked for
  1         a trace is missing in it, or there is none: no trace worked, or it cannot be written
  2         the command line is refused, and nothing was done

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
