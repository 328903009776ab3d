// tiny_engine: a small hybrid model that runs, with a prefix cache.

#include "program.hpp"

#include <iostream>

int main(int argc, char** argv) { return tiny::run_program(argc, argv, std::cout, std::cerr); }
