// The CPU as a chip: one device, one flat memory that is the host's own, every command finished when its call returns.
#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include "chips/cpu/compute.h"
#include "chips/cpu/kernel.h"
#include "chips/cpu/large_memory.h"
#include "chips/cpu/loops.h"
#include "chips/cpu/rates.h"
#include "chips/cpu/targets.h"

#include <hwy/highway.h>

#if defined(__linux__)
#include <unistd.h>
#endif

struct TrmDev {
  std::atomic<uint64_t> allocated{0};
};

namespace trireme::cpu {

const TrmHost* host = nullptr;

namespace {

using chip::fail;
using chip::guarded;
using chip::sized;
using chip::store;

constexpr uint32_t kSpaceId = 1;
constexpr uint64_t kAlignment = 64;

uint64_t memory_of_machine() {
#if defined(__linux__)
  const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
  if (pages > 0 && page > 0) return static_cast<uint64_t>(pages) * static_cast<uint64_t>(page);
#endif
  return uint64_t{1} << 34;
}

std::byte* address(const TrmMem& mem) { return reinterpret_cast<std::byte*>(mem.handle + mem.offset); }

int32_t enumerate(uint32_t* count, TrmErr*) {
  *count = 1;
  return TRM_OK;
}

int32_t props(uint32_t index, TrmProps* out, TrmErr* err) {
  if (index != 0) return fail(err, TRM_INVALID, "the cpu chip has one device, number 0");
  const Rates& rates = machine_rates();
  TrmProps p = sized<TrmProps>();
  p.flags = TRM_SYNC_ONLY | TRM_DETERMINISTIC;
  chip::put_text(p.name, rates.name);
  p.space_count = 1;
  p.spaces[0] = {kSpaceId, TRM_SPACE_UNIFIED, TRM_FLAT, kAlignment, memory_of_machine()};
  p.native_dtypes = any_dtype.bits;
  p.flops_f32 = rates.flops_f32;
  p.flops_low = rates.flops_f32;
  p.memory_bandwidth = rates.bytes_per_second;
  p.link_bandwidth = rates.bytes_per_second / 2;
  p.link_latency_ns = 50;
  p.launch_latency_ns = rates.launch_ns;
  p.error_precision = TRM_TAG_EXACT;
  p.units = host->threads();
  store(out, p);
  return TRM_OK;
}

int32_t open(uint32_t index, const TrmOption* options, uint32_t option_count, TrmDev** dev, TrmErr* err) {
  return guarded(err, [&] {
    if (index != 0) throw Failure(TRM_INVALID, "the cpu chip has one device, number 0");
    if (option_count > 0) {
      throw Failure(TRM_INVALID, std::string("the cpu chip has no options; given '") + options[0].key + "'");
    }
    *dev = new TrmDev;
  });
}
int32_t close(TrmDev* dev) {
  delete dev;
  return TRM_OK;
}

int32_t chunk_alloc(TrmDev* dev, uint32_t space, uint64_t bytes, uint32_t, TrmMem* mem, TrmErr* err) {
  if (space != kSpaceId) return fail(err, TRM_INVALID, "the cpu chip has one memory space, number 1");
  void* memory = allocate_large(bytes);
  if (!memory) return fail(err, TRM_OUT_OF_MEMORY, "no " + std::to_string(bytes) + " bytes of host memory left");
  dev->allocated += bytes;
  *mem = {reinterpret_cast<uint64_t>(memory), 0, bytes, kSpaceId, 0};
  return TRM_OK;
}
int32_t chunk_free(TrmDev* dev, const TrmMem* mem) {
  dev->allocated -= mem->bytes;
  free_large(reinterpret_cast<void*>(mem->handle));
  return TRM_OK;
}

int32_t copy(TrmDev*, const TrmCopy* given, TrmStream*, uint64_t tag, TrmErr* err) {
  const TrmCopy c = chip::load(given);
  if (c.bytes > c.dst.bytes || c.bytes > c.src.bytes) {
    return fail(err, TRM_INVALID, "a copy of more bytes than its memory has", tag);
  }
  constexpr int64_t kGrainBytes = 1 << 18;
  parallel_for(static_cast<int64_t>(c.bytes), kGrainBytes, [&](int64_t begin, int64_t end) {
    std::memmove(address(c.dst) + begin, address(c.src) + begin, static_cast<size_t>(end - begin));
  });
  return TRM_OK;
}

int32_t copy_strided(TrmDev*, const TrmCopyStrided* given, TrmStream*, uint64_t tag, TrmErr* err) {
  return guarded(
      err,
      [&] {
        const TrmCopyStrided c = chip::load(given);
        if (c.rank > TRM_MAX_RANK) throw Failure(TRM_INVALID, "a strided copy of more than 8 axes");
        copy_items(c.item_bytes, {c.dims, c.rank}, address(c.dst), {c.dst_strides, c.rank}, address(c.src),
                   {c.src_strides, c.rank});
      },
      tag);
}

int32_t fill(TrmDev*, const TrmMem* mem, const void* item, uint32_t item_bytes, TrmStream*, uint64_t tag, TrmErr* err) {
  return guarded(
      err,
      [&] {
        const int64_t count = static_cast<int64_t>(mem->bytes / std::max(1u, item_bytes)), one = 1, zero = 0;
        copy_items(item_bytes, {&count, 1}, address(*mem), {&one, 1}, item, {&zero, 1});
      },
      tag);
}

int32_t sync(TrmDev*, TrmErr*) { return TRM_OK; }

int32_t mem_info(TrmDev* dev, uint32_t, uint64_t* free_bytes, uint64_t* total_bytes, TrmErr*) {
  *total_bytes = memory_of_machine();
  *free_bytes = *total_bytes - std::min<uint64_t>(*total_bytes, dev->allocated);
#if defined(__linux__) && defined(_SC_AVPHYS_PAGES)
  const long pages = sysconf(_SC_AVPHYS_PAGES), page = sysconf(_SC_PAGESIZE);
  if (pages > 0 && page > 0) {
    *free_bytes = std::min(*free_bytes, static_cast<uint64_t>(pages) * static_cast<uint64_t>(page));
  }
#endif
  return TRM_OK;
}

const TrmDeviceBank kDeviceBank = [] {
  TrmDeviceBank bank = sized<TrmDeviceBank>();
  bank.enumerate = enumerate;
  bank.props = props;
  bank.open = open;
  bank.close = close;
  bank.chunk_alloc = chunk_alloc;
  bank.chunk_free = chunk_free;
  bank.copy = copy;
  bank.sync = sync;
  bank.fill = fill;
  bank.copy_strided = copy_strided;
  bank.mem_info = mem_info;
  return bank;
}();

// TRIREME_CPU_ISA=portable, avx2, avx512 (without matrix tiles, VNNI and bf16: gemm_amx.cc, gemm_int8_vnni.cc,
// gemm_bf16.cc) or amx (with them) keeps the chip from using more than that: to test every path on one machine. What
// the machine lacks is not used either way.
bool choose_instruction_set() {
  const char* wanted = std::getenv("TRIREME_CPU_ISA");
  if (!wanted) return true;
  const std::string_view isa = wanted;
  if (isa == "portable") hwy::DisableTargets(HWY_AVX3 | HWY_AVX2);
  else if (isa == "avx2") hwy::DisableTargets(HWY_AVX3);
  else if (isa != "avx512" && isa != "amx") return false;
  return true;
}

}  // namespace
}  // namespace trireme::cpu

extern "C" TRM_EXPORT int32_t TRIREME_CHIP_ENTRY(const TrmHost* host, TrmChip* chip) {
  trireme::cpu::host = host;
  if (!trireme::cpu::choose_instruction_set()) {
    host->log(TRM_LOG_ERROR, "TRIREME_CPU_ISA is amx, avx512, avx2 or portable");
    return TRM_INVALID;
  }
  TrmChip filled = trireme::chip::sized<TrmChip>();
  filled.abi_minor = TRM_ABI_MINOR;
  filled.vendor = "Trireme";
  filled.name = "cpu";
  filled.plugin_version = "0.1.0";
  filled.build_id = trireme::cpu::kBuildId;
  filled.device = &trireme::cpu::kDeviceBank;
  filled.compute = &trireme::cpu::compute_bank();
  trireme::chip::store(chip, filled);
  return TRM_OK;
}
