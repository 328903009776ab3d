// Who waits for whom, without CUDA: streams and events are numbers, and waits are written down.

#include <marconi/gpu/stream_order.hpp>

#include <support/catch.hpp>

#include <cstdint>
#include <map>
#include <new>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

using namespace marconi;

namespace {

/// What the order asked of its events since the last look.
struct event_log {
    std::string waits;               // "stream<record": in the order of the calls
    std::map<int, std::string> last; // by event: of what it was recorded behind
    std::map<int, bool> over;        // by event: whether that is done
    std::map<std::uint64_t, int> recorded;
    std::set<int> live;
    int made = 0;
    bool refuse = false;
};
event_log world;

struct numbers {
    using stream = std::uint64_t;
    using event = int;
    static std::uint64_t name(stream s) { return s; }
    static event create() {
        if (world.refuse) throw std::bad_alloc{};
        world.live.insert(++world.made);
        return world.made;
    }
    static void destroy(event e) noexcept { world.live.erase(e); }
    static void record(event e, stream s) {
        world.last[e] = std::to_string(s) + "." + std::to_string(++world.recorded[s]);
        world.over[e] = false;
    }
    static void wait(stream s, event e) {
        world.waits += std::to_string(s) + "<" + world.last[e] + " ";
    }
    static bool done(event e) noexcept { return world.over[e]; }
    static void finish(stream) noexcept {}
};
using order = gpu::stream_order<numbers>;

std::vector<page_id> pages(std::vector<std::uint32_t> const& ids) {
    std::vector<page_id> all;
    for (std::uint32_t const id : ids)
        all.push_back(page_id{id});
    return all;
}

struct newborn {
    newborn() {
        world = {};
        o.reserve(100);
    }
    /// What a stream was made to wait for by reading, or writing, pages.
    std::string read(std::uint64_t on, std::vector<std::uint32_t> const& ids) {
        world.waits.clear();
        order::operation work{o, on};
        work.reads(pages(ids));
        o.note_read(last = work.finish(), pages(ids));
        return world.waits;
    }
    std::string write(std::uint64_t on, std::vector<std::uint32_t> const& ids) {
        world.waits.clear();
        order::operation work{o, on};
        work.writes(pages(ids));
        o.note_written(last = work.finish(), pages(ids));
        return world.waits;
    }
    static void all_done() {
        for (auto& [event, over] : world.over)
            over = true;
    }

    order o;
    gpu::ticket last;
};

/// Two streams were at work at a time, and are done: from here on it matters which pages are used.
struct fixture : newborn {
    fixture() {
        for (std::uint64_t const stream : {8001u, 8002u})
            read(stream, {});
        all_done();
        for (std::uint32_t line = 0; line < 2; ++line)
            CHECK(o.done({line + 1u, line}));
    }
};

} // namespace

TEST_CASE_METHOD(fixture, "on one stream nothing waits") {
    CHECK(write(1, {0, 1}) == "");
    CHECK(read(1, {0, 1}) == "");
    CHECK(write(1, {0}) == "");
}

TEST_CASE_METHOD(newborn, "a second stream waits once for all that the first has done alone") {
    write(1, {0});
    read(1, {5});
    CHECK(read(2, {9}) == "2<1.2 ");
    CHECK(read(2, {0}) == "");
    CHECK(write(2, {5}) == "");
    CHECK(write(1, {5}) == "1<2.3 "); // pages tell from then on
    CHECK(write(1, {3}) == "");
    CHECK(read(2, {4}) == "");
    CHECK(read(3, {4}) == "3<1.2 ");
    all_done();
    for (std::uint32_t line = 0; line < 3; ++line)
        (void)o.done({100, line});
    CHECK(read(4, {0, 3, 5}) == "");
}

TEST_CASE_METHOD(newborn, "one stream after another, the first one done, is still one at a time") {
    for (std::uint32_t page = 0; page < 10; ++page)
        write(1, {page});
    all_done();
    CHECK(write(2, {0}) == "");
    CHECK(o.open() == 1);
    CHECK(read(2, {0}) == "");
    CHECK(read(3, {1}) == "3<2.2 ");
}

TEST_CASE_METHOD(fixture, "a reader waits for the last write, once; a second one as well") {
    write(1, {0, 1});
    write(1, {2});
    CHECK(read(2, {0}) == "2<1.1 ");
    CHECK(read(2, {1}) == "");
    CHECK(read(2, {0, 1, 2}) == "2<1.2 ");
    CHECK(read(2, {0}) == "");
    CHECK(read(3, {0, 2}) == "3<1.2 ");
    CHECK(read(3, {0}) == "");
}

TEST_CASE_METHOD(fixture,
                 "readers do not wait for readers; the next writer waits for all of them") {
    write(1, {0});
    CHECK(read(2, {0}) == "2<1.1 ");
    CHECK(read(3, {0}) == "3<1.1 ");
    CHECK(write(1, {0}) == "1<2.1 1<3.1 ");
    CHECK(write(3, {0}) == "3<1.2 ");
    CHECK(write(3, {0}) == "");
}

TEST_CASE_METHOD(fixture, "a writer waits for what was read, not for what the reader did since") {
    write(1, {0});
    read(2, {0});
    read(2, {5});
    read(2, {6});
    CHECK(write(1, {0}) == "1<2.1 ");
}

TEST_CASE_METHOD(fixture, "a read that is noted after a later one does not hide it") {
    order::operation early{o, 2};
    gpu::ticket const first = early.finish();
    CHECK(read(3, {0}) == "");
    o.note_read(first, pages({0}));
    CHECK(write(1, {0}) == "1<2.1 1<3.1 ");
}

