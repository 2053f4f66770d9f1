// What the program tells of its own options: the scripts that complete a command line, as the
// shells use them, and the manual page.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/cli/process.hpp"

namespace cmsim::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

/// What bash offers for the last of the words; `cmsim` is the program under test.
std::string offered(const WorkDirectory& here, const std::string& words) {
  std::ofstream(here / "ask.sh") << "cmsim() { '" CMSIM_BINARY
                                    "' \"$@\"; }\n"
                                    "compopt() { :; }\n"
                                    "eval \"$(cmsim completion bash)\"\n"
                                    "COMP_WORDS=("
                                 << words
                                 << ")\nCOMP_CWORD=$((${#COMP_WORDS[@]} - 1))\n"
                                    "_cmsim\necho \" ${COMPREPLY[*]} \" > answer\n";
  const std::string command = "cd '" + (here / ".").string() + "' && bash ask.sh 2> complaints";
  EXPECT_EQ(std::system(command.c_str()), 0);
  EXPECT_EQ(content(here / "complaints"), "");
  return content(here / "answer");
}

TEST(Completion, BashOffersCommandsOptionsAndValues) {
  const WorkDirectory here;
  EXPECT_EQ(offered(here, "cmsim re"), " report \n");
  EXPECT_EQ(offered(here, "cmsim trace in"), " inspect \n");
  EXPECT_EQ(offered(here, "cmsim run x --timeline-w"), " --timeline-window \n");
  EXPECT_EQ(offered(here, "cmsim run x --network h"), " hose \n");
  EXPECT_EQ(offered(here, "cmsim run x --log-level wa"), " warn \n");
  EXPECT_EQ(offered(here, "cmsim run paper-d"), " paper-decode \n");
}

TEST(Completion, BashOffersPointersAndPolicies) {
  const WorkDirectory here;
  EXPECT_THAT(offered(here, "cmsim run cloudmatrix384 --set /platform/die/hbm_b"),
              HasSubstr(" /platform/die/hbm_bandwidth= "));
  EXPECT_THAT(offered(here, "cmsim topology cloudmatrix384 --set /node"), HasSubstr(" /nodes= "));
  EXPECT_EQ(offered(here, "cmsim run cloudmatrix384 --set /policies/decode_routing = round"),
            " round_robin \n");
}

TEST(Completion, EveryShellHasAScriptAndTheProgramTheAnswers) {
  const WorkDirectory here;
  EXPECT_THAT(here.cmsim({"completion", "zsh"}).out, HasSubstr("'--timeline:Write requests"));
  EXPECT_THAT(here.cmsim({"completion", "fish"}).out,
              HasSubstr("complete -c cmsim -n '__fish_seen_subcommand_from run' -l network -x -a "
                        "'analytic hose flow auto'"));
  EXPECT_EQ(here.cmsim({"completion", "pointers"}).code, 2);
  EXPECT_EQ(here.cmsim({"completion", "tcsh"}).code, 2);
  const Outcome pointers = here.cmsim({"completion", "pointers", kScenario});
  EXPECT_THAT(pointers.out, HasSubstr("\n/deployment/cache/dram_per_node=\n"));
  EXPECT_THAT(pointers.out, Not(HasSubstr("/dram_per_node/value")));
  EXPECT_THAT(pointers.out, HasSubstr("\n/policies/prefill_batching=fcfs\n"));
}

TEST(Help, TheManualPageHasEveryCommand) {
  const WorkDirectory here;
  const Outcome manual = here.cmsim({"help", "--man"});
  EXPECT_EQ(manual.code, 0);
  EXPECT_TRUE(manual.out.starts_with(".TH CMSIM 1 "));
  EXPECT_THAT(manual.out, HasSubstr("\n.SH CMSIM TRACE INSPECT\n.nf\n"));
  EXPECT_THAT(manual.out, HasSubstr("\\-\\-timeline\\-window"));
  EXPECT_EQ(here.cmsim({"help", "run", "--man"}).code, 2);
}

}  // namespace
}  // namespace cmsim::cli
