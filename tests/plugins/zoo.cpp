// Policies that misbehave, each in every slot where it can. Their names say how.
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <limits>
#include <new>
#include <stdexcept>
#include <thread>

#include "cmsim/base/error.hpp"
#include "cmsim/serve/policy.hpp"

namespace {

namespace serve = cmsim::serve;
using Context = const serve::PolicyContext&;

struct Silent : std::exception {
  const char* what() const noexcept override { return nullptr; }
};

void throw_int() { throw 42; }

int recurse(volatile int* above) {
  volatile int frame[1024] = {*above + 1};
  return *above < 0 ? 0 : recurse(frame) + frame[0];  // never below 0
}

struct Deed {
  const char* name;
  void (*run)();
};
constexpr Deed kDeeds[] = {
    {"throws_std", [] { throw std::runtime_error("out of\nideas"); }},
    {"throws_int", throw_int},
    {"throws_silent", [] { throw Silent(); }},
    {"throws_config_error", [] { throw cmsim::ConfigError("the user did it"); }},
    {"throws_past_noexcept", []() noexcept { throw_int(); }},
    {"allocates", [] { throw std::bad_alloc(); }},
    {"hangs",
     [] {
       for (;;) std::this_thread::sleep_for(std::chrono::milliseconds(1));
     }},
    {"spins",
     [] {
       volatile bool on = true;
       while (on) {
       }
     }},
    {"segfaults", [] { *static_cast<volatile int*>(nullptr) = 1; }},
    {"overflows_the_stack",
     [] {
       volatile int start = 0;
       recurse(&start);
     }},
    {"divides_by_zero", [] { std::raise(SIGFPE); }},
    {"aborts", [] { std::abort(); }},
    {"exits", [] { std::exit(0); }},
};

/// A policy of any interface that does what it is given, also when it is destroyed.
template <class Interface, class Decision>
class Puppet : public Interface {
 public:
  using Choice = std::function<Decision(const typename Interface::View&)>;
  explicit Puppet(
      Choice choice, void (*last_deed)() = [] {})
      : choose(std::move(choice)), last_deed_(last_deed) {}
  ~Puppet() override { last_deed_(); }

 protected:
  Choice choose;

 private:
  void (*last_deed_)();
};

struct Router : Puppet<serve::PrefillRouter, std::int32_t> {
  using Puppet::Puppet;
  std::int32_t route(const View& view) override { return choose(view); }
};
struct Batcher : Puppet<serve::PrefillBatcher, std::optional<std::size_t>> {
  using Puppet::Puppet;
  std::optional<std::size_t> pick(const View& view) override { return choose(view); }
};
struct Admitter : Puppet<serve::DecodeAdmission, std::optional<serve::Admission>> {
  using Puppet::Puppet;
  std::optional<serve::Admission> admit(const View& view) override { return choose(view); }
};
struct RankRouter : Puppet<serve::DecodeRouter, std::optional<std::size_t>> {
  using Puppet::Puppet;
  std::optional<std::size_t> route(const View& view) override { return choose(view); }
};

/// Registers a factory for policies that choose so.
template <class Policy>
void add(serve::PolicyRegistry& registry, const char* name, typename Policy::Choice choice) {
  registry.register_policy(name, "",
                           [choice](Context) { return std::make_unique<Policy>(choice); });
}

/// What can go wrong in any slot: in a decision, in the factory ("made_"), in the destructor.
/// `sound` is a decision that is right whenever the policy is asked.
template <class Policy>
void add_deeds(serve::PolicyRegistry& registry, const typename Policy::Choice& sound) {
  for (const Deed& deed : kDeeds) {
    add<Policy>(registry, deed.name, [run = deed.run, sound](const auto& view) {
      run();
      return sound(view);
    });
    registry.register_policy(std::string("made_") + deed.name, "",
                             [run = deed.run, sound](Context) {
                               run();
                               return std::make_unique<Policy>(sound);
                             });
  }
  registry.register_policy("made_null", "", [](Context) { return std::unique_ptr<Policy>(); });
  registry.register_policy("destroyed_aborts", "", [sound](Context) {
    return std::make_unique<Policy>(sound, [] { std::abort(); });
  });
}

constexpr auto kLargest = std::numeric_limits<std::size_t>::max();
constexpr auto kMost = std::numeric_limits<cmsim::Tokens>::max();

std::optional<std::size_t> first_that_fits(const serve::DecodeRouterView& view) {
  for (std::size_t rank = 0; rank < view.sequences.size(); ++rank) {
    if (view.fits(rank)) return rank;
  }
  return std::nullopt;
}

}  // namespace

CMSIM_POLICY_PLUGIN(registry) {
  add_deeds<Router>(registry, [](const auto&) { return 0; });
  add<Router>(registry, "out_of_range", [](const auto&) { return 99; });
  add<Router>(registry, "negative", [](const auto&) { return -1; });

  add_deeds<Batcher>(registry, [](const auto&) { return 0; });
  add<Batcher>(registry, "out_of_range", [](const auto& view) { return view.waiting.size(); });
  add<Batcher>(registry, "largest", [](const auto&) { return kLargest; });
  add<Batcher>(registry, "never", [](const auto&) { return std::nullopt; });

  add_deeds<Admitter>(registry, [](const auto&) { return serve::Admission{}; });
  add<Admitter>(registry, "out_of_range", [](const auto& view) {
    return serve::Admission{view.waiting.size(), 0};
  });
  add<Admitter>(registry, "largest", [](const auto&) { return serve::Admission{kLargest, 0}; });
  add<Admitter>(registry, "negative", [](const auto&) {
    return serve::Admission{0, -1'000'000'000};
  });
  add<Admitter>(registry, "int64_min", [](const auto&) { return serve::Admission{0, -kMost - 1}; });
  add<Admitter>(registry, "int64_max", [](const auto&) { return serve::Admission{0, kMost}; });
  add<Admitter>(registry, "never", [](const auto&) { return std::nullopt; });

  add_deeds<RankRouter>(registry, first_that_fits);
  add<RankRouter>(registry, "out_of_range", [](const auto& view) { return view.sequences.size(); });
  add<RankRouter>(registry, "largest", [](const auto&) { return kLargest; });
  add<RankRouter>(registry, "always_the_first", [](const auto&) { return std::size_t{0}; });
  add<RankRouter>(registry, "never", [](const auto&) { return std::nullopt; });
}