TEST_CASE_METHOD(fixture, "nobody waits for what is done, and its events are used again") {
    write(1, {0});
    gpu::ticket const first = last;
    CHECK_FALSE(o.done(first));
    all_done();
    CHECK(o.done(first));
    CHECK(o.done({}));
    CHECK(o.open() == 0);
    CHECK(read(2, {0}) == "");
    for (std::uint32_t i = 0; i < 100; ++i) {
        write(1 + i % 3, {i});
        all_done();
    }
    CHECK(o.events() < 8);
    CHECK(world.live.size() == o.events());
}

TEST_CASE("what is open is bounded by what is in flight, whichever stream does the work") {
    for (std::uint64_t const streams : {2u, 3u, 8u}) {
        fixture f;
        for (std::uint64_t s = 1; s <= streams; ++s)
            f.write(s, {static_cast<std::uint32_t>(s)});
        for (std::uint32_t i = 0; i < 1000; ++i) {
            f.all_done();
            f.write(1, {i % 10});
        }
        CHECK(f.o.open() <= streams + 1);
        CHECK(f.o.events() <= streams + 2);
    }
}

TEST_CASE_METHOD(fixture, "nobody waits for a stream that was done long ago, and idle since") {
    write(2, {50});
    for (std::uint32_t page = 0; page < 10; ++page)
        write(1, {page});
    all_done();
    CHECK(write(2, {9}) == "");
    CHECK(o.open() == 1); // of the first stream nothing is
    CHECK(write(1, {9}) == "1<2.2 ");
}

TEST_CASE_METHOD(fixture, "a new stream in an old one's place: pages of the old one are done") {
    for (std::uint64_t s = 1; s <= 200; ++s) {
        CHECK(write(s, {7}) == "");
        gpu::ticket const writing = last;
        CHECK(read(s + 1000, {7}) == std::to_string(s + 1000) + "<" + std::to_string(s) + ".1 ");
        all_done();
        CHECK(o.done(writing));
        CHECK(o.done(last));
    }
    write(1, {7});
    CHECK(read(2, {7}) == "2<1.2 ");
}

TEST_CASE_METHOD(fixture, "many streams at a time: every reader is waited for") {
    write(1, {0});
    for (std::uint64_t s = 2; s <= 100; ++s)
        CHECK(read(s, {0}) == std::to_string(s) + "<1.1 ");
    std::string const waits = write(1, {0});
    for (std::uint64_t s = 2; s <= 100; ++s)
        CHECK(waits.find("1<" + std::to_string(s) + ".1 ") != std::string::npos);
}

TEST_CASE_METHOD(fixture,
                 "an operation that is dropped, or has no event, leaves nothing but waits") {
    write(1, {0});
    world.waits.clear();
    { order::operation{o, 2}.reads(pages({0})); }
    CHECK(world.waits == "2<1.1 ");
    CHECK(o.open() == 1);
    CHECK(read(2, {0}) == "");
    world.refuse = true;
    CHECK_THROWS_AS(write(3, {1}), std::bad_alloc);
    world.refuse = false;
    CHECK(write(3, {1}) == "");
    CHECK(o.open() == 3);
}

TEST_CASE("no event outlives its order") {
    {
        fixture f;
        f.write(1, {0});
        f.read(2, {0});
        CHECK(world.live.size() == 2);
    }
    CHECK(world.live.empty());
}

// The same in general: an operation is ordered behind another on its own stream, behind what its
// stream waited for, and behind what these were behind.
TEMPLATE_TEST_CASE("random operations: reads behind writes, writes behind everything", "", newborn,
                   fixture) {
    std::mt19937 random{1};
    for (int round = 0; round < 60; ++round) {
        TestType f;
        using point = std::pair<std::uint64_t, int>; // a stream, and its n-th operation
        std::map<std::uint64_t, std::map<std::uint64_t, int>> seen; // by stream: up to where
        std::map<point, std::map<std::uint64_t, int>> behind;
        std::map<std::uint32_t, point> written;
        std::map<std::uint32_t, std::vector<point>> read_since;
        for (int i = 0; i < 150; ++i) {
            std::uint64_t const on = 1 + random() % 5;
            std::vector<std::uint32_t> ids;
            for (std::uint32_t p = 0; p < 6; ++p)
                if (random() % 3 == 0) ids.push_back(p);
            bool const writes = random() % 2 == 0;
            std::string waits = writes ? f.write(on, ids) : f.read(on, ids);
            auto& known = seen[on];
            for (std::size_t at; (at = waits.find('<')) != std::string::npos;) {
                std::size_t const dot = waits.find('.'), end = waits.find(' ');
                point const p{std::stoull(waits.substr(at + 1)), std::stoi(waits.substr(dot + 1))};
                known[p.first] = std::max(known[p.first], p.second);
                for (auto const& [s, n] : behind[p])
                    known[s] = std::max(known[s], n);
                waits = waits.substr(end + 1);
            }
            auto const is_behind = [&](point p) { return known[p.first] >= p.second; };
            point const self{on, world.recorded[on]};
            known[on] = self.second;
            behind[self] = known;
            for (std::uint32_t const p : ids) {
                if (written.contains(p)) REQUIRE(is_behind(written[p]));
                if (writes) {
                    for (point const& r : read_since[p])
                        REQUIRE(is_behind(r));
                    read_since[p].clear();
                    written[p] = self;
                } else {
                    read_since[p].push_back(self);
                }
            }
        }
    }
}
