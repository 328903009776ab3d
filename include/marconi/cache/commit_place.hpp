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
    explicit commit_place(Work& work) : w_{work} {}

    /// The page of each block of [known, end): the lease's where it has one, else a fresh one.
    [[nodiscard]] std::span<page_id const> block_pages(std::span<page_id const> fresh) {
        if (w_.end == w_.known || !w_.entries.has_kv()) return {};
        if (w_.lease.pages.empty()) return fresh;
        std::size_t used = 0;
        auto const last = static_cast<std::uint32_t>(divide_up(w_.end, w_.block));
        pages_.reserve(last - w_.known / w_.block);
        for (std::uint32_t b = w_.known / w_.block; b < last; ++b)
            pages_.push_back(w_.lease.owns_block(b) ? w_.lease.pages[b - w_.lease.first_block]
                                                    : fresh[used++]);
        return pages_;
    }
    /// `pages`, which begin with that of block `first`, without those of blocks whose tokens others
    /// have published; of those, the ones that the lease does not own become surplus.
    [[nodiscard]] std::span<page_id const> without_known(std::uint32_t first,
                                                         std::span<page_id const> pages) {
        std::size_t const known =
            w_.known == w_.end ? pages.size()
                               : std::min<std::size_t>(pages.size(), w_.known / w_.block - first);
        for (page_id const page : pages.first(known))
            if (!w_.lease.owns_block(first++)) w_.surplus.push_back(page);
        return pages.subspan(known);
    }

    /// Where the tokens of [known, end) go: behind the attachment's own, if these end their
    /// segment and the block that both touch can be one page; else into a segment of their own.
    struct new_edge {
        index::segment_id segment;
        bool extends = false;
    };
    [[nodiscard]] new_edge place_tokens(std::span<page_id const> blocks) {
        if (w_.end == w_.known) return {};
        auto const& n = w_.tree[w_.attachment];
        if (!n.is_root() && w_.tree.paths().ends_at(n.segment, w_.known) &&
            can_take_block(blocks)) {
            w_.tree.paths().reserve_extension(n.segment, w_.end);
            return {n.segment, true};
        }
        return {w_.tree.paths().create(w_.known, w_.tokens.subspan(w_.known, w_.end - w_.known))};
    }

    void publish_kv(new_edge const& edge, std::span<page_id const> blocks) noexcept {
        std::uint32_t const first_block = w_.known / w_.block;
        if (edge.extends) extend_attachment(blocks);
        if (!blocks.empty())
            std::copy(blocks.begin(), blocks.end(),
                      w_.tree.paths()
                          .pages(edge.segment, first_block,
                                 first_block + static_cast<std::uint32_t>(blocks.size()))
                          .begin());
        std::uint32_t begin = w_.known;
        auto const add = [&](std::uint32_t end) {
            if (!blocks.empty()) own_blocks(begin, end, blocks);
            w_.attachment =
                w_.entries.add(w_.attachment, edge.segment, end, begin == w_.known && !edge.extends,
                               w_.lease.weight, w_.lease.in);
            begin = end;
        };
        for (arrival const& a : w_.arrivals.taken())
            if (a.position > w_.known) add(a.position);
        if (w_.end > begin) add(w_.end);
        w_.outcome.stored_tokens = token_count{w_.end - w_.known};
    }

private:
    /// The attachment's page of the block that the new tokens begin inside; none if they begin at a
    /// block's start.
    [[nodiscard]] page_id page_gone_on_in(std::span<page_id const> blocks) const {
        if (blocks.empty() || w_.known % w_.block == 0) return {};
        return w_.entries.page_of_block(w_.tree[w_.attachment], w_.known / w_.block);
    }
    /// Whether the attachment can take over the new tokens' page of its last block, which begins
    /// with the same tokens. Not where somebody else may be reading the page that it has.
    [[nodiscard]] bool can_take_block(std::span<page_id const> blocks) const {
        page_id const own = page_gone_on_in(blocks);
        if (!own || own == blocks.front()) return true;
        auto const ours = std::count(w_.lease.replaced.begin(), w_.lease.replaced.end(), own);
        return w_.tree[w_.attachment].payload.kv_pins == (stands_at_attachment() ? 2u : 1u) &&
               w_.store.pages().owners(own) == static_cast<std::uint32_t>(1 + ours);
    }
    /// Whether the lease itself pins the attachment, beside the pin of this commit.
    [[nodiscard]] bool stands_at_attachment() const {
        return w_.lease.kv_pinned && w_.lease.node == w_.attachment;
    }

    /// Appends the tokens to the attachment's segment. If they go on inside its last block, it
    /// takes over their page; tables handed out to this lease may still name its old one.
    void extend_attachment(std::span<page_id const> blocks) noexcept {
        page_id const old = page_gone_on_in(blocks);
        w_.tree.paths().extend(w_.tree[w_.attachment].segment,
                               w_.tokens.subspan(w_.known, w_.end - w_.known));
        if (!old || old == blocks.front()) return;
        w_.store.pages().share(blocks.front());
        if (stands_at_attachment() && w_.store.pages().owners(old) == 1)
            w_.lease.replaced.push_back(old);
        else
            w_.store.pages().release(old);
    }

    /// Counts a reference to the page of each block of [begin, end) for the node that will hold it.
    /// A fresh page came with one, for the first node that touches it.
    void own_blocks(std::uint32_t begin, std::uint32_t end,
                    std::span<page_id const> blocks) noexcept {
        auto const share = [&](std::uint32_t b) {
            w_.store.pages().share(blocks[b - w_.known / w_.block]);
        };
        std::uint32_t first = begin / w_.block;
        if (begin != w_.known && begin % w_.block != 0) share(first++); // the node above has it too
        auto const last = static_cast<std::uint32_t>(divide_up(end, w_.block));
        for (std::uint32_t b = std::max(first, w_.lease.first_block);
             b < std::min(last, w_.lease.end_block()); ++b)
            share(b);
    }

    Work& w_;
    std::vector<page_id> pages_; ///< of the new tokens' blocks, where some are the lease's
};

} // namespace marconi::cache
