#include "tokens.hpp"
#include <support/no_memory.hpp>

#include <marconi/core/types.hpp>
#include <marconi/index/paths.hpp>

#include <support/catch.hpp>

#include <algorithm>
#include <cstdint>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

using namespace marconi;
using index::segment_id;
using testing::make_token;

namespace {

/// One path of edges, from the top down, beside what each edge must read: its tokens, and the
/// page of every block it touches. `begin` is where the path starts.
template <token Token>
struct checked_path {
    struct edge {
        segment_id segment = {};
        std::uint32_t begin = 0;
        std::vector<Token> tokens = {};
        std::vector<std::uint32_t> pages = {};
        [[nodiscard]] std::uint32_t end() const {
            return begin + static_cast<std::uint32_t>(tokens.size());
        }
    };

    std::uint32_t block;
    bool paged = true;
    index::paths<Token> paths{block, paged};
    std::vector<edge> edges{};
    std::uint32_t next_page = 0;
    std::uint64_t next_token = 0;

    [[nodiscard]] std::uint32_t first_block(edge const& e) const { return e.begin / block; }
    [[nodiscard]] std::uint32_t last_block(edge const& e) const {
        return (e.end() - 1) / block + 1;
    }
    [[nodiscard]] std::uint32_t depth() const { return edges.empty() ? 0 : edges.back().end(); }

    void append(std::uint32_t length, std::uint32_t start = 0) {
        edge e{.begin = edges.empty() ? start : depth()};
        for (std::uint32_t i = 0; i < length; ++i)
            e.tokens.push_back(make_token<Token>(next_token++));
        e.segment = paths.create(e.begin, std::span<Token const>{e.tokens});
        if (paged)
            for (page_id& page : paths.pages(e.segment, first_block(e), last_block(e))) {
                REQUIRE_FALSE(page);
                page = page_id{next_page};
                e.pages.push_back(next_page++);
            }
        edges.push_back(std::move(e));
    }

    /// Splits edge i so that its upper half has `length` tokens. Both touch the page of a block
    /// that is cut.
    void split(std::size_t i, std::uint32_t length) {
        edge lower = edges[i];
        edge& upper = edges[i];
        lower.begin += length;
        lower.tokens.erase(lower.tokens.begin(), lower.tokens.begin() + length);
        upper.tokens.resize(length);
        if (paged) {
            lower.pages.erase(lower.pages.begin(),
                              lower.pages.begin() + (first_block(lower) - first_block(upper)));
            upper.pages.resize(last_block(upper) - first_block(upper));
        }
        paths.share(upper.segment);
        edges.insert(edges.begin() + static_cast<std::ptrdiff_t>(i) + 1, std::move(lower));
    }

    /// Joins edges i and i + 1: whole blocks of the upper one, then all the lower one has.
    void join(std::size_t i) {
        edge& upper = edges[i];
        edge& lower = edges[i + 1];
        paths.reserve_join(upper.segment, upper.begin, lower.begin, lower.segment, lower.end());
        {
            // Nothing but a trim may ask for memory, and it can do without.
            testing::no_memory const none;
            upper.segment =
                paths.join(upper.segment, upper.begin, lower.begin, lower.segment, lower.end());
        }
        if (paged) upper.pages.resize(first_block(lower) - first_block(upper));
        upper.pages.insert(upper.pages.end(), lower.pages.begin(), lower.pages.end());
        upper.tokens.insert(upper.tokens.end(), lower.tokens.begin(), lower.tokens.end());
        edges.erase(edges.begin() + static_cast<std::ptrdiff_t>(i) + 1);
    }

    void remove_lowest() {
        paths.release(edges.back().segment, edges.back().begin);
        edges.pop_back();
    }

    void check() const {
        for (edge const& e : edges) {
            auto const tokens = paths.tokens(e.segment, e.begin, e.end());
            REQUIRE(std::ranges::equal(tokens, e.tokens));
            if (!paged) continue;
            auto const pages = paths.pages(e.segment, first_block(e), last_block(e));
            REQUIRE(std::ranges::equal(pages, e.pages, {}, &page_id::value));
        }
    }
};

constexpr std::uint32_t block_sizes[] = {1, 2, 16, 17, 256};

using plain_path = checked_path<std::int32_t>;

} // namespace

