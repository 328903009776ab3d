#include <replay/report_file.hpp>

#include <bench/temporary_file.hpp>
#include <marconi/core/error.hpp>
#include <support/catch.hpp>
#include <support/child.hpp>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <optional>
#include <sstream>
#include <string>

#include <sys/resource.h>

using namespace marconi::replay;

namespace {

std::string partial(temporary_file const& file) { return file.path() + ".partial"; }

/// A process that replaces the file by so many bytes.
pid_t begin_writing(temporary_file const& file, std::size_t bytes) {
    return support::begin_child([&] {
        report_file written{file.path(), std::cout};
        written.stream() << std::string(bytes, 'x');
        written.finish();
    });
}

} // namespace

TEST_CASE("a report goes to a file or to the stream given") {
    temporary_file const file{"old contents that are longer"};
    report_file to_file{file.path(), std::cout};
    to_file.stream() << "new";
    to_file.finish();
    CHECK(file.contents() == "new");

    std::ostringstream standard;
    report_file to_stream{std::nullopt, standard};
    to_stream.stream() << "text";
    to_stream.finish();
    CHECK(standard.str() == "text");
}

TEST_CASE("a file is replaced by a whole report only") {
    temporary_file const file{"earlier results"};
    {
        report_file never_finished{file.path(), std::cout};
        never_finished.stream() << "half";
        CHECK(file.contents() == "earlier results");
    }
    CHECK(file.contents() == "earlier results");
    CHECK_FALSE(std::filesystem::exists(partial(file)));
    {
        std::ofstream{file.path() + ".partial"} << "somebody's";
        std::filesystem::permissions(file.path(), std::filesystem::perms::owner_all);
        report_file beside{file.path(), std::cout};
        beside.stream() << "newer results";
        beside.finish();
        CHECK(file.contents() == "newer results");
        CHECK(std::filesystem::status(file.path()).permissions() ==
              std::filesystem::perms::owner_all);
        CHECK(std::filesystem::file_size(file.path() + ".partial") == 10);
        CHECK_FALSE(std::filesystem::exists(file.path() + ".partial1"));
        std::filesystem::remove(file.path() + ".partial");
    }

    temporary_file const link;
    std::filesystem::remove(link.path());
    std::filesystem::create_symlink(file.path(), link.path());
    report_file through{link.path(), std::cout};
    through.stream() << "new";
    through.finish();
    CHECK(file.contents() == "new");
    CHECK(std::filesystem::is_symlink(link.path()));
    std::filesystem::remove(file.path());
    report_file to_none_yet{link.path(), std::cout};
    to_none_yet.stream() << "newest";
    to_none_yet.finish();
    CHECK(file.contents() == "newest");
    CHECK(std::filesystem::is_symlink(link.path()));
}

TEST_CASE("a report to what is no file is written at once") {
    report_file nowhere{"/dev/null", std::cout};
    nowhere.stream() << "text";
    nowhere.finish();
    CHECK(std::filesystem::is_character_file("/dev/null"));
}

TEST_CASE("a report that cannot be written is an error") {
    CHECK_THROWS_WITH((report_file{"/no/such/folder/x", std::cout}),
                      "/no/such/folder/x: cannot be written: No such file or directory");
    std::ostringstream broken;
    report_file file{std::nullopt, broken};
    broken.setstate(std::ios::badbit);
    CHECK_THROWS_WITH(file.finish(),
                      "standard output: cannot be written to the end; is the disk full?");
}

TEST_CASE("a program that a signal ends leaves no part of a report") {
    int const signal = GENERATE(SIGINT, SIGTERM, SIGKILL);
    temporary_file const file{"earlier results"};
    pid_t const child = support::begin_child([&] {
        report_file never_finished{file.path(), std::cout};
        never_finished.stream() << "half";
        std::raise(signal);
    });
    CHECK(support::ended_by(support::end_of(child), signal));
    CHECK(file.contents() == "earlier results");
    CHECK_FALSE(std::filesystem::exists(partial(file)));
}

TEST_CASE("a signal waits until the report that is being written is whole") {
    constexpr std::size_t bytes = 1 << 23;
    bool came_in_time = false;
    for (int attempt = 0; attempt < 1000 && !came_in_time; ++attempt) {
        temporary_file const file{"earlier results"};
        pid_t const child = begin_writing(file, bytes);
        auto const is_writing = [&] {
            std::error_code gone;
            auto const size = std::filesystem::file_size(partial(file), gone);
            return !gone && size > 0;
        };
        while (!is_writing() && !support::has_ended(child)) {
        }
        kill(child, SIGINT);
        came_in_time = support::ended_by(support::end_of(child), SIGINT);
        CHECK(file.contents().size() == bytes);
        CHECK_FALSE(std::filesystem::exists(partial(file)));
    }
    CHECK(came_in_time);
}

TEST_CASE("a report that cannot be written to its end leaves the earlier one") {
    temporary_file const file{"earlier results"};
    pid_t const child = support::begin_child([&] {
        std::signal(SIGXFSZ, SIG_IGN);
        rlimit const few_bytes{.rlim_cur = 100, .rlim_max = 100};
        setrlimit(RLIMIT_FSIZE, &few_bytes);
        report_file cut{file.path(), std::cout};
        cut.stream() << std::string(1000, 'x');
        try {
            cut.finish();
        } catch (marconi::error const&) {
            _exit(7);
        }
    });
    CHECK(WEXITSTATUS(support::end_of(child)) == 7);
    CHECK(file.contents() == "earlier results");
    CHECK_FALSE(std::filesystem::exists(partial(file)));
}
