// marconi_replay: what a prefix cache saves on a trace of requests.

#include "program.hpp"

#include <iostream>

int main(int argc, char** argv) {
    return marconi::replay::run_program(argc, argv, std::cout, std::cerr);
}
