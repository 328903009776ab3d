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
Capacities (--capacity) are sizes in B, KB, MB, GB, TB (powers of 1000) or KiB, MiB, GiB, TiB
(powers of 1024), or a share such as 10% of the most that an infinite cache would hold.

Estimated time to first token (--ttft) of what is left to prefill, without queueing:
  a100x4    0.0530 ms a token + 17.8 ms: measured in the paper, Jamba-1.5-Mini on four A100
  h100      FLOPs / (989e12 FLOP/s dense bf16 x 0.5 utilisation, assumed) + 10 ms, assumed
  h200      as h100: it computes as fast

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
