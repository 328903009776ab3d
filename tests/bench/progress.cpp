#include <replay/progress.hpp>

#include <support/catch.hpp>

#include <sstream>
#include <string>
#include <thread>
#include <vector>

using marconi::replay::progress;

TEST_CASE("progress is silent for two seconds, then speaks ten times a second, then is gone") {
    double now = 100;
    std::ostringstream to;
    {
        progress bar{to, true, 1000, "requests", [&] { return now; }};
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
    progress bar{to, true, 100, "runs", [&] { return now; }};
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
        progress hidden{to, false, 10, "requests", [&] { return now; }};
        now = 60;
        hidden.advance(5);
        progress brief{to, true, 10, "requests", [&] { return now; }};
        brief.advance(10);
        progress nothing{to, true, 0, "requests", [&] { return now; }};
    }
    CHECK(to.str().empty());
}

TEST_CASE("progress counts steps of many threads") {
    double now = 0;
    std::ostringstream to;
    progress bar{to, true, 4'001, "requests", [&] { return now; }};
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
