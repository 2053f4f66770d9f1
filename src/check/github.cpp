#include <fmt/format.h>

#include "cmsim/base/utf8.hpp"
#include "cmsim/check/formats.hpp"
#include "shown.hpp"

namespace cmsim::check {
namespace {

/// What would end a message or a property of a workflow command is written as %XX.
std::string escaped(const std::string& text, std::string_view special) {
  std::string result;
  for (const char c : printable(text)) {
    if (special.find(c) == std::string_view::npos) {
      result += c;
    } else {
      result += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return result;
}

std::string annotation(const Verdict& verdict, State state, const SourceLocation& where,
                       const std::string& title, const std::string& message) {
  const std::string place = where.line > 0 ? fmt::format(",line={}", where.line) : "";
  return fmt::format("::{} file={}{},title={}::{}\n", verdict.fails(state) ? "error" : "warning",
                     escaped(where.file, "%:,"), place, escaped(title, "%:,"),
                     escaped(message, "%"));
}

/// A cell of a table.
std::string cell(const std::string& text) {
  std::string result;
  for (const char c : printable(text)) result += c == '|' ? std::string("\\|") : std::string(1, c);
  return result;
}

}  // namespace

std::string to_github_annotations(const Verdict& verdict) {
  std::string text;
  for (const CaseVerdict& made : verdict.cases) {
    if (made.metrics.empty() && made.state != State::kOk) {
      text += annotation(verdict, made.state, made.where,
                         fmt::format("{} {}", to_string(made.state), made.name), made.problem);
    }
    for (const MetricVerdict& metric : made.metrics) {
      if (metric.state == State::kOk) continue;
      const Shown row = shown(metric.move);
      text += annotation(
          verdict, metric.state, metric.where,
          fmt::format("{} {} {}", to_string(metric.state), made.name, metric.move.metric.name),
          fmt::format("{} -> {} ({}), allowed: {}{}{}", row.old, row.now, row.change, metric.rule,
                      metric.because.empty() ? "" : "; ", metric.because));
    }
  }
  return text;
}

std::string to_markdown(const Verdict& verdict) {
  std::string text = fmt::format(
      "### {}: {}\n\n| case | metric | old | new | change | state | moved by |\n"
      "| --- | --- | ---: | ---: | ---: | --- | --- |\n",
      cell(verdict.title), verdict.passed() ? "passed" : "FAILED");
  for (const CaseVerdict& made : verdict.cases) {
    if (made.metrics.empty()) {
      text += fmt::format("| {} | | | | | {} | {} |\n", cell(made.name), to_string(made.state),
                          cell(made.problem));
    }
    for (const MetricVerdict& metric : made.metrics) {
      const Shown row = shown(metric.move);
      text += fmt::format("| {} | {} | {} | {} | {} | {} | {} |\n", cell(made.name), cell(row.name),
                          cell(row.old), cell(row.now), row.change, to_string(metric.state),
                          cell(metric.because));
    }
  }
  return text + "\n";
}

}  // namespace cmsim::check
