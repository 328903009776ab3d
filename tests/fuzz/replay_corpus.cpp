// Runs a fuzz target on files, without libFuzzer: what it once found stays found.
//
//   fuzz_<target> FILE-OR-FOLDER...

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size);

int main(int argc, char** argv) {
    std::vector<std::filesystem::path> files;
    for (int i = 1; i < argc; ++i) {
        if (!std::filesystem::is_directory(argv[i])) {
            files.emplace_back(argv[i]);
            continue;
        }
        for (auto const& entry : std::filesystem::directory_iterator{argv[i]})
            files.push_back(entry.path());
    }
    for (auto const& path : files) {
        std::ifstream in{path, std::ios::binary};
        std::string const bytes{std::istreambuf_iterator<char>{in}, {}};
        std::fprintf(stderr, "%s, %zu bytes\n", path.c_str(), bytes.size());
        LLVMFuzzerTestOneInput(reinterpret_cast<std::uint8_t const*>(bytes.data()), bytes.size());
    }
    std::fprintf(stderr, "%zu files\n", files.size());
    return files.empty() ? 1 : 0;
}
