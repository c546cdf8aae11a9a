// The generations of the Kunlun chip: what each has, and what its work takes on the virtual clock.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace trireme::xpu {

// Where a figure comes from.
enum class Origin {
  kPublished,  // by the vendor, or in agreement by several who use the chip
  kDerived,    // arithmetic over published figures or a fit to published times
  kAssumed,    // nobody published it; a guess of the right size
};

struct Figure {
  double value;
  Origin origin;
  constexpr operator double() const { return value; }  // NOLINT(google-explicit-constructor): reads as its value
};

// One device; a K200 card shows two of them, an R480-X8 box eight.
struct Generation {
  const char* name;     // as XPUSIM_DEVICE_MODEL has it
  int model;            // DeviceModel of xpu/defs.h
  int architecture;     // 1, 2, 3: xpu1, xpu2, xpu3
  int boards, devices;  // of the card or box; several devices may share a board
  int clusters, cores;  // cores of each cluster
  int sdnn;             // units for matrix products and convolutions
  Figure memory_bytes, l3_bytes;
  Figure sm_bytes;                         // of a cluster
  Figure lm_bytes;                         // of a core
  Figure int8_tops, fp16_tops, fp32_tops;  // of the SDNN units together; tera operations a second
  Figure memory_gbps, l3_gbps;             // 1e9 bytes a second
  Figure sm_gbps;                          // of a cluster
  Figure lm_gbps;                          // of a core
  Figure host_gbps, card_gbps;             // one direction; card: to the other devices, 0 where there is no link
  Figure clock_ghz;                        // of a core
};

// What every generation takes, in nanoseconds unless said otherwise.
struct Costs {
  Figure launch;         // of a kernel on the device before its first instruction
  Figure launch_call;    // of the host in a call that queues something
  Figure copy_setup;     // of a DMA transfer
  Figure link_latency;   // of a step of a collective, from a card to the next
  Figure event;          // of recording one, on the stream
  Figure pageable_rate;  // share of host_gbps that memory reaches that is not pinned
  Figure read_cycles;    // from GM to a core until the first byte; XPUSIM_HBM_READ_LATENCY
  Figure write_cycles;   // XPUSIM_HBM_WRITE_LATENCY
  Figure scalar_cycles;  // of reading or writing an element of LM or SM
  Figure vector_cycles;  // of a SIMD instruction
  Figure barrier_cycles;
  // Of the operator library: a product or convolution takes the launch + weight_factor * weight bytes / memory rate +
  // operation_factor * operations / SDNN rate, at least operations / SDNN rate.
  Figure weight_factor, operation_factor;
  Figure vector_lanes;  // float lanes of a cluster for each of its cores
};

std::span<const Generation> generations();
// Null when no generation has this name.
const Generation* find_generation(std::string_view name);
const Costs& default_costs();

}  // namespace trireme::xpu
