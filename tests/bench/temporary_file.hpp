#pragma once

#include <atomic>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <unistd.h>

/// A file of the given bytes, gone at the end of its scope.
class temporary_file {
public:
    explicit temporary_file(std::string_view bytes = {}) : path_{unique_path()} {
        std::ofstream{path_, std::ios::binary}.write(bytes.data(),
                                                     static_cast<std::streamsize>(bytes.size()));
    }
    ~temporary_file() { std::filesystem::remove(path_); }
    temporary_file(temporary_file const&) = delete;
    temporary_file& operator=(temporary_file const&) = delete;

    [[nodiscard]] std::string path() const { return path_.string(); }
    [[nodiscard]] std::string contents() const {
        std::ifstream in{path_, std::ios::binary};
        return {std::istreambuf_iterator<char>{in}, {}};
    }

private:
    static std::filesystem::path unique_path() {
        static std::atomic<int> next{0};
        return std::filesystem::temp_directory_path() /
               ("marconi_test_" + std::to_string(getpid()) + "_" + std::to_string(next++));
    }

    std::filesystem::path path_;
};
