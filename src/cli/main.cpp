#include "cmsim/cli/main.hpp"

int main(int argc, char** argv) { return cmsim::cli::main(argc, argv); }
