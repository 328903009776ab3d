#pragma once

#include <marconi/core/types.hpp>
#include <marconi/memory/views.hpp>

#include <cstdint>
#include <optional>
#include <vector>

namespace marconi::memory {

/// Which of the engine's requests a call is for. Ranks find its memory by this; any number will do.
struct request_tag {
    std::uint64_t value = 0;
    friend bool operator==(request_tag, request_tag) = default;
};

/// A copy that the index orders and the ranks that hold the memory carry out: a plain value that
/// the engine sends by its own means. relay_store makes it, rank_memory carries it out.
struct copy_order {
    enum class action : std::uint8_t {
        load,       ///< pages -> the request's memory
        save,       ///< the request's memory -> pages
        copy_block, ///< page `from` -> page `to`, whole
    };
    struct state {
        token_count position;
        std::vector<page_id> pages;
        friend bool operator==(state const&, state const&) = default;
    };

    std::uint64_t number = 0;   ///< counts up by one from 1
    std::uint64_t previous = 0; ///< the last that was sent without failure: all ranks have had it
    std::uint64_t layout = 0;   ///< page_layout::fingerprint() of the index
    action what{};
    request_tag request = {};
    token_count kv_begin = {}; ///< KV of tokens [kv_begin, kv_end); none where they are equal
    token_count kv_end = {};
    std::vector<page_id> kv_pages = {};        ///< of the blocks that these touch
    std::optional<layer_range> kv_layers = {}; ///< of a load: these alone; nothing: all
    std::vector<state> states = {};            ///< ascending by position; in a load, one at most
    page_id from = {};
    page_id to = {};

    friend bool operator==(copy_order const&, copy_order const&) = default;
};

} // namespace marconi::memory