TEST_CASE("paths: both halves of a split inside a block read the same page") {
    plain_path p{.block = 16};
    p.append(40);
    p.split(0, 20);
    CHECK(p.edges[0].pages == std::vector<std::uint32_t>{0, 1});
    CHECK(p.edges[1].pages == std::vector<std::uint32_t>{1, 2});
    p.check();
    CHECK(p.edges[0].segment == p.edges[1].segment);
    std::size_t const bytes = p.paths.bytes();
    p.join(0);
    p.check();
    CHECK(p.paths.bytes() == bytes);
    CHECK(p.edges[0].pages == std::vector<std::uint32_t>{0, 1, 2});
}

TEST_CASE("paths: a join across two segments keeps the lower edge's page where they meet") {
    for (bool const lower_is_longer : {false, true}) {
        plain_path p{.block = 16};
        p.append(20);                        // pages 0 1
        p.append(lower_is_longer ? 50 : 10); // pages 2 and on; 2 is of block 1 too
        segment_id const upper = p.edges[0].segment;
        segment_id const lower = p.edges[1].segment;
        p.join(0);
        p.check();
        CHECK(p.edges[0].segment == (lower_is_longer ? lower : upper));
        CHECK(p.edges[0].pages[0] == 0);
        CHECK(p.edges[0].pages[1] == 2);
    }
}

TEST_CASE("paths: an edge above that needs the upper segment's page keeps it") {
    // a | b | c in one block; a and b share segment and page, c has its own. Were c moved up, a
    // would read c's page.
    plain_path p{.block = 16};
    p.append(10);
    p.split(0, 4);
    p.append(2);
    segment_id const own = p.edges[2].segment;
    p.join(1);
    p.check();
    CHECK(p.edges[0].pages == std::vector<std::uint32_t>{0});
    CHECK(p.edges[1].pages == std::vector<std::uint32_t>{1});
    CHECK(p.edges[1].segment == own);
    p.join(0);
    p.check();
    CHECK(p.edges[0].pages == std::vector<std::uint32_t>{1});
}

TEMPLATE_LIST_TEST_CASE("paths: two edges of every length, joined, with and without one above", "",
                        testing::token_types) {
    std::size_t joined = 0;
    for (std::uint32_t const block : {1u, 2u, 3u, 8u})
        for (std::uint32_t start = 0; start < 9; start += 3)
            for (std::uint32_t above = 0; above < 10; ++above)
                for (std::uint32_t upper = 1; upper < 10; ++upper)
                    for (std::uint32_t lower = 1; lower < 20; lower += 2)
                        for (bool const below : {false, true}) {
                            checked_path<TestType> p{.block = block};
                            p.append(above + upper, start);
                            if (above) p.split(0, above);
                            p.append(lower + below);
                            if (below) p.split(p.edges.size() - 1, lower);
                            p.join(above ? 1 : 0);
                            p.check();
                            ++joined;
                        }
    CHECK(joined == 4u * 3 * 10 * 9 * 10 * 2);
}

TEMPLATE_LIST_TEST_CASE("paths: long random histories of one path", "", testing::token_types) {
    for (bool const paged : {true, false})
        for (std::uint32_t const block : block_sizes) {
            std::mt19937 random{block};
            checked_path<TestType> p{.block = block, .paged = paged};
            auto const below = [&](std::size_t n) {
                return static_cast<std::uint32_t>(random() % n);
            };
            std::size_t joins = 0;
            for (int step = 0; step < 3000; ++step) {
                std::uint32_t const what = below(10);
                if (p.edges.empty() || (what < 3 && p.edges.size() < 30)) {
                    std::uint32_t const most = below(4) == 0 ? 4 * block + 4 : block + 2;
                    p.append(1 + below(most), below(3 * block));
                } else if (what < 5) {
                    std::size_t const i = below(p.edges.size());
                    if (p.edges[i].tokens.size() > 1)
                        p.split(i, 1 + below(p.edges[i].tokens.size() - 1));
                } else if (what < 8) {
                    if (p.edges.size() > 1) {
                        p.join(below(p.edges.size() - 1));
                        ++joins;
                    }
                } else if (what == 8 || p.depth() > 20 * block + 200) {
                    p.remove_lowest();
                }
                p.check();
            }
            CHECK(joins > 300);
            std::size_t const without_payload = index::paths<TestType>{block, paged}.bytes();
            while (!p.edges.empty())
                p.remove_lowest();
            // What is left is the table of segments.
            p.append(1);
            std::size_t const one = p.paths.bytes();
            p.remove_lowest();
            CHECK(p.paths.bytes() < one);
            CHECK(p.paths.bytes() >= without_payload);
        }
}

