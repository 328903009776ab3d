#pragma once

#include <marconi/cache/commit_size.hpp>
#include <marconi/core/types.hpp>
#include <marconi/core/units.hpp>
#include <marconi/index/paths.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace marconi::cache {

/// The middle of a commit: which pages and which segment the new tokens [known_, end_) go to, and
/// the nodes that they become.
template <class Entries, token Token>
class placed_commit : public sized_commit<Entries, Token> {
    using base = sized_commit<Entries, Token>;

public:
    using base::base;

protected:
    using base::arrivals_;
    using base::attachment_;
    using base::block_;
    using base::end_;
    using base::entries_;
    using base::known_;
    using base::lease_;
    using base::outcome_;
    using base::store_;
    using base::surplus_;
    using base::taken_;
    using base::tokens_;
    using base::tree_;

    /// The page of each block of [known_, end_): the lease's where it has one, else a fresh one.
    [[nodiscard]] std::span<page_id const> block_pages(std::span<page_id const> fresh) {
        if (end_ == known_ || !entries_.has_kv()) return {};
        if (lease_.pages.empty()) return fresh;
        std::size_t used = 0;
        auto const last = static_cast<std::uint32_t>(divide_up(end_, block_));
        pages_.reserve(last - known_ / block_);
        for (std::uint32_t b = known_ / block_; b < last; ++b)
            pages_.push_back(lease_.owns_block(b) ? lease_.pages[b - lease_.first_block]
                                                  : fresh[used++]);
        return pages_;
    }
    /// `pages`, which begin with that of block `first`, without those of blocks whose tokens others
    /// have published; of those, the ones that the lease does not own become surplus.
    [[nodiscard]] std::span<page_id const> without_known(std::uint32_t first,
                                                         std::span<page_id const> pages) {
        std::size_t const known =
            known_ == end_ ? pages.size()
                           : std::min<std::size_t>(pages.size(), known_ / block_ - first);
        for (page_id const page : pages.first(known))
            if (!lease_.owns_block(first++)) surplus_.push_back(page);
        return pages.subspan(known);
    }

    /// Where the tokens of [known_, end_) go: behind the attachment's own, if these end their
    /// segment and the block that both touch can be one page; else into a segment of their own.
    struct new_edge {
        index::segment_id segment;
        bool extends = false;
    };
    [[nodiscard]] new_edge place_tokens(std::span<page_id const> blocks) {
        if (end_ == known_) return {};
        auto const& n = tree_[attachment_];
        if (!n.is_root() && tree_.paths().ends_at(n.segment, known_) && can_take_block(blocks)) {
            tree_.paths().reserve_extension(n.segment, end_);
            return {n.segment, true};
        }
        return {tree_.paths().create(known_, tokens_.subspan(known_, end_ - known_))};
    }

    void publish_kv(new_edge const& edge, std::span<page_id const> blocks) noexcept {
        std::uint32_t const first_block = known_ / block_;
        if (edge.extends) extend_attachment(blocks);
        if (!blocks.empty())
            std::copy(blocks.begin(), blocks.end(),
                      tree_.paths()
                          .pages(edge.segment, first_block,
                                 first_block + static_cast<std::uint32_t>(blocks.size()))
                          .begin());
        std::uint32_t begin = known_;
        auto const add = [&](std::uint32_t end) {
            if (!blocks.empty()) own_blocks(begin, end, blocks);
            attachment_ = entries_.add(attachment_, edge.segment, end,
                                       begin == known_ && !edge.extends, lease_.weight, lease_.in);
            begin = end;
        };
        for (std::size_t i = 0; i < taken_; ++i)
            if (arrivals_[i].position > known_) add(arrivals_[i].position);
        if (end_ > begin) add(end_);
        outcome_.stored_tokens = token_count{end_ - known_};
    }

private:
    /// The attachment's page of the block that the new tokens begin inside; none if they begin at a
    /// block's start.
    [[nodiscard]] page_id page_gone_on_in(std::span<page_id const> blocks) const {
        if (blocks.empty() || known_ % block_ == 0) return {};
        return entries_.page_of_block(tree_[attachment_], known_ / block_);
    }
    /// Whether the attachment can take over the new tokens' page of its last block, which begins
    /// with the same tokens. Not where somebody else may be reading the page that it has.
    [[nodiscard]] bool can_take_block(std::span<page_id const> blocks) const {
        page_id const own = page_gone_on_in(blocks);
        if (!own || own == blocks.front()) return true;
        auto const ours = std::count(lease_.replaced.begin(), lease_.replaced.end(), own);
        return tree_[attachment_].payload.kv_pins == (stands_at_attachment() ? 2u : 1u) &&
               store_.pages().owners(own) == static_cast<std::uint32_t>(1 + ours);
    }
    /// Whether the lease itself pins the attachment, beside the pin of this commit.
    [[nodiscard]] bool stands_at_attachment() const {
        return lease_.kv_pinned && lease_.node == attachment_;
    }

    /// Appends the tokens to the attachment's segment. If they go on inside its last block, it
    /// takes over their page; tables handed out to this lease may still name its old one.
    void extend_attachment(std::span<page_id const> blocks) noexcept {
        page_id const old = page_gone_on_in(blocks);
        tree_.paths().extend(tree_[attachment_].segment, tokens_.subspan(known_, end_ - known_));
        if (!old || old == blocks.front()) return;
        store_.pages().share(blocks.front());
        if (stands_at_attachment() && store_.pages().owners(old) == 1)
            lease_.replaced.push_back(old);
        else
            store_.pages().release(old);
    }

    /// Counts a reference to the page of each block of [begin, end) for the node that will hold it.
    /// A fresh page came with one, for the first node that touches it.
    void own_blocks(std::uint32_t begin, std::uint32_t end,
                    std::span<page_id const> blocks) noexcept {
        auto const share = [&](std::uint32_t b) {
            store_.pages().share(blocks[b - known_ / block_]);
        };
        std::uint32_t first = begin / block_;
        if (begin != known_ && begin % block_ != 0) share(first++); // the node above has it too
        auto const last = static_cast<std::uint32_t>(divide_up(end, block_));
        for (std::uint32_t b = std::max(first, lease_.first_block);
             b < std::min(last, lease_.end_block()); ++b)
            share(b);
    }

    std::vector<page_id> pages_; ///< of the new tokens' blocks, where some are the lease's
};

} // namespace marconi::cache
