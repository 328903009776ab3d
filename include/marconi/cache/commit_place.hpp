#pragma once

#include <marconi/cache/commit_arrivals.hpp>
#include <marconi/core/types.hpp>
#include <marconi/core/units.hpp>
#include <marconi/index/paths.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace marconi::cache {

/// Which pages and which segment the new tokens [known, end) of a commit go to, and the nodes that
/// they become. `Work` is a commit_work.
template <class Work>
class commit_place {
public:
    explicit commit_place(Work& work) : work_{work} {}

    /// The page of each block of [known, end): the lease's where it has one, else a fresh one.
    [[nodiscard]] std::span<page_id const> block_pages(std::span<page_id const> fresh) {
        if (work_.end == work_.known || !work_.entries.has_kv()) return {};
        if (work_.lease.pages.empty()) return fresh;
        std::size_t used = 0;
        auto const last = static_cast<std::uint32_t>(divide_up(work_.end, work_.block));
        pages_.reserve(last - work_.known / work_.block);
        for (std::uint32_t b = work_.known / work_.block; b < last; ++b)
            pages_.push_back(work_.lease.owns_block(b)
                                 ? work_.lease.pages[b - work_.lease.first_block]
                                 : fresh[used++]);
        return pages_;
    }
    /// `pages`, which begin with that of block `first`, without those of blocks whose tokens others
    /// have published; of those, the ones that the lease does not own become surplus.
    [[nodiscard]] std::span<page_id const> without_known(std::uint32_t first,
                                                         std::span<page_id const> pages) {
        std::size_t const known =
            work_.known == work_.end
                ? pages.size()
                : std::min<std::size_t>(pages.size(), work_.known / work_.block - first);
        for (page_id const page : pages.first(known))
            if (!work_.lease.owns_block(first++)) work_.surplus.push_back(page);
        return pages.subspan(known);
    }

    /// Where the tokens of [known, end) go: behind the attachment's own, if these end their
    /// segment and the block that both touch can be one page; else into a segment of their own.
    struct new_edge {
        index::segment_id segment;
        bool extends = false;
    };
    [[nodiscard]] new_edge place_tokens(std::span<page_id const> blocks) {
        if (work_.end == work_.known) return {};
        auto const& n = work_.tree[work_.attachment];
        if (!n.is_root() && work_.tree.paths().ends_at(n.segment, work_.known) &&
            can_take_block(blocks)) {
            work_.tree.paths().reserve_extension(n.segment, work_.end);
            return {n.segment, true};
        }
        return {work_.tree.paths().create(
            work_.known, work_.tokens.subspan(work_.known, work_.end - work_.known))};
    }

    void publish_kv(new_edge const& edge, std::span<page_id const> blocks) noexcept {
        std::uint32_t const first_block = work_.known / work_.block;
        if (edge.extends) extend_attachment(blocks);
        if (!blocks.empty())
            std::copy(blocks.begin(), blocks.end(),
                      work_.tree.paths()
                          .pages(edge.segment, first_block,
                                 first_block + static_cast<std::uint32_t>(blocks.size()))
                          .begin());
        std::uint32_t begin = work_.known;
        auto const add = [&](std::uint32_t end) {
            if (!blocks.empty()) own_blocks(begin, end, blocks);
            work_.attachment = work_.entries.add(work_.attachment, edge.segment, end,
                                                 begin == work_.known && !edge.extends,
                                                 work_.lease.weight(), work_.lease.match().in);
            begin = end;
        };
        for (arrival const& a : work_.arrivals.taken())
            if (a.position > work_.known) add(a.position);
        if (work_.end > begin) add(work_.end);
        work_.outcome.stored_tokens = token_count{work_.end - work_.known};
    }

private:
    /// The attachment's page of the block that the new tokens begin inside; none if they begin at a
    /// block's start.
    [[nodiscard]] page_id page_gone_on_in(std::span<page_id const> blocks) const {
        if (blocks.empty() || work_.known % work_.block == 0) return {};
        return work_.entries.page_of_block(work_.tree[work_.attachment], work_.known / work_.block);
    }
    /// Whether the attachment can take over the new tokens' page of its last block, which begins
    /// with the same tokens. Not where somebody else may be reading the page that it has.
    [[nodiscard]] bool can_take_block(std::span<page_id const> blocks) const {
        page_id const own = page_gone_on_in(blocks);
        if (!own || own == blocks.front()) return true;
        auto const ours = std::count(work_.lease.replaced.begin(), work_.lease.replaced.end(), own);
        return work_.tree[work_.attachment].payload.kv_pins == (stands_at_attachment() ? 2u : 1u) &&
               work_.store.pages().owners(own) == static_cast<std::uint32_t>(1 + ours);
    }
    /// Whether the lease itself pins the attachment, beside the pin of this commit.
    [[nodiscard]] bool stands_at_attachment() const {
        return work_.lease.kv_pinned && work_.lease.node == work_.attachment;
    }

    /// Appends the tokens to the attachment's segment. If they go on inside its last block, it
    /// takes over their page; a lease that works in place keeps its old one, which tables handed
    /// out to it may still name.
    void extend_attachment(std::span<page_id const> blocks) noexcept {
        page_id const old = page_gone_on_in(blocks);
        work_.tree.paths().extend(work_.tree[work_.attachment].segment,
                                  work_.tokens.subspan(work_.known, work_.end - work_.known));
        if (!old || old == blocks.front()) return;
        work_.store.pages().share(blocks.front());
        if (work_.lease.in_place && stands_at_attachment() && work_.store.pages().owners(old) == 1)
            work_.lease.replaced.push_back(old);
        else
            work_.store.pages().release(old);
    }

    /// Counts a reference to the page of each block of [begin, end) for the node that will hold it.
    /// A fresh page came with one, for the first node that touches it.
    void own_blocks(std::uint32_t begin, std::uint32_t end,
                    std::span<page_id const> blocks) noexcept {
        auto const share = [&](std::uint32_t b) {
            work_.store.pages().share(blocks[b - work_.known / work_.block]);
        };
        std::uint32_t first = begin / work_.block;
        if (begin != work_.known && begin % work_.block != 0)
            share(first++); // the node above has it too
        auto const last = static_cast<std::uint32_t>(divide_up(end, work_.block));
        for (std::uint32_t b = std::max(first, work_.lease.first_block);
             b < std::min(last, work_.lease.end_block()); ++b)
            share(b);
    }

    Work& work_;
    std::vector<page_id> pages_; ///< of the new tokens' blocks, where some are the lease's
};

} // namespace marconi::cache