TEST_CASE("paths: growing to the back, a token at a time") {
    for (std::uint32_t const block : block_sizes) {
        plain_path p{.block = block};
        p.append(1);
        segment_id const first = p.edges[0].segment;
        std::size_t moves = 0;
        for (int i = 0; i < 4000; ++i) {
            p.append(1);
            segment_id const before = p.edges[0].segment;
            p.join(0);
            moves += p.edges[0].segment != before;
        }
        p.check();
        CHECK(p.depth() == 4001);
        CHECK(moves == 0);
        CHECK(p.edges[0].segment == first);
        std::size_t const each = sizeof(std::int32_t) + sizeof(page_id);
        plain_path const empty{.block = block};
        CHECK(p.paths.bytes() < 2 * each * 4001 + 2 * each * block + 1024 * 64);
    }
}

TEST_CASE("paths: growing to the front, a token at a time") {
    for (std::uint32_t const block : block_sizes) {
        plain_path p{.block = block};
        for (int i = 0; i < 1000; ++i)
            p.append(1);
        p.append(1500);
        segment_id const lowest = p.edges.back().segment;
        while (p.edges.size() > 1) {
            p.join(p.edges.size() - 2);
            REQUIRE(p.edges.back().segment == lowest);
        }
        p.check();
        CHECK(p.depth() == 2500);
        CHECK(p.edges[0].begin == 0);
    }
}

