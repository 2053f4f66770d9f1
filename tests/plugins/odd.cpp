// Shared objects that are no proper plugins; what is odd is chosen when it is compiled.
#include <stdexcept>
#include <thread>

#include "cmsim/serve/policy.hpp"

#if defined(NO_ABI)
// As before there was a version: only the entry.
extern "C" void cmsim_register_policies(cmsim::serve::PolicyRegistry&) {}
#elif defined(NO_ENTRY)
extern "C" cmsim::serve::PolicyAbi cmsim_policy_abi() { return cmsim::serve::abi::current(); }
#else
CMSIM_POLICY_PLUGIN(registry) {
  registry.add_factory<cmsim::serve::PrefillBatching>({"fcfs", "of that name there is one already"},
                                                      nullptr);
}
#endif

#if defined(CONSTRUCTOR)
namespace {
struct Odd {
  Odd() { CONSTRUCTOR; }
};
[[maybe_unused]] const Odd odd;
}  // namespace
#endif
