// The defects, one row each. Device-level ones replace functions of the banks and call the honest ones; kernel-level
// ones change the private copies between which the evaluator works.
#include "broken.h"

#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <thread>

#include "plugin.h"
#include "trireme/base/error.h"
#include "trireme/base/strings.h"
#include "trireme/core/literal.h"

namespace trireme::refchip {
namespace {

const TrmDeviceBank& honest() {
  static const TrmDeviceBank bank = device_bank();
  return bank;
}
const TrmComputeBank& honest_compute() {
  static const TrmComputeBank bank = compute_bank();
  return bank;
}

// ---- elements of a kernel's operands -------------------------------------------------------------------------------

bool runs(const KernelRun& run, std::string_view op) {
  return run.kernel.program.node_count() == 1 && run.kernel.program.node(0).op() == op;
}
uint32_t inputs_of(const KernelRun& run) { return run.kernel.program.input_count(); }
const TrmValue& operand(const KernelRun& run, uint32_t k) { return run.kernel.operands[k]; }
bool is_floating(uint32_t dtype) { return is_float(static_cast<DType>(dtype)); }

// Bytes from element [0, 0, ...] to the element of that row-major index; `bend` changes (axis, index along it, stride).
template <class F>
int64_t distance(const TrmValue& v, int64_t element, F bend) {
  int64_t items = 0;
  for (uint32_t a = v.rank; a-- > 0;) {
    items += bend(a, element % v.dims[a], v.strides[a]);
    element /= v.dims[a];
  }
  return items * static_cast<int64_t>(chip::size_of(v.dtype));
}
int64_t distance(const TrmValue& v, int64_t element) {
  return distance(v, element, [](uint32_t, int64_t index, int64_t stride) { return index * stride; });
}

double get(const KernelRun& run, uint32_t k, int64_t element) {
  double value = 0;
  const TrmValue& v = operand(run, k);
  convert_elements(static_cast<DType>(v.dtype), run.origins[k] + distance(v, element), f64, &value, 1);
  return value;
}
void set(KernelRun& run, uint32_t k, int64_t element, double value) {
  const TrmValue& v = operand(run, k);
  convert_elements(f64, &value, static_cast<DType>(v.dtype), run.origins[k] + distance(v, element), 1);
}
// Calls f(operand, element, value) for every element of the operands in [first, last) whose type fits.
template <class Fits, class F>
void each(KernelRun& run, uint32_t first, uint32_t last, Fits fits, F f) {
  for (uint32_t k = first; k < last; ++k) {
    if (!fits(operand(run, k).dtype)) continue;
    for (int64_t i = 0; i < chip::elements(operand(run, k)); ++i) f(k, i, get(run, k, i));
  }
}
uint32_t end_of(const KernelRun& run) { return static_cast<uint32_t>(run.kernel.operands.size()); }

// Reads every input again, with other places for its elements. A place outside the operand is wrapped back into it.
template <class Wanted, class F>
void read_askew(KernelRun& run, Wanted wanted, F bend) {
  for (uint32_t k = 0; k < inputs_of(run); ++k) {
    const TrmValue& v = operand(run, k);
    const auto size = static_cast<int64_t>(run.copies[k].size()), item = static_cast<int64_t>(chip::size_of(v.dtype));
    if (!wanted(v) || size == 0) continue;
    if (run.copies[k].is_sparse()) continue;
    const std::vector<std::byte> memory(run.copies[k].data(), run.copies[k].data() + size);
    const int64_t origin = run.origins[k] - run.copies[k].data();
    for (int64_t i = 0; i < chip::elements(v); ++i) {
      const int64_t at = ((origin + bend(v, i)) % size + size) % size;
      std::memcpy(run.origins[k] + distance(v, i), memory.data() + std::min(at, size - item),
                  static_cast<size_t>(item));
    }
  }
}

// ---- state of those that need some; one broken chip lives in a process ---------------------------------------------

std::atomic<int> g_inside{0}, g_runs{0};
std::atomic<TrmStream*> g_first_stream{nullptr};
std::mutex g_mutex;
std::vector<TrmMem> g_first_device;
std::vector<std::byte> g_first_blob, g_last_blob;  // of serialize
decltype(TrmDeviceBank::props) g_props = nullptr;

// Waits, copies the operands out and does the work where the caller stands.
int32_t enqueue_on_host(TrmDev* dev, TrmKernel* kernel, const TrmMem* operands, uint32_t count, const TrmMem* workspace,
                        TrmStream* stream, uint64_t tag, TrmErr* err) {
  volatile uint64_t sum = 0;
  for (uint32_t k = 0; k < count; ++k) {
    for (uint64_t i = 0; i < operands[k].bytes * 40; ++i) sum = sum + i;
  }
  return honest_compute().enqueue(dev, kernel, operands, count, workspace, stream, tag, err);
}

void tell_other_tag(int32_t code, TrmErr* err) {
  if (code != TRM_OK && err) ++err->tag;
}

int32_t serialize_noted(TrmDev* dev, TrmKernel* kernel, void* blob, uint64_t* bytes, TrmErr* err) {
  const int32_t code = honest_compute().serialize(dev, kernel, blob, bytes, err);
  if (code != TRM_OK || blob == nullptr) return code;
  const auto* begin = static_cast<const std::byte*>(blob);
  const std::lock_guard lock(g_mutex);
  g_last_blob.assign(begin, begin + *bytes);
  if (g_first_blob.empty()) g_first_blob = g_last_blob;
  return code;
}

// As if `trusts` were all that deserialize looks at: then the bytes count as those of the last kernel.
template <class Trusts>
int32_t deserialize_if(Trusts trusts, TrmDev* dev, const void* blob, uint64_t bytes, TrmKernel** kernel, TrmErr* err) {
  const std::span<const std::byte> given(static_cast<const std::byte*>(blob), bytes);
  const int32_t code = honest_compute().deserialize(dev, blob, bytes, kernel, err);
  const std::lock_guard lock(g_mutex);
  if (code == TRM_OK || !trusts(given)) return code;
  return honest_compute().deserialize(dev, g_last_blob.data(), g_last_blob.size(), kernel, err);
}

// Where the build_id ends in the bytes of a kernel.
size_t end_of_build(std::span<const std::byte> blob) {
  return static_cast<size_t>(std::find(blob.begin(), blob.end(), std::byte{0}) - blob.begin());
}

// Bytes from element [0, 0, ...] in `Bits` bits, for operands that reach farther than those count.
template <class Bits>
void wrap_offsets(KernelRun& run, uint32_t k, int64_t unit) {
  const TrmValue& v = operand(run, k);
  const auto size = static_cast<int64_t>(run.copies[k].size()), item = static_cast<int64_t>(chip::size_of(v.dtype));
  const int64_t count = chip::elements(v);
  if (!run.copies[k].is_sparse() || count > 1 << 20) return;
  std::vector<std::byte> askew(static_cast<size_t>(count * item));
  const int64_t origin = run.origins[k] - run.copies[k].data();
  for (int64_t i = 0; i < count; ++i) {
    const int64_t wrapped = static_cast<Bits>(distance(v, i) / unit) * unit;
    const int64_t at = ((origin + wrapped) % size + size) % size;
    std::memcpy(askew.data() + i * item, run.copies[k].data() + std::min(at, size - item), static_cast<size_t>(item));
  }
  for (int64_t i = 0; i < count; ++i) {
    std::memcpy(run.origins[k] + distance(v, i), askew.data() + i * item, static_cast<size_t>(item));
  }
}

const Defect kDefects[] = {
    // --- layouts ---
    {.name = "ignored-stride",
     .wrong = "inputs are read as if they were dense",
     .before =
         [](KernelRun& run) {
           read_askew(
               run,
               [](const TrmValue& v) {
                 return !chip::is_dense(v) &&
                        std::all_of(v.strides, v.strides + v.rank, [](int64_t s) { return s > 0; });
               },
               [](const TrmValue& v, int64_t i) { return i * static_cast<int64_t>(chip::size_of(v.dtype)); });
         }},
    {.name = "swapped-sign",
     .wrong = "a reversed axis is read forwards",
     .before =
         [](KernelRun& run) {
           read_askew(
               run,
               [](const TrmValue& v) {
                 return std::any_of(v.strides, v.strides + v.rank, [](int64_t s) { return s < 0; });
               },
               [](const TrmValue& v, int64_t i) {
                 return distance(v, i, [&](uint32_t a, int64_t index, int64_t stride) {
                   return (stride < 0 ? v.dims[a] - 1 - index : index) * stride;
                 });
               });
         }},
    {.name = "wrong-broadcast",
     .wrong = "a repeated axis is walked along",
     .before =
         [](KernelRun& run) {
           read_askew(
               run,
               [](const TrmValue& v) {
                 return std::any_of(v.strides, v.strides + v.rank, [](int64_t s) { return s == 0; });
               },
               [](const TrmValue& v, int64_t i) {
                 return distance(
                     v, i, [](uint32_t, int64_t index, int64_t stride) { return index * (stride == 0 ? 1 : stride); });
               });
         }},
    {.name = "wrapped-stride",
     .wrong = "offsets of elements wrap at 2^32 bytes",
     .before =
         [](KernelRun& run) {
           for (uint32_t k = 0; k < inputs_of(run); ++k) wrap_offsets<uint32_t>(run, k, 1);
         }},
    {.name = "wrapped-gather-offset",
     .wrong = "gather counts the elements of its table in a signed integer of 32 bits",
     .before =
         [](KernelRun& run) {
           if (!runs(run, "gather")) return;
           wrap_offsets<int32_t>(run, 0, static_cast<int64_t>(chip::size_of(operand(run, 0).dtype)));
         }},
    {.name = "ignored-alignment",
     .wrong = "offsets that are multiples of 64 are rounded down to 128",
     .before =
         [](KernelRun& run) {
           for (uint32_t k = 0; k < inputs_of(run); ++k) {
             const Place& place = run.places[k];
             const auto low = static_cast<uint64_t>(run.origins[k] - run.copies[k].data());
             if (!place.chunk || place.offset - low < 128 || run.copies[k].is_sparse()) continue;
             const Access access(place);
             std::memcpy(run.copies[k].data(), access.data() - low - (place.offset - low) % 128, run.copies[k].size());
           }
         }},
    // --- arithmetic ---
    {.name = "bf16-accumulation",
     .wrong = "f32 products are summed in bf16",
     .after =
         [](KernelRun& run) {
           if (!runs(run, "dot_general")) return;
           each(
               run, inputs_of(run), end_of(run), [](uint32_t t) { return t == TRM_F32; },
               [&](uint32_t k, int64_t i, double v) {
                 uint16_t low = 0;
                 convert_elements(f64, &v, bf16, &low, 1);
                 convert_elements(bf16, &low, f64, &v, 1);
                 set(run, k, i, v);
               });
         }},
    {.name = "truncated-bf16",
     .wrong = "conversion to bf16 cuts bits off instead of rounding",
     .after =
         [](KernelRun& run) {
           if (!runs(run, "convert") || operand(run, 0).dtype != TRM_F32 || operand(run, 1).dtype != TRM_BF16) return;
           for (int64_t i = 0; i < chip::elements(operand(run, 0)); ++i) {
             uint32_t bits = 0;
             std::memcpy(&bits, run.origins[0] + distance(operand(run, 0), i), 4);
             const auto high = static_cast<uint16_t>(bits >> 16);
             std::memcpy(run.origins[1] + distance(operand(run, 1), i), &high, 2);
           }
         }},
    {.name = "rounded-conversion",
     .wrong = "conversion of floats to integers rounds instead of truncating",
     .before =
         [](KernelRun& run) {
           if (!runs(run, "convert") || is_floating(operand(run, 1).dtype) || operand(run, 1).dtype == TRM_BOOL) return;
           each(run, 0, 1, is_floating, [&](uint32_t k, int64_t i, double v) { set(run, k, i, std::nearbyint(v)); });
         }},
    {.name = "swallowed-nan",
     .wrong = "max of NaN and a number is the number",
     .before =
         [](KernelRun& run) {
           if (!runs(run, "max") || inputs_of(run) != 2) return;
           each(run, 0, 1, is_floating, [&](uint32_t, int64_t i, double v) {
             if (std::isnan(v)) set(run, 0, i, get(run, 1, i));
             else if (std::isnan(get(run, 1, i))) set(run, 1, i, v);
           });
         }},
    {.name = "lost-negative-zero",
     .wrong = "-0 becomes 0",
     .after =
         [](KernelRun& run) {
           each(run, inputs_of(run), end_of(run), is_floating, [&](uint32_t k, int64_t i, double v) {
             if (v == 0) set(run, k, i, 0.0);
           });
         }},
    {.name = "flushed-denormals",
     .wrong = "denormal inputs count as 0",
     .before =
         [](KernelRun& run) {
           each(
               run, 0, inputs_of(run), [](uint32_t t) { return t == TRM_F32; },
               [&](uint32_t k, int64_t i, double v) {
                 if (std::fabs(v) < 0x1p-126) set(run, k, i, 0.0);
               });
         }},
    {.name = "saturated-integers",
     .wrong = "integer addition saturates instead of wrapping",
     .after =
         [](KernelRun& run) {
           if (!runs(run, "add")) return;
           each(
               run, 2, 3, [](uint32_t t) { return t == TRM_I32; },
               [&](uint32_t k, int64_t i, double) {
                 set(run, k, i, std::clamp(get(run, 0, i) + get(run, 1, i), -0x1p31, 0x1p31 - 1));
               });
         }},
    {.name = "floored-division",
     .wrong = "quotients of integers round down instead of toward zero",
     .after =
         [](KernelRun& run) {
           if (!runs(run, "div")) return;
           each(
               run, 2, 3, [](uint32_t t) { return t == TRM_I32; },
               [&](uint32_t k, int64_t i, double) {
                 const double x = get(run, 0, i), w = get(run, 1, i);
                 if (w != 0) set(run, k, i, std::floor(x / w));
               });
         }},
    {.name = "narrowed-i64",
     .wrong = "64-bit integers are computed in 32 bits",
     .before =
         [](KernelRun& run) {
           for (uint32_t k = 0; k < inputs_of(run); ++k) {
             if (operand(run, k).dtype != TRM_I64) continue;
             for (int64_t i = 0; i < chip::elements(operand(run, k)); ++i) {
               std::byte* at = run.origins[k] + distance(operand(run, k), i);
               int64_t value = 0;
               std::memcpy(&value, at, 8);
               value = static_cast<int32_t>(value);
               std::memcpy(at, &value, 8);
             }
           }
         }},
    {.name = "narrowed-f64",
     .wrong = "f64 is computed in f32",
     .before =
         [](KernelRun& run) {
           each(
               run, 0, inputs_of(run), [](uint32_t t) { return t == TRM_F64; },
               [&](uint32_t k, int64_t i, double v) { set(run, k, i, static_cast<float>(v)); });
         }},
    {.name = "short-index",
     .wrong = "scatter_add keeps 16 bits of an index, as a gradient whose offsets wrap at 2^32 would, scaled down",
     .before =
         [](KernelRun& run) {
           if (!runs(run, "scatter_add")) return;
           each(
               run, 1, 2, [](uint32_t) { return true; },
               [&](uint32_t k, int64_t i, double v) {
                 if (v > 0xFFFF) set(run, k, i, v - 0x10000);
               });
         }},
    {.name = "off-by-one-tail",
     .wrong = "the last element is left out when the size is no multiple of 16",
     .after =
         [](KernelRun& run) {
           for (uint32_t k = inputs_of(run); k < end_of(run); ++k) {
             const int64_t count = chip::elements(operand(run, k));
             if (count > 16 && count % 16 != 0) set(run, k, count - 1, 0);
           }
         }},
    {.name = "last-of-ties",
     .wrong = "argmax gives the last of equals",
     .after =
         [](KernelRun& run) {
           if (!runs(run, "argmax") || operand(run, 0).rank != 2) return;
           const int64_t axis = run.kernel.program.node(0).integer("axis");
           if (axis != -1 && axis != 1) return;
           const int64_t rows = operand(run, 0).dims[0], columns = operand(run, 0).dims[1];
           for (int64_t r = 0; r < rows; ++r) {
             const auto best = static_cast<int64_t>(get(run, 1, r));
             for (int64_t c = best; c < columns; ++c) {
               if (get(run, 0, r * columns + c) == get(run, 0, r * columns + best))
                 set(run, 1, r, static_cast<double>(c));
             }
           }
         }},
    {.name = "wrapped-gather",
     .wrong = "an index outside is counted from the other end instead of clamped",
     .before =
         [](KernelRun& run) {
           if (!runs(run, "gather")) return;
           const int64_t axis = run.kernel.program.node(0).integer("axis");
           const auto size = static_cast<double>(operand(run, 0).dims[axis < 0 ? axis + operand(run, 0).rank : axis]);
           each(
               run, 1, 2, [](uint32_t) { return true; },
               [&](uint32_t k, int64_t i, double v) { set(run, k, i, v - size * std::floor(v / size)); });
         }},
    {.name = "other-cross-entropy",
     .wrong = "the whole op cross_entropy is off by a thousandth from what it is made of",
     .after =
         [](KernelRun& run) {
           if (!runs(run, "cross_entropy")) return;
           each(run, inputs_of(run), end_of(run), is_floating,
                [&](uint32_t k, int64_t i, double v) { set(run, k, i, v * 1.001); });
         }},
    {.name = "random-order",
     .wrong = "sums differ from run to run on a device that says it is deterministic",
     .after =
         [](KernelRun& run) {
           if (!runs(run, "reduce_sum") || g_runs++ % 2 == 0) return;
           each(
               run, 1, 2, [](uint32_t t) { return t == TRM_F32; },
               [&](uint32_t k, int64_t i, double v) {
                 set(run, k, i, std::nextafter(static_cast<float>(v), INFINITY));
               });
         }},
    // --- memory of kernels ---
    {.name = "stale-workspace",
     .wrong = "a kernel counts on what it left in its workspace",
     .after =
         [](KernelRun& run) {
           if (run.kernel.answer.workspace_bytes == 0 || end_of(run) <= inputs_of(run)) return;
           const Access workspace(run.workspace);
           const bool fresh = static_cast<unsigned char>(workspace.data()[0]) != 0xDB;
           const uint32_t k = inputs_of(run);
           if (fresh && chip::elements(operand(run, k)) > 0) set(run, k, 0, get(run, k, 0) + 1);
         },
     .keeps_workspace = true},
    {.name = "overwritten-input",
     .wrong = "a kernel uses its first input as scratch",
     .written =
         [](KernelRun& run) {
           if (inputs_of(run) == 0 || !run.places[0].chunk || run.copies[0].empty()) return;
           for (uint32_t k = inputs_of(run); k < end_of(run); ++k) {
             if (run.places[k].chunk == run.places[0].chunk) return;
           }
           const Access access(run.places[0]);
           access.data()[0] ^= std::byte{1};
         }},
    {.name = "past-the-end",
     .wrong = "outputs are written in whole vectors of 16 bytes",
     .written =
         [](KernelRun& run) {
           for (uint32_t k = inputs_of(run); k < end_of(run); ++k) {
             const Place& place = run.places[k];
             const size_t bytes = run.copies[k].size(), rest = (16 - bytes % 16) % 16;
             if (!place.chunk || bytes == 0 || place.offset + bytes + rest > place.chunk->bytes()) continue;
             const Access access(place);
             std::memset(access.data() + bytes, 0, rest);
           }
         }},
    {.name = "wrong-in-place",
     .wrong = "an output that takes the memory of an input, as offered, comes out wrong",
     .after =
         [](KernelRun& run) {
           for (uint32_t k = inputs_of(run); k < end_of(run); ++k) {
             for (uint32_t i = 0; i < inputs_of(run); ++i) {
               const bool shared = run.places[k].chunk && run.places[k].chunk == run.places[i].chunk;
               if (shared && chip::elements(operand(run, k)) > 1) set(run, k, 1, get(run, k, 0));
             }
           }
         }},
    // --- honesty ---
    {.name = "yes-then-no-prepare",
     .wrong = "query takes programs of rank 3 that prepare refuses",
     .slots =
         [](TrmDeviceBank&, TrmComputeBank& compute) {
           compute.prepare = [](TrmDev* dev, const TrmProgram* program, TrmKernel** kernel, TrmErr* err) -> int32_t {
             TrmKernel* made = nullptr;
             const int32_t code = honest_compute().prepare(dev, program, &made, err);
             if (code != TRM_OK) return code;
             for (const TrmValue& v : reinterpret_cast<Kernel*>(made)->operands) {
               if (v.rank != 3) continue;
               honest_compute().release(dev, made);
               return chip::fail(err, TRM_UNSUPPORTED, "rank 3");
             }
             *kernel = made;
             return TRM_OK;
           };
         }},
    {.name = "yes-then-no-enqueue",
     .wrong = "query and prepare take tanh, and enqueue refuses it",
     .slots =
         [](TrmDeviceBank&, TrmComputeBank& compute) {
           compute.enqueue = [](TrmDev* dev, TrmKernel* kernel, const TrmMem* operands, uint32_t count,
                                const TrmMem* workspace, TrmStream* stream, uint64_t tag, TrmErr* err) -> int32_t {
             if (reinterpret_cast<Kernel*>(kernel)->name == "tanh") {
               return chip::fail(err, TRM_UNSUPPORTED, "not today", tag);
             }
             return honest_compute().enqueue(dev, kernel, operands, count, workspace, stream, tag, err);
           };
         }},
    {.name = "no-but-works",
     .wrong = "query refuses exp, and prepare takes it",
     .slots =
         [](TrmDeviceBank&, TrmComputeBank& compute) {
           compute.query = [](TrmDev* dev, const TrmProgram* program, TrmAnswer* answer, TrmErr* err) -> int32_t {
             const int32_t code = honest_compute().query(dev, program, answer, err);
             const TrmProgramReader* reader = reinterpret_cast<Device*>(dev)->host()->program;
             TrmNode node = chip::sized<TrmNode>();
             if (code == TRM_OK && reader->node(program, 0, &node) == TRM_OK && std::string_view(node.op) == "exp") {
               answer->verdict = TRM_NO;
               answer->reason = TRM_REASON_OP;
             }
             return code;
           };
         }},
    {.name = "host-kernel",
     .wrong = "kernels compute on the host, inside enqueue, and the answer says chip",
     .slots = [](TrmDeviceBank&, TrmComputeBank& compute) { compute.enqueue = enqueue_on_host; }},
    {.name = "impossible-estimate",
     .wrong = "query estimates a time that is no number",
     .answer = [](const chip::Program&, TrmAnswer& answer) { answer.estimated_ns = NAN; }},
    // --- streams, events, faults ---
    {.name = "missing-event-wait",
     .wrong = "a stream does not wait for an event",
     .slots =
         [](TrmDeviceBank& device, TrmComputeBank&) {
           device.event_wait = [](TrmDev*, TrmEvent*, TrmStream*, TrmErr*) -> int32_t { return TRM_OK; };
         }},
    {.name = "early-event",
     .wrong = "an event passes before the work in front of it is done",
     .slots =
         [](TrmDeviceBank& device, TrmComputeBank&) {
           device.event_record = [](TrmDev* dev, TrmEvent* event, TrmStream*, TrmErr* err) {
             return honest().event_record(dev, event, nullptr, err);
           };
         }},
    {.name = "ignored-stream",
     .wrong = "copies run in the device's own queue, whatever stream they are given",
     .slots =
         [](TrmDeviceBank& device, TrmComputeBank&) {
           device.copy = [](TrmDev* dev, const TrmCopy* copy, TrmStream*, uint64_t tag, TrmErr* err) {
             return honest().copy(dev, copy, nullptr, tag, err);
           };
         }},
    {.name = "hanging-second-stream",
     .wrong = "waiting for any stream but the first never ends",
     .slots =
         [](TrmDeviceBank& device, TrmComputeBank&) {
           device.stream_create = [](TrmDev* dev, uint32_t flags, TrmStream** stream, TrmErr* err) {
             const int32_t code = honest().stream_create(dev, flags, stream, err);
             TrmStream* none = nullptr;
             g_first_stream.compare_exchange_strong(none, *stream);
             return code;
           };
           device.stream_sync = [](TrmDev* dev, TrmStream* stream, TrmErr* err) {
             while (stream && stream != g_first_stream) std::this_thread::sleep_for(std::chrono::seconds(1));
             return honest().stream_sync(dev, stream, err);
           };
         }},
    {.name = "lost-fault",
     .wrong = "a failed command is never told",
     .slots =
         [](TrmDeviceBank& device, TrmComputeBank&) {
           device.sync = [](TrmDev* dev, TrmErr*) -> int32_t { return honest().sync(dev, nullptr), TRM_OK; };
           device.stream_sync = [](TrmDev* dev, TrmStream* stream, TrmErr*) -> int32_t {
             return honest().stream_sync(dev, stream, nullptr), TRM_OK;
           };
           device.stream_status = [](TrmDev*, TrmStream*, TrmErr*) -> int32_t { return TRM_OK; };
           device.event_sync = [](TrmDev* dev, TrmEvent* event, TrmErr*) -> int32_t {
             return honest().event_sync(dev, event, nullptr), TRM_OK;
           };
         }},
    {.name = "late-fault",
     .wrong = "stream_status is silent about a command that has failed",
     .slots =
         [](TrmDeviceBank& device, TrmComputeBank&) {
           device.fault_inject = [](TrmDev* dev, uint32_t kind, uint64_t argument, TrmErr* err) {
             if (kind == TRM_FAULT_NEXT_COMMAND) kind = TRM_FAULT_LATE;
             return honest().fault_inject(dev, kind, argument, err);
           };
         }},
    {.name = "wrong-tag",
     .wrong = "a fault names the command behind the one that failed",
     .slots =
         [](TrmDeviceBank& device, TrmComputeBank&) {
           device.sync = [](TrmDev* dev, TrmErr* err) {
             const int32_t code = honest().sync(dev, err);
             tell_other_tag(code, err);
             return code;
           };
           device.stream_sync = [](TrmDev* dev, TrmStream* stream, TrmErr* err) {
             const int32_t code = honest().stream_sync(dev, stream, err);
             tell_other_tag(code, err);
             return code;
           };
           device.stream_status = [](TrmDev* dev, TrmStream* stream, TrmErr* err) {
             const int32_t code = honest().stream_status(dev, stream, err);
             tell_other_tag(code, err);
             return code;
           };
         }},
    {.name = "unpoisoned-waiter",
     .wrong = "a stream that waits for an event of a failed stream goes on as if all were well",
     .slots =
         [](TrmDeviceBank& device, TrmComputeBank&) {
           device.event_wait = [](TrmDev* dev, TrmEvent* event, TrmStream*, TrmErr*) -> int32_t {
             return honest().event_sync(dev, event, nullptr), TRM_OK;
           };
         }},
    {.name = "idle-reset",
     .wrong = "reset does nothing",
     .slots = [](TrmDeviceBank& device,
                 TrmComputeBank&) { device.reset = [](TrmDev*, TrmErr*) -> int32_t { return TRM_OK; }; }},
    // --- device memory ---
    {.name = "truncated-copy",
     .wrong = "copies move whole words of 4 bytes",
     .slots =
         [](TrmDeviceBank& device, TrmComputeBank&) {
           device.copy = [](TrmDev* dev, const TrmCopy* given, TrmStream* stream, uint64_t tag, TrmErr* err) {
             TrmCopy copy = chip::load(given);
             copy.bytes &= ~uint64_t{3};
             return honest().copy(dev, &copy, stream, tag, err);
           };
         }},
    {.name = "wrapped-copy",
     .wrong = "copies keep 32 bits of an offset in device memory",
     .slots =
         [](TrmDeviceBank& device, TrmComputeBank&) {
           device.copy = [](TrmDev* dev, const TrmCopy* given, TrmStream* stream, uint64_t tag, TrmErr* err) {
             TrmCopy copy = chip::load(given);
             for (TrmMem* mem : {&copy.dst, &copy.src}) {
               if (mem->space == kDeviceSpace) mem->offset &= UINT32_MAX;
             }
             return honest().copy(dev, &copy, stream, tag, err);
           };
         }},
    {.name = "fill-of-words",
     .wrong = "fill repeats the first byte of the item",
     .slots =
         [](TrmDeviceBank& device, TrmComputeBank&) {
           device.fill = [](TrmDev* dev, const TrmMem* mem, const void* item, uint32_t, TrmStream* stream, uint64_t tag,
                            TrmErr* err) { return honest().fill(dev, mem, item, 1, stream, tag, err); };
         }},
    {.name = "unrepeated-copy",
     .wrong = "copy_strided takes a stride of 0 for 1",
     .slots =
         [](TrmDeviceBank& device, TrmComputeBank&) {
           device.copy_strided = [](TrmDev* dev, const TrmCopyStrided* given, TrmStream* stream, uint64_t tag,
                                    TrmErr* err) {
             TrmCopyStrided copy = chip::load(given);
             for (uint32_t a = 0; a < copy.rank; ++a) {
               const bool room =
                   copy.src.offset + copy.src.bytes >= copy.item_bytes * static_cast<uint64_t>(copy.dims[a]);
               if (copy.src_strides[a] == 0 && room) copy.src_strides[a] = 1;
             }
             return honest().copy_strided(dev, &copy, stream, tag, err);
           };
         }},
    {.name = "leak-per-launch",
     .wrong = "each launch takes 4 KB of device memory that nobody gives back",
     .slots =
         [](TrmDeviceBank&, TrmComputeBank& compute) {
           compute.enqueue = [](TrmDev* dev, TrmKernel* kernel, const TrmMem* operands, uint32_t count,
                                const TrmMem* workspace, TrmStream* stream, uint64_t tag, TrmErr* err) {
             TrmMem lost{};
             honest().chunk_alloc(dev, kDeviceSpace, 4096, 0, &lost, nullptr);
             return honest_compute().enqueue(dev, kernel, operands, count, workspace, stream, tag, err);
           };
         }},
    {.name = "leak-per-kernel",
     .wrong = "released kernels stay in host memory",
     .slots =
         [](TrmDeviceBank&, TrmComputeBank& compute) {
           compute.release = [](TrmDev*, TrmKernel* kernel) -> int32_t {
             static std::vector<std::pair<TrmKernel*, std::vector<char>>> kept;
             kept.emplace_back(kernel, std::vector<char>(8192, 1));
             return TRM_OK;
           };
         }},
    {.name = "idle-free",
     .wrong = "chunk_free does nothing",
     .slots = [](TrmDeviceBank& device,
                 TrmComputeBank&) { device.chunk_free = [](TrmDev*, const TrmMem*) -> int32_t { return TRM_OK; }; }},
    {.name = "crash-without-memory",
     .wrong = "an allocation that cannot be served ends the process",
     .slots =
         [](TrmDeviceBank& device, TrmComputeBank&) {
           device.chunk_alloc = [](TrmDev* dev, uint32_t space, uint64_t bytes, uint32_t flags, TrmMem* mem,
                                   TrmErr* err) {
             const int32_t code = honest().chunk_alloc(dev, space, bytes, flags, mem, err);
             if (code == TRM_OUT_OF_MEMORY) std::abort();
             return code;
           };
         }},
    {.name = "shared-devices",
     .wrong = "the second device hands out the memory of the first",
     .slots =
         [](TrmDeviceBank& device, TrmComputeBank&) {
           device.chunk_alloc = [](TrmDev* dev, uint32_t space, uint64_t bytes, uint32_t flags, TrmMem* mem,
                                   TrmErr* err) -> int32_t {
             const bool first = reinterpret_cast<Device*>(dev)->index() == 0;
             const std::lock_guard lock(g_mutex);
             for (const TrmMem& known : g_first_device) {
               if (first || known.bytes != bytes || known.space != space) continue;
               *mem = known;
               return TRM_OK;
             }
             const int32_t code = honest().chunk_alloc(dev, space, bytes, flags, mem, err);
             if (code == TRM_OK && first) g_first_device.push_back(*mem);
             return code;
           };
           device.chunk_free = [](TrmDev* dev, const TrmMem* mem) -> int32_t {
             const bool first = reinterpret_cast<Device*>(dev)->index() == 0;
             const std::lock_guard lock(g_mutex);
             if (first) std::erase_if(g_first_device, [&](const TrmMem& m) { return m.handle == mem->handle; });
             const int32_t code = honest().chunk_free(dev, mem);
             return first ? code : static_cast<int32_t>(TRM_OK);  // what the first device owns is not ours to free
           };
         }},
    // --- kernels that are kept ---
    {.name = "one-kept-kernel",
     .wrong = "serialize writes the first kernel it was ever given, whichever it is given",
     .slots =
         [](TrmDeviceBank&, TrmComputeBank& compute) {
           compute.serialize = [](TrmDev* dev, TrmKernel* kernel, void* blob, uint64_t* bytes, TrmErr* err) {
             const int32_t code = serialize_noted(dev, kernel, blob, bytes, err);
             const std::lock_guard lock(g_mutex);
             if (code == TRM_OK && blob != nullptr) std::memcpy(blob, g_first_blob.data(), g_first_blob.size());
             return code;
           };
         }},
    {.name = "stale-kept-kernel",
     .wrong = "deserialize takes a kernel of another build",
     .slots =
         [](TrmDeviceBank&, TrmComputeBank& compute) {
           compute.serialize = serialize_noted;
           compute.deserialize = [](TrmDev* dev, const void* blob, uint64_t bytes, TrmKernel** kernel, TrmErr* err) {
             return deserialize_if(
                 [](std::span<const std::byte> given) {
                   const auto rest = given.subspan(end_of_build(given));
                   const auto known = std::span<const std::byte>(g_last_blob).subspan(end_of_build(g_last_blob));
                   return std::equal(rest.begin(), rest.end(), known.begin(), known.end());
                 },
                 dev, blob, bytes, kernel, err);
           };
         }},
    {.name = "truncated-kept-kernel",
     .wrong = "deserialize takes a kernel whose end is missing",
     .slots =
         [](TrmDeviceBank&, TrmComputeBank& compute) {
           compute.serialize = serialize_noted;
           compute.deserialize = [](TrmDev* dev, const void* blob, uint64_t bytes, TrmKernel** kernel, TrmErr* err) {
             return deserialize_if(
                 [](std::span<const std::byte> given) {
                   return given.size() > end_of_build(g_last_blob) && given.size() < g_last_blob.size() &&
                          std::equal(given.begin(), given.end(), g_last_blob.begin());
                 },
                 dev, blob, bytes, kernel, err);
           };
         }},
    {.name = "any-kept-kernel",
     .wrong = "deserialize takes whatever it is given for the last kernel",
     .slots =
         [](TrmDeviceBank&, TrmComputeBank& compute) {
           compute.serialize = serialize_noted;
           compute.deserialize = [](TrmDev* dev, const void* blob, uint64_t bytes, TrmKernel** kernel, TrmErr* err) {
             return deserialize_if([](std::span<const std::byte>) { return !g_last_blob.empty(); }, dev, blob, bytes,
                                   kernel, err);
           };
         }},
    // --- the rest of the contract ---
    {.name = "empty-crash",
     .wrong = "a tensor without elements ends the process",
     .slots =
         [](TrmDeviceBank&, TrmComputeBank& compute) {
           compute.prepare = [](TrmDev* dev, const TrmProgram* program, TrmKernel** kernel, TrmErr* err) {
             const int32_t code = honest_compute().prepare(dev, program, kernel, err);
             if (code != TRM_OK) return code;
             for (const TrmValue& v : reinterpret_cast<Kernel*>(*kernel)->operands) {
               if (chip::elements(v) == 0) std::abort();
             }
             return code;
           };
         }},
    {.name = "thread-unsafe",
     .wrong = "copies that two threads start at the same time get in each other's way",
     .slots =
         [](TrmDeviceBank& device, TrmComputeBank&) {
           device.copy = [](TrmDev* dev, const TrmCopy* given, TrmStream* stream, uint64_t tag, TrmErr* err) {
             TrmCopy copy = chip::load(given);
             const bool alone = g_inside++ == 0;
             std::this_thread::sleep_for(std::chrono::microseconds(50));
             if (!alone) copy.bytes /= 2;
             const int32_t code = honest().copy(dev, &copy, stream, tag, err);
             --g_inside;
             return code;
           };
         }},
    {.name = "constants-by-address",
     .wrong = "a kernel remembers where its program's constants lay and does not retain the program",
     .slots =
         [](TrmDeviceBank&, TrmComputeBank& compute) {
           compute.prepare = [](TrmDev* dev, const TrmProgram* program, TrmKernel** kernel, TrmErr* err) {
             const int32_t code = honest_compute().prepare(dev, program, kernel, err);
             if (code != TRM_OK) return code;
             const TrmProgramReader* reader = reinterpret_cast<Device*>(dev)->host()->program;
             for (uint32_t v = 0; v < reader->value_count(program); ++v) {
               TrmValue value = chip::sized<TrmValue>();
               if (reader->value(program, v, &value) != TRM_OK || !value.known) continue;
               reader->release(program);  // the one that prepare took
               break;
             }
             return code;
           };
           compute.release = [](TrmDev*, TrmKernel*) -> int32_t { return TRM_OK; };
         }},
    {.name = "printing",
     .wrong = "prepare prints to standard output",
     .slots =
         [](TrmDeviceBank&, TrmComputeBank& compute) {
           compute.prepare = [](TrmDev* dev, const TrmProgram* program, TrmKernel** kernel, TrmErr* err) {
             std::printf("compiling a kernel\n");
             return honest_compute().prepare(dev, program, kernel, err);
           };
         }},
    {.name = "ignored-struct-size",
     .wrong = "props fills the struct of its own header, whatever size the caller's has",
     .slots =
         [](TrmDeviceBank& device, TrmComputeBank&) {
           g_props = device.props;
           device.props = [](uint32_t index, TrmProps* props, TrmErr* err) {
             TrmProps whole = chip::sized<TrmProps>();
             const int32_t code = g_props(index, &whole, err);
             const uint32_t size = props->struct_size;
             std::memcpy(props, &whole, sizeof whole);
             props->struct_size = size;
             return code;
           };
         }},
};

}  // namespace

std::span<const Defect> defects() { return kDefects; }

const Defect& find_defect(const std::string& name) {
  std::vector<std::string> names;
  for (const Defect& defect : kDefects) {
    if (name == defect.name) return defect;
    names.emplace_back(defect.name);
  }
  const std::string near = nearest_name(name, names);
  throw Error(Code::kNotFound,
              cat("no defect \"", name, "\"; ",
                  near.empty() ? cat("there are ", join(names, ", ")) : cat("did you mean \"", near, "\"?")));
}

}  // namespace trireme::refchip
