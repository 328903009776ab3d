#pragma once

#include <marconi/cache/evict.hpp>
#include <marconi/cache/lease.hpp>
#include <marconi/cache/outcome.hpp>
#include <marconi/core/error.hpp>
#include <marconi/core/types.hpp>
#include <marconi/core/units.hpp>
#include <marconi/index/match.hpp>
#include <marconi/index/paths.hpp>
#include <marconi/memory/page_pool.hpp>
#include <marconi/memory/views.hpp>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace marconi::cache {

/// Keeps a node, and so what lies above it, while a commit works on it.
template <class Entries>
class path_pin {
public:
    path_pin(Entries& entries, node_id id) : entries_{&entries}, id_{id} { entries.pin_kv(id); }
    path_pin(path_pin const&) = delete;
    path_pin& operator=(path_pin const&) = delete;
    ~path_pin() { entries_->unpin_kv(id_); }
    void move_to(node_id id) noexcept {
        entries_->pin_kv(id);
        entries_->unpin_kv(std::exchange(id_, id));
    }

private:
    Entries* entries_;
    node_id id_;
};

/// One commit, from arguments to outcome:
///
///     check -> follow what is stored already -> choose how much fits, evict for it
///           -> write the pages -> publish
///
/// Up to publish anything may throw, and leaves nothing behind but victims already evicted;
/// publish cannot fail. Positions are tokens from the start of the sequence; `known_` is how far
/// the sequence is stored already, `end_` how far it will be.
template <class Entries, token Token>
class commit_operation {
    using store_type = std::remove_cvref_t<decltype(std::declval<Entries&>().store())>;
    using stream_type = typename store_type::stream;

public:
    commit_operation(Entries& entries, lease_table const& leases, lease_record& lease,
                     std::span<Token const> tokens, computed const& brought)
        : entries_{entries},
          tree_{entries.tree()},
          store_{entries.store()},
          leases_{leases},
          lease_{lease},
          tokens_{tokens},
          brought_{brought},
          block_{entries.store().layout().block_tokens()} {}

    commit_outcome run(stream_type const& stream) {
        check_arguments();
        std::uint64_t const evictions = entries_.counts().evictions();
        byte_count const evicted = entries_.counts().bytes_evicted;

        path_pin<Entries> pin{entries_, follow()};
        part_from_others(pin);
        choose_end();
        write_and_publish(stream);

        outcome_.evicted_entries = entries_.counts().evictions() - evictions;
        outcome_.evicted_bytes = entries_.counts().bytes_evicted - evicted;
        return outcome_;
    }

private:
    /// A checkpoint that was brought, and is not in the cache yet.
    struct arrival {
        std::uint32_t position;
        memory::state_view state;
        std::uint64_t pages;
    };

    void check_arguments() const {
        MARCONI_EXPECT(tokens_.size() >= lease_.position, "tokens.size()", tokens_.size(),
                       "at least the lease's position, " + std::to_string(lease_.position));
        MARCONI_EXPECT(tokens_.size() < max_tokens, "tokens.size()", tokens_.size(),
                       "less than 2^31");
        MARCONI_EXPECT(brought_.checkpoints.empty() || entries_.needs_checkpoint(),
                       "number of checkpoints", brought_.checkpoints.size(),
                       "0: this model's footprint has no per-position state");
        token_count previous{lease_.position};
        for (captured_state const& c : brought_.checkpoints) {
            MARCONI_EXPECT(c.position > previous && c.position.value() <= tokens_.size(),
                           "checkpoint position", c.position.value(),
                           "more than " + std::to_string(previous.value()) +
                               " (the lease's position, or the checkpoint before), at most " +
                               std::to_string(tokens_.size()) + " (the tokens committed)");
            previous = c.position;
        }
        check_continuation();
    }

