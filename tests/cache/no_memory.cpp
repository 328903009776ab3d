// This program's operator new, which can be told to fail.
#include <index/no_memory.cpp>
