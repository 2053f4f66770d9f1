// The command line as a function, so that a program outside the tree can add policies of its own
// and have every command: return cmsim::cli::main(argc, argv, registry).
//
// Exit codes: 0 ok, 1 a check failed, 2 usage or scenario error, 3 simulation failed, was ended
// early, or --strict met a request that did not finish, 4 some points of a study failed, 70
// internal error. stdout has results, stderr everything else.
#pragma once

#include "cmsim/serve/policy.hpp"

namespace cmsim::cli {

enum ExitCode : int {
  kOk = 0,
  kCheckFailed = 1,
  kUsage = 2,
  kFailed = 3,
  kSomeFailed = 4,
  kInternal = 70
};

int main(int argc, char** argv, serve::PolicyRegistry registry = serve::builtin_policies());

}  // namespace cmsim::cli