    /// The last tokens before the lease's position must be those it stands on. (All of them would
    /// cost a walk from the root.)
    void check_continuation() const {
        if (!lease_.kv_pinned || lease_.position == 0) return;
        node_id const id = tree_.holding(lease_.node, lease_.position);
        std::uint32_t const from =
            std::max(tree_[id].start(), lease_.position - std::min(lease_.position, 64u));
        auto const stored =
            tree_.tokens(id).subspan(from - tree_[id].start(), lease_.position - from);
        if (std::memcmp(stored.data(), tokens_.data() + from, stored.size_bytes()) != 0)
            throw contract_violation{"commit: the tokens before position " +
                                     std::to_string(lease_.position) +
                                     " are not those that the lease stands on"};
    }

    /// Follows the sequence from where the lease stands as far as it is stored.
    node_id follow() {
        index::location start{tree_.find_root(lease_.in), 0};
        if (lease_.kv_pinned)
            start = {tree_.holding(lease_.node, lease_.position), lease_.position};
        else if (!start.node)
            start.node = tree_.make_root(lease_.in);
        index::location const at = tree_.walk(start, tokens_, [](node_id) {});
        known_ = at.depth;
        return attachment_ = at.node;
    }

    /// Where the sequence leaves an edge in its middle, cuts it there: what lies beyond belongs to
    /// other requests and may have to make room for this one. Unpinned, the halves merge again.
    void part_from_others(path_pin<Entries>& pin) {
        entries_.reserve(2 * brought_.checkpoints.size() + 2, brought_.checkpoints.size());
        if (known_ == tokens_.size() || known_ == tree_[attachment_].depth) return;
        attachment_ = entries_.split(attachment_, known_);
        pin.move_to(attachment_);
    }

    // ---- how much fits ----

    void choose_end() {
        list_arrivals();
        full_end_ = static_cast<std::uint32_t>(tokens_.size());
        if (!entries_.has_kv()) full_end_ = end_with(arrivals_.size());
        end_ = full_end_;
        taken_ = arrivals_.size();
        shrink_to(obtainable_pages(entries_, leases_, pages_needed(end_, taken_), attachment_));
        check_sources();
        while (!make_room(entries_, pages_needed(end_, taken_), eviction_reason::commit))
            shrink_to(store_.pages().available());
        outcome_.declined_tokens = token_count{full_end_ - end_};
        outcome_.declined_checkpoints = static_cast<std::uint32_t>(arrivals_.size() - taken_);
    }

    void list_arrivals() {
        for (captured_state const& c : brought_.checkpoints) {
            auto const position = static_cast<std::uint32_t>(c.position.value());
            if (position <= known_) {
                node_id const id = tree_.holding(attachment_, position);
                if (tree_[id].depth == position && entries_.has_checkpoint(id)) {
                    ++outcome_.known_checkpoints;
                    continue;
                }
            }
            arrivals_.push_back({position, c.state, store_.layout().checkpoint_pages(c.position)});
        }
    }

    /// The end of a sequence that stops at the last of the first `count` arrivals.
    [[nodiscard]] std::uint32_t end_with(std::size_t count) const {
        return count == 0 ? known_ : std::max(known_, arrivals_[count - 1].position);
    }

    [[nodiscard]] std::uint64_t pages_needed(std::uint32_t end, std::size_t count) const {
        std::uint64_t pages = fresh_blocks(end);
        for (std::size_t i = 0; i < count; ++i)
            pages += arrivals_[i].pages;
        return pages;
    }
    /// Blocks of [known_, end) for which the lease has no page.
    [[nodiscard]] std::uint64_t fresh_blocks(std::uint32_t end) const {
        if (end == known_ || !entries_.has_kv()) return 0;
        std::uint64_t const first = known_ / block_;
        std::uint64_t const last = divide_up(end, block_);
        std::uint64_t const owned_first = std::max<std::uint64_t>(first, lease_.first_block);
        std::uint64_t const owned_last =
            std::min<std::uint64_t>(last, lease_.first_block + lease_.pages.size());
        return last - first - (owned_last > owned_first ? owned_last - owned_first : 0);
    }

