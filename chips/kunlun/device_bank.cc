#include "chips/kunlun/device_bank.h"

#include <algorithm>
#include <cstring>

namespace trireme::kunlun {
namespace {

using chip::sized;
using chip::store;

TrmStream* handle(Queue* queue) { return reinterpret_cast<TrmStream*>(queue); }
XPUEvent event_of(TrmEvent* event) { return reinterpret_cast<XPUEvent>(event); }
std::byte* address(const TrmMem& mem) { return reinterpret_cast<std::byte*>(mem.handle + mem.offset); }
bool on_device(const TrmMem& mem) { return mem.space == kDeviceSpace; }

int32_t enumerate(uint32_t* count, TrmErr* err) {
  return chip::guarded(err, [&] {
    int devices = 0;
    const int code = xpu_device_count(&devices);
    if (code != -XPUERR_NODEV) check(code, "count the devices");
    *count = static_cast<uint32_t>(std::max(devices, 0));
  });
}

int32_t props(uint32_t index, TrmProps* out, TrmErr* err) {
  return chip::guarded(err, [&] {
    const Card card = card_of(static_cast<int>(index));
    TrmProps p = sized<TrmProps>();
    p.flags = TRM_DETERMINISTIC;
    chip::put_text(p.name, card.name);
    p.space_count = 2;
    p.spaces[0] = {kDeviceSpace, TRM_SPACE_DEVICE, TRM_FLAT, kAlignment, card.memory_bytes};
    p.spaces[1] = {kPinnedSpace, TRM_SPACE_PINNED, TRM_FLAT, kAlignment, card.memory_bytes};
    p.native_dtypes = card.dtypes().bits;
    p.flops_f32 = card.products_per_second;  // products of f32 run in int16: TrmAnswer.fixed_point_bits
    p.flops_low = card.products_per_second;
    p.memory_bandwidth = card.memory_bandwidth;
    p.link_bandwidth = card.link_bandwidth;
    p.link_latency_ns = kLinkNs;
    p.launch_latency_ns = kLaunchNs;
    p.error_precision = TRM_TAG_WINDOW;
    p.units = static_cast<uint32_t>(card.clusters);
    store(out, p);
  });
}

int32_t open(uint32_t index, const TrmOption* options, uint32_t option_count, TrmDev** dev, TrmErr* err) {
  return chip::guarded(err, [&] {
    if (option_count > 0) throw Failure(TRM_INVALID, std::string("the xpu has no option '") + options[0].key + "'");
    *dev = reinterpret_cast<TrmDev*>(new Device(index));
  });
}
int32_t close(TrmDev* dev) {
  delete &device_of(dev);
  return TRM_OK;
}

int32_t chunk_alloc(TrmDev* dev, uint32_t space, uint64_t bytes, uint32_t, TrmMem* mem, TrmErr* err) {
  return guarded(dev, err, [&](Device& device) { *mem = device.allocate(space, bytes); });
}
int32_t chunk_free(TrmDev* dev, const TrmMem* mem) {
  return guarded(dev, nullptr, [&](Device& device) { device.free(*mem); });
}

int32_t copy(TrmDev* dev, const TrmCopy* given, TrmStream* stream, uint64_t tag, TrmErr* err) {
  return guarded(dev, err, [&](Device& device) {
    const TrmCopy c = chip::load(given);
    if (c.bytes > c.dst.bytes || c.bytes > c.src.bytes) {
      throw Failure(TRM_INVALID, "a copy of " + std::to_string(c.bytes) + " bytes between memory of " +
                                     std::to_string(c.src.bytes) + " and " + std::to_string(c.dst.bytes) + " bytes");
    }
    if (c.bytes == 0) return;
    device.command(stream, tag, [&](Queue& queue) {
      if (!on_device(c.dst) && !on_device(c.src)) {  // pinned memory is the host's
        check(xpu_wait(queue.stream), "finish the commands before a copy on the host");
        std::memmove(address(c.dst), address(c.src), c.bytes);
        return;
      }
      const XPUMemcpyKind kind = !on_device(c.dst)   ? XPU_DEVICE_TO_HOST
                                 : !on_device(c.src) ? XPU_HOST_TO_DEVICE
                                                     : XPU_DEVICE_TO_DEVICE;
      check(xpu_memcpy_async(address(c.dst), address(c.src), c.bytes, kind, queue.stream), "copy");
    });
  });
}

int32_t sync(TrmDev* dev, TrmErr* err) {
  return guarded(dev, err, [](Device& device) { device.wait_all(); });
}

// Calls f<T>() with a type of so many bytes: what moves without arithmetic.
template <class F>
int by_size(uint32_t bytes, F&& f) {
  switch (bytes) {
    case 1: return f(int8_t{});
    case 2: return f(int16_t{});
    case 4: return f(int32_t{});
    case 8: return f(int64_t{});
    default: throw Failure(TRM_INVALID, "items have 1, 2, 4 or 8 bytes; given " + std::to_string(bytes));
  }
}

int32_t fill(TrmDev* dev, const TrmMem* mem, const void* item, uint32_t item_bytes, TrmStream* stream, uint64_t tag,
             TrmErr* err) {
  return guarded(dev, err, [&](Device& device) {
    if (!on_device(*mem)) throw Failure(TRM_INVALID, "fill is for device memory");
    if (mem->bytes == 0) return;
    device.command(stream, tag, [&](Queue& queue) {
      check_library(by_size(item_bytes,
                            [&]<class T>(T value) {
                              std::memcpy(&value, item, sizeof value);
                              return api::constant<T>(queue.context, reinterpret_cast<T*>(address(*mem)),
                                                      static_cast<int64_t>(mem->bytes / sizeof value), value);
                            }),
                    queue, "constant");
    });
  });
}

int32_t copy_strided(TrmDev* dev, const TrmCopyStrided* given, TrmStream* stream, uint64_t tag, TrmErr* err) {
  return guarded(dev, err, [&](Device& device) {
    const TrmCopyStrided c = chip::load(given);
    if (c.rank > TRM_MAX_RANK) throw Failure(TRM_INVALID, "a strided copy of more than 8 axes");
    if (!on_device(c.dst) || !on_device(c.src)) throw Failure(TRM_INVALID, "a strided copy is within device memory");
    const api::Shape shape(c.dims, c.dims + c.rank), from(c.src_strides, c.src_strides + c.rank),
        to(c.dst_strides, c.dst_strides + c.rank);
    device.command(stream, tag, [&](Queue& queue) {
      check_library(by_size(c.item_bytes,
                            [&]<class T>(T) {
                              return api::strided_copy<T>(queue.context, reinterpret_cast<const T*>(address(c.src)),
                                                          reinterpret_cast<T*>(address(c.dst)), shape, shape, from, to);
                            }),
                    queue, "strided_copy");
    });
  });
}

int32_t host_register(TrmDev* dev, void* memory, uint64_t bytes, TrmErr* err) {
  return guarded(dev, err, [&](Device& device) {
    device.select();
    check(xpu_host_register(memory, bytes, 0), "register host memory");
  });
}
int32_t host_unregister(TrmDev* dev, void* memory) {
  return guarded(dev, nullptr, [&](Device& device) {
    device.select();
    check(xpu_host_unregister(memory), "unregister host memory");
  });
}

// The runtime does not tell what is free: this process' own account.
int32_t mem_info(TrmDev* dev, uint32_t space, uint64_t* free_bytes, uint64_t* total_bytes, TrmErr* err) {
  return guarded(dev, err, [&](Device& device) {
    *total_bytes = device.card().memory_bytes;
    *free_bytes = *total_bytes - std::min(*total_bytes, device.allocated(space));
  });
}

int32_t attr_get(TrmDev* dev, const char* key, char* value, uint32_t value_bytes, TrmErr* err) {
  return guarded(dev, err, [&](Device& device) {
    const Card& card = device.card();
    const std::string_view name = key;
    std::string text;
    if (name == "model") text = card.name;
    else if (name == "architecture") text = "xpu" + std::to_string(card.architecture);
    else if (name == "clusters") text = std::to_string(card.clusters);
    else if (name == "cores") text = std::to_string(card.cores());
    else if (name == "sdnn") text = std::to_string(card.sdnn);
    else if (name == "l3_bytes") text = std::to_string(card.l3_bytes);
    else
      throw Failure(TRM_UNSUPPORTED, "the xpu has no attribute '" + std::string(name) +
                                         "'; it has model, architecture, clusters, cores, sdnn, l3_bytes");
    if (text.size() >= value_bytes) throw Failure(TRM_INVALID, "the attribute needs more room");
    std::memcpy(value, text.c_str(), text.size() + 1);
  });
}

int32_t stream_create(TrmDev* dev, uint32_t, TrmStream** stream, TrmErr* err) {
  return guarded(dev, err, [&](Device& device) { *stream = handle(device.create_queue()); });
}
int32_t stream_destroy(TrmDev* dev, TrmStream* stream) {
  return guarded(dev, nullptr, [&](Device& device) { device.destroy_queue(&device.queue(stream)); });
}
int32_t stream_query(TrmDev* dev, TrmStream* stream, TrmErr* err) {
  int busy = 0;
  const int32_t code = guarded(dev, err, [&](Device& device) {
    device.check_alive();
    device.select();
    Queue& queue = device.queue(stream);
    device.watch(queue, [&] {
      check(xpu_event_record(queue.probe, queue.stream), "record an event");
      busy = xpu_event_query(queue.probe);
      if (busy != -XPUERR_BUSY) check(busy, "ask for an event");
    });
  });
  return code == TRM_OK && busy != 0 ? static_cast<int32_t>(TRM_NOT_READY) : code;
}
int32_t stream_sync(TrmDev* dev, TrmStream* stream, TrmErr* err) {
  return guarded(dev, err, [&](Device& device) {
    device.check_alive();
    device.wait(device.queue(stream));
  });
}
int32_t stream_status(TrmDev* dev, TrmStream*, TrmErr* err) {
  return guarded(dev, err, [](Device& device) { device.check_alive(); });
}

int32_t event_create(TrmDev* dev, TrmEvent** event, TrmErr* err) {
  return guarded(dev, err, [&](Device& device) {
    device.select();
    XPUEvent made = nullptr;
    check(xpu_event_create(&made), "create an event");
    device.own_event(made);
    *event = reinterpret_cast<TrmEvent*>(made);
  });
}
int32_t event_destroy(TrmDev* dev, TrmEvent* event) {
  return guarded(dev, nullptr, [&](Device& device) {
    device.disown_event(event_of(event));
    check(xpu_event_destroy(event_of(event)), "destroy an event");
  });
}
int32_t event_record(TrmDev* dev, TrmEvent* event, TrmStream* stream, TrmErr* err) {
  return guarded(dev, err, [&](Device& device) {
    device.check_alive();
    device.select();
    Queue& queue = device.queue(stream);
    device.watch(queue, [&] { check(xpu_event_record(event_of(event), queue.stream), "record an event"); });
  });
}
int32_t event_wait(TrmDev* dev, TrmEvent* event, TrmStream* stream, TrmErr* err) {
  return guarded(dev, err, [&](Device& device) {
    device.check_alive();
    device.select();
    Queue& queue = device.queue(stream);
    device.watch(queue, [&] { check(xpu_stream_wait_event(queue.stream, event_of(event)), "wait for an event"); });
  });
}
int32_t event_query(TrmDev* dev, TrmEvent* event, TrmErr* err) {
  int busy = 0;
  const int32_t code = guarded(dev, err, [&](Device& device) {
    device.check_alive();
    device.select();
    device.watch(device.queue(nullptr), [&] {
      busy = xpu_event_query(event_of(event));
      if (busy != -XPUERR_BUSY) check(busy, "ask for an event");
    });
  });
  return code == TRM_OK && busy != 0 ? static_cast<int32_t>(TRM_NOT_READY) : code;
}
int32_t event_sync(TrmDev* dev, TrmEvent* event, TrmErr* err) {
  return guarded(dev, err, [&](Device& device) {
    device.check_alive();
    device.select();
    device.watch(device.queue(nullptr), [&] { check(xpu_event_wait(event_of(event)), "wait for an event"); });
  });
}

int32_t reset(TrmDev* dev, TrmErr* err) {
  return guarded(dev, err, [](Device& device) { device.reset(); });
}
int32_t fault_inject(TrmDev* dev, uint32_t kind, uint64_t argument, TrmErr* err) {
  return guarded(dev, err, [&](Device& device) { device.inject(kind, argument); });
}

}  // namespace

void check_library(int code, Queue& queue, const char* op) {
  if (code == api::SUCCESS) return;
  if (code == api::NO_ENOUGH_WORKSPACE) {
    throw Failure(TRM_OUT_OF_MEMORY, std::string("no device memory for intermediate values of ") + op);
  }
  if (code == api::RUNTIME_ERROR) check(xpu_wait(queue.stream), "queue an operator");
  const char* why = code == api::INVALID_PARAM   ? "an argument breaks its rules"
                    : code == api::NOT_IMPLEMENT ? "not for these types on this generation"
                                                 : "the runtime refused the launch";
  throw Failure(TRM_INTERNAL, std::string("the operator library refused ") + op + ": " + why);
}

int32_t report(Device& device, const RuntimeFailure& failure, TrmErr* err) {
  TrmErr filled = sized<TrmErr>();
  filled.code = failure.Failure::code();
  filled.vendor_code = failure.code();
  filled.device = device.index();
  const auto lost = device.lost();
  if (lost && is_fatal(failure.code())) {
    filled.tag = lost->tag;
    filled.precision = lost->tag ? TRM_TAG_WINDOW : TRM_TAG_UNKNOWN;
    chip::put_text(filled.text, lost->text);
  } else {
    chip::put_text(filled.text, failure.what());
  }
  if (err) store(err, filled);
  return filled.code;
}

const TrmDeviceBank& device_bank() {
  static const TrmDeviceBank bank = [] {
    TrmDeviceBank b = sized<TrmDeviceBank>();
    b.enumerate = enumerate;
    b.props = props;
    b.open = open;
    b.close = close;
    b.chunk_alloc = chunk_alloc;
    b.chunk_free = chunk_free;
    b.copy = copy;
    b.sync = sync;
    b.fill = fill;
    b.copy_strided = copy_strided;
    b.host_register = host_register;
    b.host_unregister = host_unregister;
    b.mem_info = mem_info;
    b.attr_get = attr_get;
    b.stream_create = stream_create;
    b.stream_destroy = stream_destroy;
    b.stream_query = stream_query;
    b.stream_sync = stream_sync;
    b.stream_status = stream_status;
    b.event_create = event_create;
    b.event_destroy = event_destroy;
    b.event_record = event_record;
    b.event_wait = event_wait;
    b.event_query = event_query;
    b.event_sync = event_sync;
    b.reset = reset;
    b.fault_inject = fault_inject;
    return b;
  }();
  return bank;
}

}  // namespace trireme::kunlun