TEST_CASE("paths: a segment that is mostly room is trimmed") {
    for (std::uint32_t const block : block_sizes) {
        plain_path p{.block = block};
        p.append(100'000);
        p.split(0, 10);
        std::size_t const before = p.paths.bytes();
        p.remove_lowest();
        p.check();
        CHECK(p.paths.bytes() + 90'000 * sizeof(std::int32_t) < before);
    }
}

TEST_CASE("paths: and one whose upper edge has moved to another") {
    index::paths<std::int32_t> paths{16, true};
    std::vector<std::int32_t> const tokens(1700, 7);
    segment_id const upper = paths.create(0, std::span{tokens}.first(1600));
    segment_id const lower = paths.create(1600, std::span{tokens});
    paths.share(lower); // a split at 3200
    paths.reserve_join(upper, 0, 1600, lower, 3200);
    std::size_t const before = paths.bytes();
    CHECK(paths.join(upper, 0, 1600, lower, 3200) == upper);
    CHECK(paths.bytes() + 1600 * sizeof(std::int32_t) <= before);
    CHECK(std::ranges::equal(paths.tokens(lower, 3200, 3300), std::span{tokens}.first(100)));
}

TEST_CASE("paths: without memory a segment keeps its room and stays readable") {
    plain_path p{.block = 16};
    p.append(100'000);
    p.split(0, 10);
    std::size_t const before = p.paths.bytes();
    bool asked = false;
    {
        testing::no_memory const none;
        p.paths.release(p.edges[1].segment, p.edges[1].begin);
        asked = none.was_asked();
    }
    p.edges.pop_back();
    CHECK(asked);
    CHECK(p.paths.bytes() == before);
    p.check();
    p.append(30);
    p.join(0);
    p.check();
}

TEST_CASE("paths: a join that finds no memory to reserve changes nothing") {
    plain_path p{.block = 16};
    p.append(100);
    p.append(70);
    std::size_t const before = p.paths.bytes();
    bool threw = false;
    try {
        testing::no_memory const none;
        p.paths.reserve_join(p.edges[0].segment, 0, 100, p.edges[1].segment, 170);
    } catch (std::bad_alloc const&) {
        threw = true;
    }
    CHECK(threw);
    CHECK(p.paths.bytes() == before);
    p.check();
    p.join(0);
    p.check();
}

TEST_CASE("paths: when the last edge has gone nothing is held but free slots") {
    index::paths<std::int32_t> paths{16, true};
    std::vector<std::int32_t> const tokens(1000, 7);
    std::size_t empty = 0;
    segment_id slot;
    for (int round = 0; round < 3; ++round) {
        segment_id const id = paths.create(0, std::span{tokens}); // [0, 400) and [400, 1000)
        if (round == 0) slot = id;
        CHECK(id == slot);
        paths.share(id);
        CHECK(paths.bytes() >= 1000 * sizeof(std::int32_t) + 63 * sizeof(page_id));
        paths.reserve_join(id, 0, 400, id, 1000);
        CHECK(paths.join(id, 0, 400, id, 1000) == id);
        paths.release(id, 0);
        if (round == 0) empty = paths.bytes();
        CHECK(paths.bytes() == empty);
    }
    CHECK(empty > 0);
}

TEST_CASE("paths: room for more is made seldom, and some to spare") {
    index::paths<std::int32_t> paths{16, true};
    std::vector<std::int32_t> const tokens(1000, 7);
    segment_id const id = paths.create(0, std::span{tokens});
    std::size_t before = paths.bytes();
    int grown = 0;
    for (std::uint32_t end = 1001; end <= 5000; ++end) {
        paths.reserve_extension(id, end);
        paths.extend(id, std::span{tokens}.first(1));
        grown += paths.bytes() != std::exchange(before, paths.bytes());
    }
    CHECK(grown > 0);
    CHECK(grown < 20);
}

TEST_CASE("paths: a segment takes its tokens and a page id for each block, if blocks have pages") {
    std::vector<std::int32_t> const tokens(1000, 7);
    for (bool const paged : {false, true}) {
        index::paths<std::int32_t> paths{16, paged};
        (void)paths.create(0, std::span{tokens}.first(1));
        std::size_t const before = paths.bytes();
        (void)paths.create(40, std::span{tokens}); // of blocks 2 to 64
        CHECK(paths.bytes() - before ==
              1000 * sizeof(std::int32_t) + (paged ? 63 * sizeof(page_id) : 0));
    }
}

TEST_CASE("paths: room is made on the side that grows, and not on the other") {
    plain_path to_the_front{.block = 16}, whole{.block = 16};
    to_the_front.append(100);
    to_the_front.append(200);
    to_the_front.join(0);
    whole.append(300);
    CHECK(to_the_front.paths.bytes() == whole.paths.bytes()); // before token 0 nothing can come

    plain_path to_the_back{.block = 16}, with_a_quarter_more{.block = 16};
    to_the_back.append(200, 1600);
    to_the_back.paths.reserve_extension(to_the_back.edges[0].segment, 1920);
    with_a_quarter_more.append(400, 1600);
    CHECK(to_the_back.paths.bytes() <= with_a_quarter_more.paths.bytes());
}

TEST_CASE("paths: the bytes they say they hold are those they have allocated") {
    struct stretch {
        segment_id id;
        std::uint32_t begin = 0, end = 0; // nothing, if they are the same
    };
    std::vector<std::int32_t> const tokens(1000, 7);
    for (bool const paged : {true, false})
        for (std::uint32_t const block : block_sizes) {
            std::mt19937 random{block};
            auto const below = [&](std::size_t n) {
                return static_cast<std::uint32_t>(random() % n);
            };
            auto const some = [&](std::size_t n) { return std::span{tokens}.first(1 + below(n)); };
            std::vector<stretch> all(40);
            std::size_t const before = testing::bytes_held();
            index::paths<std::int32_t> paths{block, paged};
            auto const left_out = [&] { return testing::bytes_held() - before - paths.bytes(); };
            paths.release(paths.create(0, some(9)), 0);
            std::size_t const always = left_out(); // the table of segments is a little larger
            std::size_t largest = 0;
            for (int step = 0; step < 3000; ++step) {
                stretch& s = all[below(all.size())];
                std::uint32_t const what = below(5);
                if (s.begin == s.end) {
                    auto const fresh = some(300);
                    s.begin = below(100);
                    s.end = s.begin + static_cast<std::uint32_t>(fresh.size());
                    s.id = paths.create(s.begin, fresh);
                } else if (what == 0) {
                    auto const more = some(50);
                    std::uint32_t const end = s.end + static_cast<std::uint32_t>(more.size());
                    paths.reserve_extension(s.id, end);
                    paths.extend(s.id, more);
                    s.end = end;
                } else if (what == 1) {
                    auto const more = some(500);
                    std::uint32_t const end = s.end + static_cast<std::uint32_t>(more.size());
                    segment_id const lower = paths.create(s.end, more);
                    paths.reserve_join(s.id, s.begin, s.end, lower, end);
                    s.id = paths.join(s.id, s.begin, s.end, lower, end);
                    s.end = end;
                } else if (what == 2) { // a split, whose lower half goes
                    if (s.end - s.begin < 2) continue;
                    std::uint32_t const middle = s.begin + 1 + below(s.end - s.begin - 1);
                    paths.share(s.id);
                    paths.release(s.id, s.end = middle);
                } else {
                    paths.release(s.id, s.begin);
                    s.end = s.begin;
                }
                std::size_t const now = left_out();
                if (now != always) FAIL("step " << step << ": " << now << ", not " << always);
                largest = std::max(largest, paths.bytes());
            }
            for (stretch const& s : all)
                if (s.begin != s.end) paths.release(s.id, s.begin);
            std::size_t const at_last = left_out();
            CHECK(at_last == always);
            CHECK(always <= 64);
            CHECK(paths.bytes() + 5000 * sizeof(std::int32_t) < largest);
        }
}