    /// Cuts what will be stored to what `available` pages hold: up to the last checkpoint that
    /// fits; any token will do where no checkpoint is needed to resume.
    void shrink_to(std::uint64_t available) {
        if (pages_needed(end_, taken_) <= available) return;
        if (entries_.needs_checkpoint()) {
            if (end_ == end_with(taken_) && taken_ > 0) --taken_;
            while (taken_ > 0 && pages_needed(end_with(taken_), taken_) > available)
                --taken_;
            end_ = end_with(taken_);
            return;
        }
        std::uint32_t fits = known_;
        for (std::uint32_t too_far = end_; too_far - fits > 1;) {
            std::uint32_t const middle = fits + (too_far - fits) / 2;
            (pages_needed(middle, 0) <= available ? fits : too_far) = middle;
        }
        end_ = fits;
    }

    /// What is to be stored must come from somewhere.
    void check_sources() const {
        if constexpr (store_type::holds_bytes)
            if (brought_.kv.layers.empty() && fresh_blocks(end_) != 0)
                throw invalid_argument{"commit: tokens [" + std::to_string(known_) + ", " +
                                       std::to_string(end_) +
                                       ") are neither in the kv view nor all in pages that the "
                                       "lease reserved"};
    }

    // ---- write ----

    void write_and_publish(stream_type const& stream) {
        std::vector<page_loan<memory::page_pool>> checkpoints;
        checkpoints.reserve(taken_);
        for (std::size_t i = 0; i < taken_; ++i)
            checkpoints.emplace_back(store_.pages(), arrivals_[i].pages);
        page_loan kv{store_.pages(), fresh_blocks(end_)};
        std::vector<page_id> const blocks = block_pages(kv.pages());
        save(blocks, checkpoints, stream);
        index::segment_id segment;
        if (end_ > known_)
            segment = tree_.paths().create(known_, tokens_.subspan(known_, end_ - known_));

        lease_.pages.reserve(1);

        publish_kv(segment, blocks);
        (void)kv.keep(); // the nodes own them now
        for (std::size_t i = 0; i < taken_; ++i)
            publish_checkpoint(arrivals_[i], checkpoints[i]);
        advance_lease(blocks);
    }

    /// The page of each block of [known_, end_): the lease's where it has one, else a fresh one.
    [[nodiscard]] std::vector<page_id> block_pages(std::span<page_id const> fresh) const {
        std::vector<page_id> pages;
        if (end_ == known_ || !entries_.has_kv()) return pages;
        std::size_t used = 0;
        auto const last = static_cast<std::uint32_t>(divide_up(end_, block_));
        pages.reserve(last - known_ / block_);
        for (std::uint32_t b = known_ / block_; b < last; ++b)
            pages.push_back(lease_.owns_block(b) ? lease_.pages[b - lease_.first_block]
                                                 : fresh[used++]);
        return pages;
    }

    void save(std::vector<page_id> const& blocks,
              std::vector<page_loan<memory::page_pool>> const& checkpoints,
              stream_type const& stream) {
        if constexpr (store_type::holds_bytes) {
            std::vector<memory::checkpoint_transfer> states;
            for (std::size_t i = 0; i < taken_; ++i)
                states.push_back({token_count{arrivals_[i].position}, checkpoints[i].pages(),
                                  arrivals_[i].state});
            memory::transfer work{.kv = {}, .checkpoints = states};
            if (!brought_.kv.layers.empty() && !blocks.empty()) {
                // A fresh page repeats the tokens before known_; the lease's own has them already.
                std::uint32_t const block_start = known_ / block_ * block_;
                bool const own = lease_.owns_block(known_ / block_);
                work.kv = {.begin = token_count{own ? std::max(block_start, lease_.position)
                                                    : block_start},
                           .end = token_count{end_},
                           .pages = blocks,
                           .engine = brought_.kv};
            }
            store_.save(work, stream);
        }
    }

    // ---- publish: nothing from here on can fail ----

