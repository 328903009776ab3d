#include <replay/progress.hpp>

#include <support/catch.hpp>

#include <sstream>
#include <string>
#include <thread>
#include <vector>

using marconi::replay::progress;
using marconi::replay::stepper;

TEST_CASE("progress is silent for two seconds, then speaks ten times a second, then is gone") {
    double now = 100;
    std::ostringstream to;
    {
        progress bar{to, true, [&] { return now; }};
        bar.begin("requests", 1000);
        now = 101.9;
        bar.advance(100);
        CHECK(to.str().empty());
        now = 104;
        bar.advance(150);
        CHECK(to.str() == "\r250 of 1,000 requests, 25 %, 4 s, about 12 s left");
        now = 104.05;
        bar.advance(250);
        CHECK(to.str().find("500") == std::string::npos);
        now = 104.2;
        to.str("");
        bar.advance(500);
        CHECK(to.str() == "\r1,000 of 1,000 requests, 100 %, 4 s, about 0 s left");
        to.str("");
    }
    CHECK(to.str() == "\r" + std::string(51, ' ') + "\r");
}

TEST_CASE("a shorter line covers a longer one") {
    double now = 0;
    std::ostringstream to;
    progress bar{to, true, [&] { return now; }};
    bar.begin("runs", 100);
    now = 1000;
    bar.advance(1);
    std::string const longer = to.str();
    to.str("");
    now = 1001;
    bar.advance(98);
    CHECK(to.str().size() == longer.size());
    CHECK(to.str().ends_with("s left "));
}

TEST_CASE("progress says nothing where nobody looks, nor after a short run") {
    double now = 0;
    std::ostringstream to;
    {
        progress hidden{to, false, [&] { return now; }};
        hidden.begin("requests", 10);
        now = 60;
        hidden.advance(5);
        progress brief{to, true, [&] { return now; }};
        brief.begin("requests", 10);
        brief.advance(10);
        progress nothing{to, true, [&] { return now; }};
        nothing.wipe();
    }
    CHECK(to.str().empty());
}

TEST_CASE("progress counts steps of many threads") {
    double now = 0;
    std::ostringstream to;
    progress bar{to, true, [&] { return now; }};
    bar.begin("requests", 4'001);
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i)
        threads.emplace_back([&] {
            for (int step = 0; step < 1000; ++step)
                bar.advance(1);
        });
    for (std::thread& thread : threads)
        thread.join();
    now = 10;
    bar.advance(1);
    CHECK(to.str() == "\r4,001 of 4,001 requests, 100 %, 10 s, about 0 s left");
}

TEST_CASE("patience is with the program, not with each of its parts") {
    double now = 0;
    std::ostringstream to;
    progress bar{to, true, [&] { return now; }};
    bar.begin("requests read");
    now = 1.5;
    bar.advance(4'000);
    CHECK(to.str().empty());
    bar.begin("requests", 200);
    now = 2.5;
    bar.advance(50);
    CHECK(to.str() == "\r50 of 200 requests, 25 %, 1 s, about 3 s left");
}

TEST_CASE("where nobody knows how much there is, progress says how much is done") {
    double now = 0;
    std::ostringstream to;
    progress bar{to, true, [&] { return now; }};
    bar.begin("requests read");
    now = 3;
    bar.advance(1'234);
    CHECK(to.str() == "\r1,234 requests read, 3 s");
    to.str("");
    bar.wipe();
    CHECK(to.str() == "\r" + std::string(24, ' ') + "\r");
    to.str("");
    bar.wipe();
    CHECK(to.str().empty());
    now = 4;
    bar.advance(1);
    CHECK(to.str() == "\r1,235 requests read, 4 s");
}

TEST_CASE("a stepper advances by every step, though not by each on its own") {
    double now = 0;
    std::ostringstream to;
    progress bar{to, true, [&] { return now; }};
    bar.begin("requests", 100);
    now = 10;
    {
        stepper steps{bar};
        for (int i = 0; i < 70; ++i)
            steps.step();
        CHECK(to.str() == "\r64 of 100 requests, 64 %, 10 s, about 6 s left");
        now = 20;
        to.str("");
    }
    CHECK(to.str() == "\r70 of 100 requests, 70 %, 20 s, about 9 s left");
}
