#include "cmsim/run/envelope.hpp"

#include <cmath>

#include "cmsim/run/envelope_text.hpp"

namespace cmsim::run {
namespace {

ValidatedRange read_validated(const ConfigNode& node, const char* key) {
  const nlohmann::json& ends = node.raw().contains(key) ? node.raw()[key] : node.raw();
  node.ignore(key);
  const bool pair = ends.is_array() && ends.size() == 2 && ends[0].is_number() &&
                    ends[1].is_number() && ends[0] <= ends[1];
  if (!pair) node.fail(key, "expected [least, most]");
  return {ends[0].get<double>(), ends[1].get<double>()};
}

class Outside {
 public:
  explicit Outside(const Envelope& envelope) : tolerance_(envelope.tolerance) {}

  void check(const char* what, double value, const ValidatedRange& range) {
    const bool inside =
        value >= range.least * (1 - tolerance_) && value <= range.most * (1 + tolerance_);
    if (inside || !std::isfinite(value)) return;
    found_.push_back({.what = what, .value = value, .least = range.least, .most = range.most});
  }
  void check_name(const char* what, const std::string& name, const std::string& validated) {
    if (name == validated) return;
    found_.push_back({.what = what, .name = name, .validated_name = validated});
  }
  std::vector<metrics::Extrapolation> take() { return std::move(found_); }

 private:
  double tolerance_;
  std::vector<metrics::Extrapolation> found_;
};

}  // namespace

Envelope read_envelope(const ConfigDocument& document) {
  const ConfigNode root(document);
  Envelope envelope;
  envelope.device = root.text("device");
  const ConfigNode decode = root.child("decode"), prefill = root.child("prefill");
  envelope.decode_batch = read_validated(decode, "batch_per_npu");
  envelope.decode_context = read_validated(decode, "context_tokens");
  envelope.decode_ep = read_validated(decode, "ep");
  envelope.prefill_ep = read_validated(prefill, "ep");
  envelope.prompt = read_validated(prefill, "prompt_tokens");
  envelope.tolerance = root.number("tolerance", 0, 1);
  for (const ConfigNode* node : {&decode, &prefill, &root}) node->close();
  return envelope;
}

const Envelope& built_in_envelope() {
  static const Envelope kEnvelope =
      read_envelope(ConfigDocument::from_text(kEnvelopeText, "envelope.json"));
  return kEnvelope;
}

std::vector<metrics::Extrapolation> extrapolations(const Envelope& envelope,
                                                   const Scenario& scenario,
                                                   const metrics::Result& result) {
  Outside outside(envelope);
  outside.check_name("device", scenario.device, envelope.device);
  if (const auto& decode = result.measured.decode) {
    const double npus = scenario.deployment.decode.npus_per_instance;
    outside.check("decode/batch_per_npu", decode->mean_sequences / npus, envelope.decode_batch);
    outside.check("decode/context_tokens", decode->mean_context / decode->mean_sequences,
                  envelope.decode_context);
    const bool apart = scenario.deployment.decode.is_disaggregated();
    outside.check_name("decode/experts", apart ? "on NPUs of their own" : "on all NPUs",
                       "on all NPUs");
    const bool mixed = scenario.role == serve::Role::kMixed;
    outside.check_name("decode/instances", mixed ? "that compute prompts too" : "of its own",
                       "of its own");
    outside.check("decode/ep", scenario.deployment.decode.ep, envelope.decode_ep);
  }
  if (result.measured.prefill) {
    outside.check("prefill/ep", scenario.deployment.prefill.ep, envelope.prefill_ep);
    if (const auto finished = static_cast<double>(result.requests.finished); finished > 0) {
      outside.check("prefill/prompt_tokens",
                    static_cast<double>(result.total_input_tokens) / finished, envelope.prompt);
    }
  }
  return outside.take();
}

}  // namespace cmsim::run
