// Policies that misbehave, each in every slot where it can. Their names say how.
#include <chrono>
#include <cmath>
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

template <class Slot>
using Choice = std::function<typename Slot::Decision(const typename Slot::View&)>;

/// A policy of any slot that does what it is given, also when it is destroyed.
template <class Slot>
class Puppet : public serve::Policy<Slot> {
 public:
  explicit Puppet(
      Choice<Slot> choice, void (*last_deed)() = [] {})
      : choose_(std::move(choice)), last_deed_(last_deed) {}
  ~Puppet() override { last_deed_(); }

  typename Slot::Decision decide(const typename Slot::View& view) override { return choose_(view); }

 private:
  Choice<Slot> choose_;
  void (*last_deed_)();
};

template <class Slot>
using Made = std::unique_ptr<serve::Policy<Slot>>;

/// Registers a factory for policies that choose so.
template <class Slot>
void add(serve::PolicyRegistry& registry, const char* name, Choice<Slot> choice) {
  registry.add_factory<Slot>({name, ""}, [choice](Context) -> Made<Slot> {
    return std::make_unique<Puppet<Slot>>(choice);
  });
}

/// What can go wrong in any slot: in a decision, in the factory ("made_"), in the destructor.
/// `sound` is a decision that is right whenever the policy is asked.
template <class Slot>
void add_deeds(serve::PolicyRegistry& registry, const Choice<Slot>& sound) {
  for (const Deed& deed : kDeeds) {
    add<Slot>(registry, deed.name, [run = deed.run, sound](const auto& view) {
      run();
      return sound(view);
    });
    registry.add_factory<Slot>({std::string("made_") + deed.name, ""},
                               [run = deed.run, sound](Context) -> Made<Slot> {
                                 run();
                                 return std::make_unique<Puppet<Slot>>(sound);
                               });
  }
  registry.add_factory<Slot>({"made_null", ""}, [](Context) { return Made<Slot>(); });
  registry.add_factory<Slot>({"destroyed_aborts", ""}, [sound](Context) -> Made<Slot> {
    return std::make_unique<Puppet<Slot>>(sound, [] { std::abort(); });
  });
}

constexpr auto kLargest = std::numeric_limits<std::size_t>::max();
constexpr auto kMost = std::numeric_limits<cmsim::Tokens>::max();

std::optional<std::size_t> first_that_fits(const serve::DecodeRoutingView& view) {
  for (std::size_t rank = 0; rank < view.ranks.sequences.size(); ++rank) {
    if (view.fits(rank)) return rank;
  }
  return std::nullopt;
}

}  // namespace

CMSIM_POLICY_PLUGIN(registry) {
  using serve::Admission;
  using Router = serve::SupernodeRouting;
  add_deeds<Router>(registry, [](const auto&) { return 0; });
  add<Router>(registry, "out_of_range",
              [](const auto& view) { return static_cast<std::int32_t>(view.supernodes.size()); });

  using Shares = serve::ProportionChoice;
  constexpr auto kNever = std::numeric_limits<cmsim::Seconds>::infinity();
  add_deeds<Shares>(registry, [](const auto& view) {
    return serve::Proportion{view.decode_blocks, kNever};
  });
  add<Shares>(registry, "out_of_range", [](const auto& view) {
    return serve::Proportion{view.prefill.blocks + view.decode.blocks + 1, kNever};
  });
  add<Shares>(registry, "at_once_again", [](const auto& view) {
    return serve::Proportion{view.decode_blocks, 0};
  });

  using Routing = serve::PrefillRouting;
  add_deeds<Routing>(registry, [](const auto&) { return 0; });
  add<Routing>(registry, "out_of_range", [](const auto&) { return 99; });
  add<Routing>(registry, "negative", [](const auto&) { return -1; });

  using Entry = serve::PrefillAdmission;
  add_deeds<Entry>(registry, [](const auto&) { return serve::Verdict::kAccept; });
  add<Entry>(registry, "out_of_range", [](const auto&) { return static_cast<serve::Verdict>(7); });

  using Batching = serve::PrefillBatching;
  add_deeds<Batching>(registry, [](const auto&) { return 0; });
  add<Batching>(registry, "out_of_range", [](const auto& view) { return view.waiting.size(); });
  add<Batching>(registry, "largest", [](const auto&) { return kLargest; });
  add<Batching>(registry, "never", [](const auto&) { return std::nullopt; });

  using Ahead = serve::CachePrefetch;
  add_deeds<Ahead>(registry, [](const auto&) { return cmsim::Tokens{0}; });
  add<Ahead>(registry, "out_of_range", [](const auto& view) { return view.ssd_tokens + 1; });
  add<Ahead>(registry, "negative", [](const auto&) { return cmsim::Tokens{-1}; });

  using Tier = serve::CachePlacement;
  const Choice<Tier> tiers = [](const auto& view) {
    return view.occasion == serve::CacheOccasion::kEvicted ? serve::CacheTier::kSsd
                                                           : serve::CacheTier::kDram;
  };
  add_deeds<Tier>(registry, tiers);
  add<Tier>(registry, "out_of_range", [](const auto&) { return static_cast<serve::CacheTier>(3); });
  add<Tier>(registry, "always_dram", [](const auto&) { return serve::CacheTier::kDram; });

  using Eviction = serve::CacheEviction;
  add_deeds<Eviction>(registry, [](const auto&) { return 1.0; });
  add<Eviction>(registry, "nan", [](const auto&) { return std::nan(""); });
  add<Eviction>(registry, "infinite", [](const auto&) { return HUGE_VAL; });

  using Place = serve::DecodeAdmission;
  add_deeds<Place>(registry, [](const auto&) { return Admission{}; });
  add<Place>(registry, "out_of_range", [](const auto& view) {
    return Admission{view.waiting.size(), 0};
  });
  add<Place>(registry, "largest", [](const auto&) { return Admission{kLargest, 0}; });
  add<Place>(registry, "negative", [](const auto&) { return Admission{0, -1'000'000'000}; });
  add<Place>(registry, "int64_min", [](const auto&) { return Admission{0, -kMost - 1}; });
  add<Place>(registry, "int64_max", [](const auto&) { return Admission{0, kMost}; });
  add<Place>(registry, "of_none", [](const auto&) { return Admission{0, 0, 0}; });
  add<Place>(registry, "never", [](const auto&) { return std::nullopt; });

  using Victim = serve::Preemption;
  add_deeds<Victim>(registry, [](const auto&) { return std::size_t{0}; });
  add<Victim>(registry, "out_of_range", [](const auto& view) { return view.running.size(); });

  add_deeds<serve::PreemptedKv>(registry, [](const auto&) { return true; });

  using Plan = serve::PipelinePlan;
  add_deeds<Plan>(registry, [](const auto&) { return std::size_t{0}; });
  add<Plan>(registry, "out_of_range", [](const auto& view) { return view.plans.size(); });

  using Experts = serve::ExpertPlacement;
  add_deeds<Experts>(registry, [](const auto&) { return serve::Rebalancing::kKeep; });
  add<Experts>(registry, "out_of_range",
               [](const auto&) { return static_cast<serve::Rebalancing>(7); });

  using Ranks = serve::DecodeRouting;
  add_deeds<Ranks>(registry, first_that_fits);
  add<Ranks>(registry, "out_of_range",
             [](const auto& view) { return view.ranks.sequences.size(); });
  add<Ranks>(registry, "largest", [](const auto&) { return kLargest; });
  add<Ranks>(registry, "always_the_first", [](const auto&) { return std::size_t{0}; });
  add<Ranks>(registry, "never", [](const auto&) { return std::nullopt; });
}
