#pragma once

#include <marconi/cache/in_place.hpp>
#include <marconi/cache/lease_record.hpp>
#include <marconi/core/error.hpp>
#include <marconi/core/types.hpp>
#include <marconi/memory/concepts.hpp>
#include <marconi/memory/transfer.hpp>
#include <marconi/memory/views.hpp>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace marconi::cache {

/// What a restore copies. It has its own lists of pages, so it stays valid for as long as the lease
/// holds what is restored, whatever becomes of the tree meanwhile.
class restoration {
public:
    /// The KV of tokens [from, resume_at), unless the view is empty, and the checkpoint, unless
    /// `only` some layers are copied and the state view is empty. Throws invalid_argument, or
    /// contract_violation if the lease has let go of what is asked for.
    template <class Entries>
    restoration(Entries const& entries, lease_record const& lease, token_count from,
                memory::kv_view kv, memory::state_view state)
        : position_{lease.granted.resume_at()},
          kv_{.begin = from, .end = from, .engine = kv},
          state_{state} {
        MARCONI_EXPECT(from <= position_, "from", from.value(),
                       "at most resume_at, " + std::to_string(position_.value()));
        MARCONI_EXPECT(!kv.only || !kv.layers.empty(), "only in the kv_view", "some layers",
                       "nothing, since it has no layers");
        if (position_ == token_count{}) return;
        bool const with_kv = entries.has_kv() && !kv.layers.empty() && from < position_;
        if (with_kv && (!lease.kv_pinned || lease.position < position_.value()))
            throw contract_violation{"restore: the lease has let go of its KV"};
        bool const kv_alone = kv.only && state.pieces.empty();
        with_checkpoint_ = entries.needs_checkpoint() && !lease.match().by_own_state && !kv_alone;
        if (lease.match().by_own_state && !state.pieces.empty())
            throw contract_violation{"restore: the request resumes by the engine's own state, and "
                                     "has none to copy"};
        if (with_checkpoint_ && !lease.checkpoint_node)
            throw contract_violation{"restore: the lease has let go of its checkpoint, as a commit "
                                     "does that goes on from it"};
        if (with_kv) {
            std::uint32_t const block = entries.store().layout().block_tokens();
            auto const end = static_cast<std::uint32_t>(position_.value());
            blocks_ = path_pages(entries, lease.node, end, from.value() / block);
            kv_.end = position_;
        }
        if (with_checkpoint_) {
            std::span const pages = entries.checkpoint(lease.checkpoint_node).pages();
            checkpoint_.assign(pages.begin(), pages.end());
        }
    }

    /// Copies from the store that it was made for to the engine's memory. Throws what the store
    /// throws, such as for a view that does not fit the layout.
    template <memory::store Store>
    void copy(Store const& store, typename Store::stream const& on) const {
        if (position_ == token_count{}) return;
        memory::transfer work{.kv = kv_};
        work.kv.pages = blocks_;
        memory::checkpoint_transfer const checkpoint{position_, checkpoint_, state_};
        if (with_checkpoint_) work.checkpoints = {&checkpoint, 1};
        store.load(work, on);
    }

private:
    token_count position_;
    memory::kv_transfer kv_;
    memory::state_view state_;
    bool with_checkpoint_ = false;
    std::vector<page_id> blocks_, checkpoint_;
};

} // namespace marconi::cache
