// The one place of all figures. Each says where it comes from; nothing here was measured on a chip of ours.
#include "chips/kunlun/virtual/generation.h"
#include "xpu/defs.h"

namespace trireme::xpu {
namespace {

constexpr double kKiB = 1024, kMiB = 1024 * kKiB, kGiB = 1024 * kMiB;

constexpr Figure published(double value) { return {value, Origin::kPublished}; }
constexpr Figure derived(double value) { return {value, Origin::kDerived}; }
constexpr Figure assumed(double value) { return {value, Origin::kAssumed}; }

// A K100 card, which is half a K200.
constexpr Generation kFirst = {
    .name = "K100",
    .model = K100,
    .architecture = 1,
    .boards = 1,
    .devices = 1,
    .clusters = 4,
    .cores = 16,
    .sdnn = 4,
    .memory_bytes = published(8 * kGiB),
    .l3_bytes = published(16 * kMiB),
    .sm_bytes = published(256 * kKiB),
    .lm_bytes = published(16 * kKiB),
    .int8_tops = published(128),
    .fp16_tops = published(32),
    .fp32_tops = published(8),
    .memory_gbps = published(256),
    .l3_gbps = published(512),
    .sm_gbps = published(1024),
    .lm_gbps = published(64),
    .host_gbps = derived(12),  // PCIe 4.0 x8, 15.8 raw
    .card_gbps = published(0),
    .clock_ghz = derived(1.0),
};

constexpr Generation kSecond = {
    .name = "R200",
    .model = R200,
    .architecture = 2,
    .boards = 1,
    .devices = 1,
    .clusters = 8,
    .cores = 64,
    .sdnn = 6,
    .memory_bytes = published(16 * kGiB),
    .l3_bytes = published(64 * kMiB),
    .sm_bytes = published(256 * kKiB),
    .lm_bytes = published(8 * kKiB),  // 32 KiB for a group of four
    .int8_tops = published(256),
    .fp16_tops = published(128),
    .fp32_tops = published(32),
    .memory_gbps = published(512),
    .l3_gbps = published(1200),
    .sm_gbps = published(614),
    .lm_gbps = derived(75),     // 4.8 TB/s over 64 cores
    .host_gbps = derived(24),   // PCIe 4.0 x16, 31.5 raw
    .card_gbps = published(0),  // has ports, but a single card has nothing on them
    .clock_ghz = derived(1.2),  // 512 bytes a clock make the rate of SM
};

constexpr Generation with(Generation base, const char* name, int model, int boards, int devices) {
  base.name = name;
  base.model = model;
  base.boards = boards;
  base.devices = devices;
  return base;
}

constexpr Generation large(const char* name, int model, int devices) {
  Generation card = with(kSecond, name, model, devices, devices);
  card.memory_bytes = published(32 * kGiB);
  return card;
}

// An OAM module; its rates are those of the box of eight, divided.
constexpr Generation module(const char* name, int devices) {
  Generation card = large(name, R300, devices);
  card.int8_tops = derived(250);
  card.fp16_tops = derived(125);
  card.fp32_tops = derived(32);
  card.memory_gbps = derived(512);
  if (devices > 1) card.card_gbps = assumed(100);  // "200 GB/s" read as both directions of both rings together
  return card;
}

constexpr Generation third() {
  Generation card = with(kSecond, "P800", KL3, 1, 1);
  card.architecture = 3;
  card.clusters = 12;
  card.sdnn = 12;
  card.memory_bytes = published(103079215104.0);
  card.l3_bytes = assumed(64 * kMiB);
  card.sm_bytes = assumed(256 * kKiB);
  card.lm_bytes = assumed(8 * kKiB);
  card.int8_tops = assumed(690);
  card.fp16_tops = assumed(345);
  card.fp32_tops = assumed(86);
  card.memory_gbps = assumed(4000);
  card.l3_gbps = assumed(4000);
  card.sm_gbps = assumed(614);
  card.lm_gbps = assumed(75);
  card.host_gbps = assumed(48);
  card.card_gbps = assumed(0);
  card.clock_ghz = assumed(1.2);
  return card;
}

constexpr Generation kGenerations[] = {
    kFirst,
    with(kFirst, "K200", K200, 1, 2),
    kSecond,
    large("R200-8F", R200_8F, 1),
    large("RG800", RG800, 1),
    module("R300", 1),
    module("R480-X8", 8),
    third(),
};

constexpr Costs kCosts = {
    .launch = derived(13300),  // of a fit to eleven published networks on an R200, batch 1: 13.3 us for each op
    .launch_call = assumed(1000),
    .copy_setup = assumed(13300),  // a command as any other
    .link_latency = assumed(2000),
    .event = assumed(500),
    .pageable_rate = assumed(0.5),
    .read_cycles = published(250),  // the unit is not said
    .write_cycles = published(90),
    .scalar_cycles = assumed(1),
    .vector_cycles = assumed(1),
    .barrier_cycles = assumed(100),
    .weight_factor = derived(1.83),     // both of the same fit
    .operation_factor = derived(0.39),  // below 1: what a small operator computes is mostly hidden
    .vector_lanes = derived(4),         // a unit of 512 bits for a group of four cores
};

}  // namespace

std::span<const Generation> generations() { return kGenerations; }

const Generation* find_generation(std::string_view name) {
  for (const Generation& generation : kGenerations) {
    if (generation.name == name) return &generation;
  }
  return nullptr;
}

const Costs& default_costs() { return kCosts; }

}  // namespace trireme::xpu
