// What a role's instances have of their own because of where they are.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "cmsim/model/exchange.hpp"

namespace cmsim::model {

/// make(dies) for every instance; those whose places are alike share one.
template <class Place, class Make>
std::vector<std::shared_ptr<Place>> by_place(const InstancePlaces& places, const Make& make) {
  std::map<std::shared_ptr<const coll::ExchangeGroup>, std::shared_ptr<Place>> made;
  std::vector<std::shared_ptr<Place>> of_instance;
  for (const std::vector<std::int32_t>& dies : places.dies) {
    std::shared_ptr<Place>& place = made[places.network.group({dies})];
    if (place == nullptr) place = std::make_shared<Place>(make(dies));
    of_instance.push_back(place);
  }
  return of_instance;
}

}  // namespace cmsim::model
