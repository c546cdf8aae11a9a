// The services every chip gets from the host (TrmHost in chip.h).
#pragma once

#include "trireme/chip/chip.h"

namespace trireme::runtime {

const TrmHost& host_services();

}  // namespace trireme::runtime
