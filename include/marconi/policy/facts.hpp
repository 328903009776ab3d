#pragma once

// The plain records in which the cache tells policies what they may base a decision on.
// Policies know neither the tree nor the model; these records carry what they need of both.

#include <marconi/core/types.hpp>

#include <cstdint>
#include <vector>

namespace marconi::policy {

/// A request before its prefill, for admission.
struct request_facts {
    token_count tokens;      ///< length of the prompt, with what there is of an answer
    token_count limit;       ///< deepest position that may be resumed from (usually tokens - 1)
    token_count matched;     ///< leading tokens whose KV is in the cache
    token_count resumable;   ///< deepest resumable position at or under the limit
    token_count answer_from; ///< where the answer begins: at `tokens`, or past it, if it is to come
    token_count block_tokens;
    token_count checkpoint_grid; ///< positions to capture at in the prompt are multiples of this
};

/// Where the engine should copy the recurrent state while it works on a request.
struct capture_rule {
    std::vector<token_count> at; ///< positions up to the limit, ascending
    token_count every{0};        ///< also every multiple of this; 0: none. Up to the limit, the
                                 ///< cache lists them in `at`
    bool tail = false;           ///< and after the last token whose KV exists
};

/// A candidate for eviction. A leaf whose KV nobody uses is removed whole. Of any other candidate
/// only the checkpoint goes; its only child, if it has one, takes over its edge once nobody uses
/// its KV.
struct candidate_facts {
    byte_count bytes_freed = {}; ///< of pages that lose their last owner
    flop_count flops_saved = {}; ///< by resuming here and not at `resume_above`; 0 if one cannot
    byte_count page_bytes = {};  ///< the smallest amount that can be freed
    token_count depth = {};      ///< position of the node's last token
    token_count parent_depth = {};
    token_count resume_above = {}; ///< the nearest position above that can be resumed from
    bool is_leaf = false;
    bool has_checkpoint = false;
    /// The checkpoint lies in the answer of the request that brought it first: at its end, most
    /// often. Where prompts leave a part of answers out, as those of reasoning models do their
    /// thoughts, no request comes back to it.
    bool in_answer = false;
    double weight = 1; ///< the largest of those who published it or resumed here: see match_options

    /// FLOPs saved per byte, times the weight: at a weight of 1 the paper's FLOP efficiency. A
    /// candidate that saves something and frees nothing (its only block is shared with a node
    /// above) counts as one page.
    [[nodiscard]] double flop_efficiency() const {
        if (flops_saved <= flop_count{}) return 0;
        byte_count const bytes = bytes_freed > byte_count{} ? bytes_freed : page_bytes;
        return weight * flops_saved.value() / static_cast<double>(bytes.value());
    }
};

/// When and how often a node was used: the history that most policies keep.
struct usage {
    tick last_use;
    std::uint64_t uses = 0; ///< calls of used() (see eviction_policy): creation does not count

    friend constexpr bool operator==(usage const&, usage const&) = default;
};

} // namespace marconi::policy
