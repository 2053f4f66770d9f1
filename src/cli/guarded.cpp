#include "guarded.hpp"

#include <new>

#include "cmsim/base/error.hpp"
#include "cmsim/base/utf8.hpp"
#include "cmsim/cli/main.hpp"
#include "terminal.hpp"

namespace cmsim::cli {
namespace {

constexpr std::size_t kLongest = 1500;  // of a message, which may quote long arguments
constexpr const char* kBug = "internal error, please report it: ";

int complain(const char* kind, const char* what, int code) {
  say("cmsim: {}{}\n", kind, shortened(printable(what), kLongest));
  return code;
}

}  // namespace

int guarded(const std::function<int()>& action) {
  try {
    return action();
  } catch (const ConfigError& error) {
    return complain("", error.what(), kUsage);
  } catch (const Interrupted& error) {
    return complain("", error.what(), kFailed);
  } catch (const SimulationError& error) {
    return complain("simulation failed: ", error.what(), kFailed);
  } catch (const OutputError& error) {
    return complain("", error.what(), kFailed);
  } catch (const std::bad_alloc&) {
    return complain("", "there is not enough memory for this", kFailed);
  } catch (const std::exception& error) {
    return complain(kBug, error.what(), kInternal);
  } catch (...) {
    return complain(kBug, "an exception of no known type", kInternal);
  }
}

}  // namespace cmsim::cli
