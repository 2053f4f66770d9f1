#include "cmsim/run/traffic_pattern.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>
#include <span>
#include <stdexcept>

#include "cmsim/base/error.hpp"
#include "cmsim/base/input_file.hpp"
#include "cmsim/run/collective.hpp"
#include "cmsim/serve/deployment.hpp"

namespace cmsim::run {
namespace {

constexpr std::int64_t kMostPairs = 20'000'000;
constexpr std::size_t kLargestPairsFile = 1'000'000'000;
constexpr std::int64_t kUsualTokens = 128;   // of a rank, P Table 7
constexpr std::int64_t kUsualPrompt = 4096;  // P §5.1
constexpr int kPrefillDies = 192;            // P §5.1: 6 instances of 16 NPUs
constexpr int kDecodeDies = 320;             // and one of 160
constexpr std::int64_t kMostTokens = 1'000'000'000;
constexpr int kBf16Bytes = 2;

/// "name:key=value,key=value".
class PatternText {
 public:
  explicit PatternText(const std::string& text) : text_(text) {
    const std::size_t colon = text.find(':');
    name_ = text.substr(0, colon);
    if (colon != std::string::npos) rest_ = text.substr(colon + 1);
  }

  const std::string& name() const { return name_; }
  const std::string& rest() const { return rest_; }

  /// Splits the rest; only these keys are allowed.
  void read_keys(const std::vector<std::string>& allowed) {
    for (std::size_t at = 0; at < rest_.size();) {
      const std::size_t comma = std::min(rest_.find(',', at), rest_.size());
      const std::string item = rest_.substr(at, comma - at);
      const std::size_t equals = item.find('=');
      const std::string key = item.substr(0, equals);
      if (std::ranges::find(allowed, key) == allowed.end()) {
        fail(fmt::format("found \"{}\", allowed are {}", key, fmt::join(allowed, ", ")));
      }
      if (equals == std::string::npos) fail(fmt::format("{} needs a value: {}=...", key, key));
      if (!values_.emplace(key, item.substr(equals + 1)).second) {
        fail(fmt::format("{} is given twice", key));
      }
      at = comma + 1;
    }
  }

  std::int64_t whole(const std::string& key, std::int64_t otherwise, std::int64_t least,
                     std::int64_t most) const {
    return number<std::int64_t>(key, otherwise, least, most);
  }
  double real(const std::string& key, double otherwise, double least, double most) const {
    return number<double>(key, otherwise, least, most);
  }

  /// The first of those allowed unless said.
  coll::Plane plane(std::span<const coll::Plane> allowed) const {
    const auto place = values_.find("plane");
    if (place == values_.end()) return allowed.front();
    std::vector<std::string> names;
    for (const coll::Plane plane : allowed) {
      if (place->second == hw::to_string(plane)) return plane;
      names.emplace_back(hw::to_string(plane));
    }
    fail(fmt::format("plane: found \"{}\", allowed are {}", place->second, fmt::join(names, ", ")));
  }

  [[noreturn]] void fail(const std::string& message) const {
    throw ConfigError({"--traffic " + text_, 0, ""}, message);
  }

 private:
  template <class Number>
  Number number(const std::string& key, Number otherwise, Number least, Number most) const {
    const auto place = values_.find(key);
    Number value = otherwise;
    if (place != values_.end()) {
      const std::string& text = place->second;
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
      if (error == std::errc() && end == text.data() + text.size() && value >= least &&
          value <= most) {
        return value;
      }
      fail(fmt::format("{}: found \"{}\", allowed is {} to {}", key, text, least, most));
    }
    if (value < least || value > most) {
      fail(fmt::format("{}: {} unless said, but allowed is {} to {}", key, value, least, most));
    }
    return value;
  }