    void publish_kv(index::segment_id segment, std::vector<page_id> const& blocks) noexcept {
        std::uint32_t const first_block = known_ / block_;
        if (!blocks.empty())
            std::copy(blocks.begin(), blocks.end(),
                      tree_.paths()
                          .pages(segment, first_block,
                                 first_block + static_cast<std::uint32_t>(blocks.size()))
                          .begin());
        std::uint32_t begin = known_;
        auto const add = [&](std::uint32_t end) {
            if (!blocks.empty()) own_blocks(begin, end, blocks);
            attachment_ = entries_.add(attachment_, segment, end, begin == known_, lease_.in);
            begin = end;
        };
        for (std::size_t i = 0; i < taken_; ++i)
            if (arrivals_[i].position > known_) add(arrivals_[i].position);
        if (end_ > begin) add(end_);
        outcome_.stored_tokens = token_count{end_ - known_};
    }

    /// Counts a reference to each block of [begin, end) for the node that will hold them. A fresh
    /// page came with one, for the first node that touches it.
    void own_blocks(std::uint32_t begin, std::uint32_t end,
                    std::vector<page_id> const& blocks) noexcept {
        std::uint32_t const first_block = known_ / block_;
        for (std::uint32_t b = begin / block_; b < divide_up(end, block_); ++b) {
            bool const repeated = begin != known_ && b == begin / block_ && begin % block_ != 0;
            if (lease_.owns_block(b) || repeated) store_.pages().share(blocks[b - first_block]);
        }
    }

    void publish_checkpoint(arrival const& a, page_loan<memory::page_pool>& loan) noexcept {
        node_id id = tree_.holding(attachment_, a.position);
        if (tree_[id].depth != a.position) id = entries_.split(id, a.position);
        entries_.attach_checkpoint(id, loan.keep(), lease_.in);
        if (a.position <= known_) entries_.touch(id); // KV that was there found a second use
        ++outcome_.stored_checkpoints;
    }

    /// The lease moves on to the end of what is stored.
    void advance_lease(std::vector<page_id> const& blocks) noexcept {
        keep_tail_block(blocks);
        node_id const old = std::exchange(lease_.node, tree_.holding(attachment_, end_));
        bool const was_pinned = std::exchange(lease_.kv_pinned, true);
        entries_.pin_kv(lease_.node);
        if (end_ == known_ && tree_[lease_.node].depth == end_) entries_.touch(lease_.node);
        if (was_pinned) entries_.unpin_kv(old);
        if (end_ > lease_.position && lease_.checkpoint_node)
            entries_.unpin_checkpoint(std::exchange(lease_.checkpoint_node, {}));
        lease_.position = end_;
        outcome_.position = token_count{end_};
    }

    /// A copying lease goes on with the unfilled slots of its last block; of the pages it had, only
    /// that one is of use. A lease that works in place keeps all it was given.
    void keep_tail_block(std::vector<page_id> const& blocks) noexcept {
        if (lease_.in_place || end_ == lease_.position) return;
        page_id tail;
        if (end_ > known_ && !blocks.empty() && end_ % block_ != 0) {
            tail = blocks.back();
            store_.pages().share(tail);
        }
        for (page_id const page : lease_.pages)
            store_.pages().release(page);
        lease_.pages.clear();
        if (tail) {
            lease_.pages.push_back(tail);
            lease_.first_block = end_ / block_;
        }
    }

    static constexpr std::uint64_t max_tokens = 1ull << 31;

    Entries& entries_;
    typename Entries::tree_type& tree_;
    store_type& store_;
    lease_table const& leases_;
    lease_record& lease_;
    std::span<Token const> tokens_;
    computed const& brought_;
    std::uint32_t block_;

    node_id attachment_; ///< holds position known_; then the last node added
    std::uint32_t known_ = 0;
    std::uint32_t full_end_ = 0;
    std::uint32_t end_ = 0;
    std::vector<arrival> arrivals_;
    std::size_t taken_ = 0; ///< of the arrivals, from the first
    commit_outcome outcome_;
};

} // namespace marconi::cache
