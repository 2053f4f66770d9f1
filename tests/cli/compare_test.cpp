// The command `compare` as a user meets it.
#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>

#include "tests/cli/process.hpp"

namespace cmsim::cli {
namespace {

std::string step_into(const WorkDirectory& work, const std::string& name,
                      const std::vector<std::string>& more = {}) {
  std::vector<std::string> arguments{"step", kPaperDecode, "--phase", "decode", "--json"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  const Outcome step = work.cmsim(arguments);
  EXPECT_EQ(step.code, 0) << step.err;
  std::ofstream(work / name) << step.out;
  return name;
}

TEST(CompareCommand, NamesTheOperatorBehindAMove) {
  const WorkDirectory work;
  const std::string old = step_into(work, "old.json");
  // 0.654 / 1.03: attention as compute-bound as it is takes 3 % longer.
  const std::string now =
      step_into(work, "new.json", {"--set", "/platform/operators/attention_efficiency=0.63495"});
  const Outcome table = work.cmsim({"compare", old, now});
  EXPECT_EQ(table.code, 0) << table.err;
  EXPECT_EQ(table.err, "");
  EXPECT_NE(table.out.find("What moved"), std::string::npos) << table.out;
  const Outcome printed = work.cmsim({"compare", old, now, "--json"});
  const auto difference = nlohmann::json::parse(printed.out);
  EXPECT_EQ(difference["kind"], "step");
  EXPECT_EQ(difference["metrics"][0]["name"], "duration");
  EXPECT_GT(difference["metrics"][0]["relative"].get<double>(), 0);
  for (const auto& group : difference["groups"]) {
    if (group["name"] != "decode operators alone, us") continue;
    ASSERT_EQ(group["parts"].size(), 1u) << group;  // nothing else depends on it
    EXPECT_EQ(group["parts"][0]["name"], "FusedAttention");
  }
}

TEST(CompareCommand, TellsTheSettingsOfMeasurementsThatDiffer) {
  const WorkDirectory work;
  const auto settings = [&](std::vector<std::string> words, const std::vector<std::string>& more) {
    words.emplace_back("--json");
    std::ofstream(work / "old.json") << work.cmsim(words).out;
    words.insert(words.end(), more.begin(), more.end());
    std::ofstream(work / "new.json") << work.cmsim(words).out;
    const Outcome compared = work.cmsim({"compare", "old.json", "new.json", "--json"});
    EXPECT_EQ(compared.code, 0) << compared.err;
    std::map<std::string, std::string> found;
    const auto difference = nlohmann::json::parse(compared.out);
    for (const auto& move : difference["settings"]) {
      found[move["name"]] = move["new"];
    }
    return found;
  };
  const auto step =
      settings({"step", kPaperDecode, "--phase", "decode"}, {"--set", R"(/platform/name="a b")"});
  EXPECT_EQ(step.at("--set /platform/name"), R"("a b")");
  EXPECT_EQ(step.count("digest"), 1u);
  const auto collective =
      settings({"collective", kPlatform, "--op", "dispatch", "--ep", "16", "--tokens", "8"},
               {"--set", "/ub/sub_planes=6", "--skew", "1"});
  EXPECT_EQ(collective.at("--set /ub/sub_planes"), "6");
  EXPECT_EQ(collective.at("--skew"), "1");
  const auto p2p = settings({"p2p", kPlatform, "--from", "0", "--to", "16", "--bytes", "512"},
                            {"--set", "/ub/sub_planes=6"});
  EXPECT_EQ(p2p.at("--set /ub/sub_planes"), "6");
  EXPECT_EQ(p2p.count("digest"), 1u);
}

TEST(CompareCommand, TheCommandOfAMeasurementRunsAgain) {
  const WorkDirectory work;
  const auto result =
      nlohmann::json::parse(work.cmsim({"collective", "cloudmatrix384", "--tokens", "8", "--op",
                                        "dispatch", "--ep", "16", "--json"})
                                .out);
  EXPECT_EQ(result["provenance"]["command"],
            "cmsim collective cloudmatrix384 --op dispatch --ep 16 --tokens 8");
}

TEST(CompareCommand, ReadsTheDirectoryOfARun) {
  const WorkDirectory work;
  for (const char* out : {"a", "b"}) {
    ASSERT_EQ(work.cmsim({"run", kPaperDecode, "--quiet", "--out", out}).code, 0);
  }
  const Outcome same = work.cmsim({"compare", "a", "b/result.json"});
  EXPECT_EQ(same.code, 0) << same.err;
  EXPECT_NE(same.out.find("No part of the breakdown moved."), std::string::npos) << same.out;
}

TEST(CompareCommand, WhatIsNoResultIsTheUsersError) {
  const WorkDirectory work;
  const std::string step = step_into(work, "step.json");
  std::ofstream(work / "other.json") << R"({"time_us": 1, "plane": "ub"})";
  std::filesystem::create_directory(work / "empty");
  for (const auto& [name, message] : std::vector<std::pair<std::string, std::string>>{
           {"none.json", "none.json"},
           {"empty", "empty: a directory without result.json"},
           {kPaperDecode, "paper-decode.json: no JSON"},
           {kRoot + "/CMakePresets.json", "no result of cmsim: found keys"},
           {"other.json", "they have no figures in common"}}) {
    const Outcome run = work.cmsim({"compare", step, name});
    EXPECT_EQ(run.code, 2) << name;
    EXPECT_EQ(run.out, "") << name;
    EXPECT_NE(run.err.find(message), std::string::npos) << run.err;
  }
}

}  // namespace
}  // namespace cmsim::cli