  std::string text_, name_, rest_;
  std::map<std::string, std::string> values_;
};

void check_pairs(const PatternText& text, std::int64_t pairs) {
  if (pairs > kMostPairs) {
    text.fail(fmt::format("{} pairs, allowed are at most {}", pairs, kMostPairs));
  }
}

TrafficPattern exchange(PatternText& text, CollectiveOp op, const hw::Platform& platform,
                        const model::Architecture& architecture) {
  const bool of_tokens = op == CollectiveOp::kDispatch || op == CollectiveOp::kCombine;
  text.read_keys(of_tokens ? std::vector<std::string>{"ep", "tokens", "skew"}
                           : std::vector<std::string>{"ep", "tokens"});
  const auto usable = static_cast<std::int64_t>(hw::whole_dies(platform).size());
  CollectiveSpec spec;
  spec.op = op;
  spec.ranks = static_cast<int>(text.whole("ep", usable, 2, usable));
  spec.tokens = text.whole("tokens", kUsualTokens, 1, kMostTokens);
  spec.skew = text.real("skew", 0, 0, 100);
  if (of_tokens && architecture.moe_layers() == 0) {
    text.fail(fmt::format("model \"{}\" has no MoE layer", architecture.name));
  }
  const std::string skew = spec.skew > 0 ? fmt::format(", skew {}", spec.skew) : "";
  return {fmt::format("{} of {} tokens a rank, EP{}{}", text.name(), spec.tokens, spec.ranks, skew),
          collective_traffic(platform, architecture, spec)};
}

double prompt_bytes(const model::Architecture& architecture, std::int64_t tokens) {
  return static_cast<double>(tokens) *
         static_cast<double>(architecture.kv_bytes_per_token(kBf16Bytes));
}

TrafficPattern kv_transfer(PatternText& text, const hw::Platform& platform,
                           const model::Architecture& architecture) {
  text.read_keys({"tokens", "prefill", "decode", "plane"});
  const std::int64_t tokens = text.whole("tokens", kUsualPrompt, 1, kMostTokens);
  std::vector<std::int32_t> dies = hw::whole_dies(platform);
  const auto usable = static_cast<int>(dies.size());
  const auto prefill = static_cast<int>(text.whole("prefill", kPrefillDies, 1, usable));
  const auto decode = static_cast<int>(text.whole("decode", kDecodeDies, 1, usable));
  if (prefill + decode > usable) {
    text.fail(
        fmt::format("{} prefill and {} decode dies, the platform has {}{} (set prefill= and "
                    "decode=)",
                    prefill, decode, usable, hw::with_faults(platform)));
  }
  coll::ProductTraffic traffic;
  dies.resize(static_cast<std::size_t>(prefill + decode));
  traffic.dies = std::move(dies);
  for (int i = 0; i < prefill + decode; ++i) {
    traffic.send.push_back(i < prefill ? prompt_bytes(architecture, tokens) / prefill : 0);
    traffic.receive.push_back(i < prefill ? 0 : 1);
  }
  traffic.op = coll::Op::kRead;
  traffic.plane = text.plane(serve::kKvPlanes);
  return {fmt::format("the KV of {} tokens to each of {} decode dies from {} prefill dies over {}",
                      tokens, decode, prefill, hw::to_string(traffic.plane)),
          std::move(traffic)};
}

TrafficPattern cache_reads(PatternText& text, const hw::Platform& platform,
                           const model::Architecture& architecture) {
  text.read_keys({"tokens", "plane"});
  const std::int64_t tokens = text.whole("tokens", kUsualPrompt, 1, kMostTokens);
  const std::vector<std::int32_t> dies = hw::whole_dies(platform), cpus = hw::whole_cpus(platform);
  if (cpus.empty()) {
    text.fail("the platform has no CPUs to read from" + hw::with_faults(platform));
  }
  check_pairs(text, static_cast<std::int64_t>(dies.size() * cpus.size()));
  const double bytes = prompt_bytes(architecture, tokens) / static_cast<double>(cpus.size());
  coll::EndpointTraffic traffic;
  traffic.plane = text.plane(serve::kCachePlanes);
  for (const std::int32_t cpu : cpus) {
    for (const std::int32_t die : dies)
      traffic.pairs.push_back({hw::cpu(cpu), hw::die(die), bytes});
  }
  return {fmt::format("the KV of {} tokens to each of {} dies from {} CPUs over {}", tokens,
                      dies.size(), cpus.size(), hw::to_string(traffic.plane)),
          std::move(traffic)};
}

/// Reads a file of from,to,bytes.
class PairsReader {
 public:
  PairsReader(const std::string& file, const hw::Platform& platform)
      : file_(file), platform_(platform), content_(read_whole(file, kLargestPairsFile)) {}

