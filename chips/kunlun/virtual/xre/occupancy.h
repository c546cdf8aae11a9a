// Who uses how much of a device when, on the virtual clock: kernels of different streams that together ask for more
// than there is slow each other down.
//
// Each kernel asks for a share of the clusters, the SDNN units and the rate of the memory for as long as it is busy.
// Work is placed in the order it runs on the host: what was placed keeps its pace, and what comes later goes at the
// pace that the scarcest of its resources leaves. The total is the same in whichever order.
#pragma once

#include <cstddef>
#include <map>

namespace trireme::xpu {

// Of all there is, 0 to 1.
struct Share {
  double clusters = 0, sdnn = 0, memory = 0;
};

class Occupancy {
 public:
  // Places work that would take `ns` alone and may begin at `begin_ns`. Returns its end.
  double place(double begin_ns, double ns, const Share& share);

 private:
  static constexpr size_t kBoundaries = 4096;  // older ones are forgotten: the device counts as free before

  std::map<double, Share> used_;  // from the key until the next one
};

}  // namespace trireme::xpu
