#include <fmt/format.h>

#include "cmsim/base/utf8.hpp"
#include "cmsim/check/formats.hpp"
#include "shown.hpp"

namespace cmsim::check {
namespace {

/// For an attribute and for text; control characters, which XML cannot hold, are escaped as \xNN.
std::string escaped(const std::string& text) {
  std::string xml;
  for (const char c : printable(text)) {
    switch (c) {
      case '&':
        xml += "&amp;";
        break;
      case '<':
        xml += "&lt;";
        break;
      case '>':
        xml += "&gt;";
        break;
      case '"':
        xml += "&quot;";
        break;
      default:
        xml += c;
    }
  }
  return xml;
}

std::string problem(const char* element, State state, const std::string& message,
                    const std::string& body) {
  return fmt::format("<{} type=\"{}\" message=\"{}\">{}</{}>", element, to_string(state),
                     escaped(message), escaped(body), element);
}

std::string test_case(const CaseVerdict& made, const std::string& name, const std::string& inside) {
  const std::string head =
      fmt::format("    <testcase classname=\"{}\" name=\"{}\"", escaped(made.name), escaped(name));
  return inside.empty() ? head + "/>\n" : fmt::format("{}>{}</testcase>\n", head, inside);
}

std::string metric_case(const Verdict& verdict, const CaseVerdict& made,
                        const MetricVerdict& metric) {
  std::string inside;
  if (verdict.fails(metric.state)) {
    const Shown row = shown(metric.move);
    inside = problem(
        "failure", metric.state,
        fmt::format("{} -> {} ({}), allowed: {}", row.old, row.now, row.change, metric.rule),
        metric.because);
  }
  return test_case(made, metric.move.metric.name, inside);
}

}  // namespace

std::string to_junit(const Verdict& verdict) {
  std::string cases;
  std::size_t tests = 0, failures = 0, errors = 0;
  for (const CaseVerdict& made : verdict.cases) {
    if (made.metrics.empty()) {
      const bool invalid = made.state == State::kInvalid;
      cases += test_case(made, "run",
                         problem(invalid ? "error" : "failure", made.state, made.problem, ""));
      ++tests;
      ++(invalid ? errors : failures);
    }
    for (const MetricVerdict& metric : made.metrics) {
      cases += metric_case(verdict, made, metric);
      ++tests;
      failures += verdict.fails(metric.state) ? 1 : 0;
    }
  }
  const std::string counts =
      fmt::format("tests=\"{}\" failures=\"{}\" errors=\"{}\"", tests, failures, errors);
  return fmt::format(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"cmsim check\" {}>\n"
      "  <testsuite name=\"{}\" {}>\n{}  </testsuite>\n</testsuites>\n",
      counts, escaped(verdict.title), counts, cases);
}

}  // namespace cmsim::check