  coll::EndpointTraffic read() {
    if (next().value_or("") != "from,to,bytes") fail("the first line must be from,to,bytes");
    coll::EndpointTraffic traffic;
    traffic.op = coll::Op::kWrite;
    while (const auto line = next()) {
      if (line->empty()) continue;
      traffic.pairs.push_back(read_pair(*line));
      if (static_cast<std::int64_t>(traffic.pairs.size()) > kMostPairs) {
        fail(fmt::format("more than {} pairs", kMostPairs));
      }
    }
    if (traffic.pairs.empty()) fail("there are no pairs below the first line");
    return traffic;
  }

 private:
  std::optional<std::string> next() {
    if (at_ >= content_.size()) return std::nullopt;
    const std::size_t end = std::min(content_.find('\n', at_), content_.size());
    std::string line = content_.substr(at_, end - at_);
    at_ = end + 1;
    ++line_;
    if (line.ends_with('\r')) line.pop_back();
    return line;
  }

  coll::EndpointTraffic::Pair read_pair(const std::string& line) const {
    const std::size_t first = line.find(','), second = line.find(',', first + 1);
    if (first == std::string::npos || second == std::string::npos ||
        line.find(',', second + 1) != std::string::npos) {
      fail(fmt::format("found \"{}\", allowed are three columns: from,to,bytes", line));
    }
    try {
      return {endpoint("from", line.substr(0, first)),
              endpoint("to", line.substr(first + 1, second - first - 1)),
              static_cast<double>(parse_bytes(line.substr(second + 1)))};
    } catch (const UnitError& error) {
      fail(std::string("bytes: ") + error.what());
    }
  }

  hw::Endpoint endpoint(const char* column, const std::string& text) const {
    try {
      const hw::Endpoint found = hw::parse_endpoint(text);
      hw::check_endpoint(platform_, found);
      return found;
    } catch (const std::invalid_argument& error) {
      fail(fmt::format("{}: {}", column, error.what()));
    }
  }

  [[noreturn]] void fail(const std::string& message) const {
    throw ConfigError({file_, std::max(line_, 1), ""}, message);
  }

  std::string file_;
  const hw::Platform& platform_;
  std::string content_;
  std::size_t at_ = 0;
  int line_ = 0;
};

}  // namespace

TrafficPattern read_traffic(const std::string& given, const hw::Platform& platform,
                            const std::function<model::Architecture()>& model) {
  PatternText text(given);
  for (const CollectiveOp op : {CollectiveOp::kDispatch, CollectiveOp::kCombine,
                                CollectiveOp::kAllGather, CollectiveOp::kAllToAll}) {
    if (text.name() == to_string(op)) return exchange(text, op, platform, model());
  }
  if (text.name() == "kv") return kv_transfer(text, platform, model());
  if (text.name() == "cache") return cache_reads(text, platform, model());
  if (text.name() == "pairs") {
    if (text.rest().empty()) text.fail("no file is named: pairs:FILE");
    coll::EndpointTraffic traffic = PairsReader(text.rest(), platform).read();
    return {fmt::format("{} pairs of {}", traffic.pairs.size(), text.rest()), std::move(traffic)};
  }
  text.fail(fmt::format("found \"{}\", allowed are {}", text.name(), kTrafficForms));
}

coll::PortLoads port_loads(const coll::Fabric& fabric, const TrafficPattern& pattern) {
  if (const auto* product = std::get_if<coll::ProductTraffic>(&pattern.traffic)) {
    const auto dies = static_cast<std::int64_t>(product->dies.size());
    if (!fabric.is_uniform(product->plane) && dies * dies > kMostPairs) {
      throw std::invalid_argument(fmt::format(
          "--traffic: {} pairs of dies on a fabric where each has its own way, allowed are at most "
          "{}; take fewer dies",
          dies * dies, kMostPairs));
    }
  }
  return std::visit([&](const auto& traffic) { return coll::port_loads(fabric, traffic); },
                    pattern.traffic);
}

}  // namespace cmsim::run
