#include "report_file.hpp"

#include <marconi/core/error.hpp>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <ostream>
#include <system_error>
#include <utility>

#include <sys/stat.h>
#include <unistd.h>

namespace marconi::replay {

namespace {

bool is_standard_input(std::string const& file) {
    using file_status = struct stat;
    file_status read{}, written{};
    return fstat(STDIN_FILENO, &read) == 0 && S_ISREG(read.st_mode) &&
           stat(file.c_str(), &written) == 0 && read.st_dev == written.st_dev &&
           read.st_ino == written.st_ino;
}

bool is_same_file(std::string const& input, std::string const& out) {
    std::error_code none_there;
    return input == "-" ? is_standard_input(out)
                        : std::filesystem::equivalent(input, out, none_there);
}

/// Signals that end a program wait for the end of this scope.
class signals_wait {
public:
    signals_wait() {
        sigset_t ending;
        sigemptyset(&ending);
        for (int const signal : {SIGINT, SIGTERM, SIGHUP})
            sigaddset(&ending, signal);
        pthread_sigmask(SIG_BLOCK, &ending, &before_);
    }
    ~signals_wait() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
    signals_wait(signals_wait const&) = delete;
    signals_wait& operator=(signals_wait const&) = delete;

private:
    sigset_t before_;
};

/// Says why, as far as errno knows.
[[noreturn]] void cannot_write(std::string const& name) {
    throw error{name + ": cannot be written: " +
                (errno != 0 ? std::strerror(errno) : "it cannot be opened")};
}

/// A new file beside the one that it will replace. Deleted at the end of its scope unless it has
/// taken that place.
class draft {
public:
    /// Throws error, which calls the target `name`.
    draft(std::string const& target, std::string const& name) : target_{target} {
        for (int attempt = 0; file_ == nullptr; ++attempt) {
            path_ = target + ".partial" + (attempt == 0 ? "" : std::to_string(attempt));
            file_ = std::fopen(path_.c_str(), "wbx");
            if (file_ == nullptr && errno != EEXIST) cannot_write(name);
        }
    }
    ~draft() {
        if (file_ != nullptr) std::fclose(file_);
        if (!path_.empty()) unlink(path_.c_str());
    }
    draft(draft const&) = delete;
    draft& operator=(draft const&) = delete;

    /// Puts `text` in the target's place, with the target's permissions. False if that fails: see
    /// errno.
    [[nodiscard]] bool become(std::string const& text) {
        std::error_code ignored;
        auto const old = std::filesystem::status(target_, ignored);
        if (std::filesystem::exists(old))
            std::filesystem::permissions(path_, old.permissions(), ignored);
        errno = 0;
        bool const written = std::fwrite(text.data(), 1, text.size(), file_) == text.size();
        bool const closed = std::fclose(std::exchange(file_, nullptr)) == 0;
        if (!written || !closed || std::rename(path_.c_str(), target_.c_str()) != 0) return false;
        path_.clear();
        return true;
    }

private:
    std::string const& target_;
    std::string path_;
    std::FILE* file_ = nullptr;
};

/// What a path means, even if its links lead to a file that is not there yet.
std::filesystem::path behind_links(std::filesystem::path path) {
    std::error_code problem;
    for (int links = 0; links < 40 && std::filesystem::is_symlink(path, problem); ++links)
        path = path.parent_path() / std::filesystem::read_symlink(path, problem);
    return path;
}

/// Not a pipe or a device.
bool can_be_replaced(std::string const& path) {
    std::error_code ignored;
    return !std::filesystem::exists(path, ignored) ||
           std::filesystem::is_regular_file(path, ignored);
}

} // namespace

void expect_out_is_no_input(std::optional<std::string> const& out,
                            std::vector<std::string> const& inputs) {
    if (!out) return;
    for (std::string const& input : inputs)
        if (is_same_file(input, *out))
            throw_invalid("--out", "'" + *out + "'", "a file that is not an input");
}

report_file::report_file(std::optional<std::string> const& path, std::ostream& standard)
    : name_{path.value_or("standard output")}, stream_{&standard} {
    if (!path) return;
    errno = 0;
    if (access(path->c_str(), F_OK) == 0 && access(path->c_str(), W_OK) != 0) cannot_write(name_);
    if (can_be_replaced(*path)) {
        std::error_code ignored;
        target_ = std::filesystem::weakly_canonical(behind_links(*path), ignored).string();
        if (target_.empty()) target_ = *path;
        stream_ = &text_;
        signals_wait const until_gone;
        draft const tried{target_, name_};
    } else {
        stream_ = &at_once_;
        errno = 0;
        at_once_.open(*path, std::ios::binary | std::ios::trunc);
        if (!at_once_) cannot_write(name_);
    }
}

void report_file::finish() {
    stream_->flush();
    if (!*stream_) throw error{name_ + ": cannot be written to the end; is the disk full?"};
    if (!target_.empty()) replace_target(text_.str());
}

void report_file::replace_target(std::string const& text) const {
    signals_wait const until_whole;
    draft written{target_, name_};
    if (!written.become(text)) cannot_write(name_);
}

} // namespace marconi::replay
