// What an action complains of.
#pragma once

#include <exception>
#include <string>

namespace cmsim {

/// The text of the error of this kind that the action throws, else "no error".
template <class Error = std::exception, class Action>
std::string error_of(const Action& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace cmsim
