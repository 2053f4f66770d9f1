#include "child_answer.hpp"

#include <unistd.h>

#include <cerrno>
#include <exception>
#include <new>

#include "cmsim/base/error.hpp"

namespace cmsim {
namespace {

constexpr char kEnd = '\n';

ChildAnswer outcome_of(const std::function<std::string()>& work) {
  try {
    return {Ending::kDone, work()};
  } catch (const ConfigError& error) {
    return {Ending::kRefused, error.what()};
  } catch (const SimulationError& error) {
    return {Ending::kFailed, error.what()};
  } catch (const OutputError& error) {
    return {Ending::kFailed, error.what()};
  } catch (const std::bad_alloc&) {
    return {Ending::kFailed, "there is not enough memory for this"};
  } catch (const std::exception& error) {
    return {Ending::kBug, error.what()};
  } catch (...) {
    return {Ending::kBug, "an exception of no known type"};
  }
}

bool send(int descriptor, std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = ::write(descriptor, text.data(), text.size());
    if (count < 0 && errno != EINTR) return false;
    if (count > 0) text.remove_prefix(static_cast<std::size_t>(count));
  }
  return true;
}

}  // namespace

void give_answer(int descriptor, const std::function<std::string()>& work) {
  const ChildAnswer answer = outcome_of(work);
  const char first = static_cast<char>('0' + static_cast<int>(answer.ending));
  const bool sent = send(descriptor, {&first, 1}) && send(descriptor, answer.text) &&
                    send(descriptor, {&kEnd, 1});
  ::_exit(sent ? 0 : 1);
}

std::optional<ChildAnswer> read_answer(std::string_view message) {
  if (message.size() < 2 || message.back() != kEnd) return std::nullopt;
  const int ending = message.front() - '0';
  return ChildAnswer{static_cast<Ending>(ending),
                     std::string(message.substr(1, message.size() - 2))};
}

}  // namespace cmsim
