// The C functions of refchip that know their device: each turns exceptions into codes around a call or two.

#include <chrono>
#include <cstring>

#include "kept_kernels.h"
#include "plugin.h"
#include "trireme/base/strings.h"

namespace trireme::refchip {
namespace {

// TrmDev and its kin stay incomplete: other chips in the same program give these names other contents.
Device& device_of(TrmDev* dev) { return *reinterpret_cast<Device*>(dev); }
Event& event_of(TrmEvent* event) {
  if (!event) throw chip::Failure(TRM_INVALID, "the event is null");
  return *reinterpret_cast<Event*>(event);
}

int32_t tell(const Reported& reported, TrmErr* err, uint32_t device) {
  if (err) {
    TrmErr value = chip::sized<TrmErr>();
    value.code = reported.fault.code;
    value.tag = reported.fault.tag;
    value.precision = reported.precision;
    value.device = device;
    chip::put_text(value.text, reported.fault.text);
    chip::store(err, value);
  }
  return reported.fault.code;
}

// Runs body(device) without asking whether the device is still there.
template <class F>
int32_t call(TrmDev* dev, TrmErr* err, F&& body) {
  int32_t earlier = TRM_OK;
  const int32_t code = chip::guarded(err, [&] {
    try {
      body(device_of(dev));
    } catch (const Reported& reported) {
      earlier = tell(reported, err, device_of(dev).index());
    }
  });
  return earlier != TRM_OK ? earlier : code;
}

// The same for what a lost device refuses.
template <class F>
int32_t alive(TrmDev* dev, TrmErr* err, F&& body) {
  return call(dev, err, [&](Device& device) {
    device.check_alive();
    body(device);
  });
}

int32_t chunk_alloc(TrmDev* dev, uint32_t space, uint64_t bytes, uint32_t, TrmMem* mem, TrmErr* err) {
  return alive(dev, err, [&](Device& device) { *mem = device.alloc(space, bytes); });
}

int32_t chunk_free(TrmDev* dev, const TrmMem* mem) {
  TrmErr err = chip::sized<TrmErr>();
  const int32_t code = call(dev, &err, [&](Device& device) { device.free(*mem); });
  const TrmHost* host = device_of(dev).host();
  if (code != TRM_OK && host && host->log) host->log(TRM_LOG_ERROR, err.text);  // there is no TrmErr to fill
  return code;
}

// Bytes over the link between host and device, or inside the device's memory.
double copy_cost_ns(const Persona& persona, const Place& a, const Place& b, uint64_t bytes) {
  const auto on_host = [](const Place& p) { return !p.chunk || p.chunk->space() == kPinnedSpace; };
  const bool link = on_host(a) || on_host(b) || a.chunk->owner() != b.chunk->owner();
  return link ? persona.link_latency_ns + 1e9 * static_cast<double>(bytes) / persona.link_bandwidth
              : persona.launch_latency_ns + 2e9 * static_cast<double>(bytes) / persona.memory_bandwidth;
}

Command copy_command(const Device& device, const char* name, const Place& dst, const Place& src, uint64_t bytes,
                     uint64_t tag) {
  const bool ours = (dst.chunk && dst.chunk->owner() == &device) || (src.chunk && src.chunk->owner() == &device);
  if (!ours) throw chip::Failure(TRM_INVALID, cat(name, ": neither side is memory of this device"));
  Command command;
  command.tag = tag;
  command.name = name;
  command.cost_ns = copy_cost_ns(device.persona(), dst, src, bytes);
  if (dst.chunk) command.uses.push_back(dst.chunk);
  if (src.chunk) command.uses.push_back(src.chunk);
  return command;
}

int32_t copy(TrmDev* dev, const TrmCopy* given, TrmStream* stream, uint64_t tag, TrmErr* err) {
  return alive(dev, err, [&](Device& device) {
    const TrmCopy c = chip::load(given);
    for (const TrmMem* mem : {&c.dst, &c.src}) {
      if (mem->space != TRM_HOST_SPACE && c.bytes > mem->bytes) {
        throw chip::Failure(TRM_INVALID, cat("copy of ", c.bytes, " bytes into or out of a piece of ", mem->bytes));
      }
    }
    const Extent extent{0, static_cast<int64_t>(c.bytes)};
    const Place dst = device.place(c.dst, extent), src = device.place(c.src, extent);
    Command command = copy_command(device, "copy", dst, src, c.bytes, tag);
    command.work = [dst, src, bytes = c.bytes] {
      if (bytes) std::memmove(Access(dst).data(), Access(src).data(), bytes);
    };
    device.submit(device.stream(stream), std::move(command));
  });
}

int32_t copy_strided(TrmDev* dev, const TrmCopyStrided* given, TrmStream* stream, uint64_t tag, TrmErr* err) {
  return alive(dev, err, [&](Device& device) {
    const TrmCopyStrided c = chip::load(given);
    const bool item = c.item_bytes == 1 || c.item_bytes == 2 || c.item_bytes == 4 || c.item_bytes == 8;
    if (c.rank > TRM_MAX_RANK || !item) {
      throw chip::Failure(TRM_INVALID, cat("copy_strided of rank ", c.rank, " and items of ", c.item_bytes, " bytes"));
    }
    const Place dst = device.place(c.dst, extent_of(c.rank, c.dims, c.dst_strides, c.item_bytes));
    const Place src = device.place(c.src, extent_of(c.rank, c.dims, c.src_strides, c.item_bytes));
    uint64_t bytes = c.item_bytes;
    for (uint32_t axis = 0; axis < c.rank; ++axis) bytes *= static_cast<uint64_t>(c.dims[axis]);
    Command command = copy_command(device, "copy_strided", dst, src, bytes, tag);
    command.work = [c, dst, src, bytes] {
      if (bytes == 0) return;
      const Access to(dst), from(src);
      copy_elements(c.rank, c.dims, c.item_bytes, to.data(), c.dst_strides, from.data(), c.src_strides);
    };
    device.submit(device.stream(stream), std::move(command));
  });
}

int32_t fill(TrmDev* dev, const TrmMem* mem, const void* item, uint32_t item_bytes, TrmStream* stream, uint64_t tag,
             TrmErr* err) {
  return alive(dev, err, [&](Device& device) {
    if (item_bytes == 0 || item_bytes > 8 || mem->bytes % item_bytes) {
      throw chip::Failure(TRM_INVALID, cat("fill of ", mem->bytes, " bytes with items of ", item_bytes));
    }
    const Place place = device.place(*mem, {0, static_cast<int64_t>(mem->bytes)});
    Command command = copy_command(device, "fill", place, place, mem->bytes / 2, tag);  // writes without reading
    std::vector<std::byte> pattern(item_bytes);
    std::memcpy(pattern.data(), item, item_bytes);
    command.work = [place, pattern, bytes = mem->bytes] {
      const Access access(place);
      for (uint64_t i = 0; i < bytes; i += pattern.size()) {
        std::memcpy(access.data() + i, pattern.data(), pattern.size());
      }
    };
    device.submit(device.stream(stream), std::move(command));
  });
}

int32_t attr_get(TrmDev* dev, const char* key, char* value, uint32_t value_bytes, TrmErr* err) {
  return call(dev, err, [&](Device& device) {
    const std::string_view name = key;
    const Memory::Usage usage = device.memory().usage(&device, kDeviceSpace);
    const Memory::Usage pinned = device.memory().usage(&device, kPinnedSpace);
    std::string text;
    if (name == "persona") text = device.persona().name;
    else if (name == "commands") text = cat(device.commands());
    else if (name == "chunks") text = cat(usage.chunks + pinned.chunks);
    else if (name == "bytes") text = cat(usage.bytes + pinned.bytes);
    else if (name == "streams") text = cat(device.stream_count());
    else
      throw chip::Failure(TRM_UNSUPPORTED, cat("no attribute \"", name,
                                               "\"; there are persona, commands, chunks, "
                                               "bytes, streams"));
    if (text.size() >= value_bytes) throw chip::Failure(TRM_INVALID, cat("needs ", text.size() + 1, " bytes"));
    std::memcpy(value, text.c_str(), text.size() + 1);
  });
}

int32_t stream_query(TrmDev* dev, TrmStream* stream, TrmErr* err) {
  bool idle = false;
  const int32_t code = call(dev, err, [&](Device& device) { idle = device.idle(device.stream(stream)); });
  return code == TRM_OK && !idle ? static_cast<int32_t>(TRM_NOT_READY) : code;
}

int32_t event_query(TrmDev* dev, TrmEvent* event, TrmErr* err) {
  bool done = false;
  const int32_t code = call(dev, err, [&](Device& device) { done = device.done(event_of(event)); });
  return code == TRM_OK && !done ? static_cast<int32_t>(TRM_NOT_READY) : code;
}

const TrmProgramReader* reader_of(const Device& device) {
  if (!device.host() || !device.host()->program) throw chip::Failure(TRM_INVALID, "the host gave no program reader");
  return device.host()->program;
}

int32_t query(TrmDev* dev, const TrmProgram* program, TrmAnswer* answer, TrmErr* err) {
  return alive(dev, err, [&](Device& device) {
    const chip::Program view(reader_of(device), program);
    chip::store(answer, answer_for(device.persona(), device.host(), view));
  });
}

int32_t prepare_kernel(TrmDev* dev, const TrmProgram* program, TrmKernel** kernel, TrmErr* err) {
  return alive(dev, err, [&](Device& device) {
    const chip::Program view(reader_of(device), program);
    *kernel = reinterpret_cast<TrmKernel*>(prepare(device, view).release());
  });
}

int32_t enqueue_kernel(TrmDev* dev, TrmKernel* kernel, const TrmMem* operands, uint32_t operand_count,
                       const TrmMem* workspace, TrmStream* stream, uint64_t tag, TrmErr* err) {
  return alive(dev, err, [&](Device& device) {
    enqueue(device, *reinterpret_cast<const Kernel*>(kernel), {operands, operand_count}, workspace,
            device.stream(stream), tag);
  });
}

int32_t partition(TrmDev* dev, const TrmProgram* graph, const TrmPart** parts, uint32_t* count, TrmErr* err) {
  return alive(dev, err, [&](Device& device) {
    const chip::Program view(reader_of(device), graph);
    const auto found = std::make_shared<const Partition>(device.persona(), device.host(), view);
    device.keep(found);
    *parts = found->parts().data();
    *count = static_cast<uint32_t>(found->parts().size());
  });
}

int32_t serialize(TrmDev* dev, TrmKernel* kernel, void* blob, uint64_t* bytes, TrmErr* err) {
  return alive(dev, err, [&](Device& device) {
    const auto kept = keep_kernel(device, *reinterpret_cast<const Kernel*>(kernel));
    const uint64_t room = *bytes;
    *bytes = kept.size();
    if (blob == nullptr) return;
    if (room < kept.size()) {
      throw chip::Failure(TRM_INVALID, cat("serialize: ", room, " bytes of room for ", kept.size()));
    }
    std::memcpy(blob, kept.data(), kept.size());
  });
}

int32_t deserialize(TrmDev* dev, const void* blob, uint64_t bytes, TrmKernel** kernel, TrmErr* err) {
  return alive(dev, err, [&](Device& device) {
    *kernel = reinterpret_cast<TrmKernel*>(
        load_kernel(device, {static_cast<const std::byte*>(blob), blob != nullptr ? bytes : 0}).release());
  });
}

}  // namespace

TrmDeviceBank device_bank() {
  TrmDeviceBank b = chip::sized<TrmDeviceBank>();
  b.close = [](TrmDev* dev) -> int32_t { return close_device(&device_of(dev)) ? TRM_OK : TRM_INVALID; };
  b.chunk_alloc = chunk_alloc;
  b.chunk_free = chunk_free;
  b.copy = copy;
  b.sync = [](TrmDev* dev, TrmErr* err) { return call(dev, err, [](Device& device) { device.sync(); }); };
  b.fill = fill;
  b.copy_strided = copy_strided;
  b.host_register = [](TrmDev* dev, void* address, uint64_t bytes, TrmErr* err) {
    return alive(dev, err, [&](Device&) {
      if (!address || !bytes) throw chip::Failure(TRM_INVALID, "host_register of nothing");
    });
  };
  b.host_unregister = [](TrmDev* dev, void*) { return call(dev, nullptr, [](Device&) {}); };
  b.mem_info = [](TrmDev* dev, uint32_t space, uint64_t* free_bytes, uint64_t* total_bytes, TrmErr* err) {
    return alive(dev, err, [&](Device& device) { device.mem_info(space, free_bytes, total_bytes); });
  };
  b.peer_access = [](TrmDev* dev, TrmDev* peer, uint32_t* possible, TrmErr* err) {
    return call(dev, err, [&](Device& device) { *possible = &device.memory() == &device_of(peer).memory(); });
  };
  b.attr_get = attr_get;
  b.reset = [](TrmDev* dev, TrmErr* err) { return call(dev, err, [](Device& device) { device.reset(); }); };

  b.stream_create = [](TrmDev* dev, uint32_t, TrmStream** stream, TrmErr* err) {
    return alive(dev, err, [&](Device& d) { *stream = reinterpret_cast<TrmStream*>(d.create_stream()); });
  };
  b.stream_destroy = [](TrmDev* dev, TrmStream* stream) {
    return call(dev, nullptr, [&](Device& device) { device.destroy_stream(device.stream(stream)); });
  };
  b.stream_query = stream_query;
  b.stream_sync = [](TrmDev* dev, TrmStream* stream, TrmErr* err) {
    return call(dev, err, [&](Device& device) { device.sync(device.stream(stream)); });
  };
  b.stream_status = [](TrmDev* dev, TrmStream* stream, TrmErr* err) {
    return call(dev, err, [&](Device& device) { device.status(device.stream(stream)); });
  };

  b.event_create = [](TrmDev* dev, TrmEvent** event, TrmErr* err) {
    return alive(dev, err, [&](Device& d) { *event = reinterpret_cast<TrmEvent*>(d.create_event()); });
  };
  b.event_destroy = [](TrmDev* dev, TrmEvent* event) {
    return call(dev, nullptr, [&](Device& device) { device.destroy_event(&event_of(event)); });
  };
  b.event_record = [](TrmDev* dev, TrmEvent* event, TrmStream* stream, TrmErr* err) {
    return alive(dev, err, [&](Device& device) { device.record(event_of(event), device.stream(stream)); });
  };
  b.event_wait = [](TrmDev* dev, TrmEvent* event, TrmStream* stream, TrmErr* err) {
    return alive(dev, err, [&](Device& device) { device.wait(event_of(event), device.stream(stream)); });
  };
  b.event_query = event_query;
  b.event_sync = [](TrmDev* dev, TrmEvent* event, TrmErr* err) {
    return call(dev, err, [&](Device& device) { device.sync(event_of(event)); });
  };
  b.event_elapsed = [](TrmDev* dev, TrmEvent* from, TrmEvent* to, double* ns, TrmErr* err) {
    return call(dev, err, [&](Device& device) { *ns = device.elapsed_ns(event_of(from), event_of(to)); });
  };

  b.capture_begin = [](TrmDev* dev, TrmStream* stream, TrmErr* err) {
    return alive(dev, err, [&](Device& device) { device.begin_capture(device.stream(stream)); });
  };
  b.capture_end = [](TrmDev* dev, TrmStream* stream, TrmReplay** replay, TrmErr* err) {
    return call(dev, err, [&](Device& device) {
      *replay = reinterpret_cast<TrmReplay*>(device.end_capture(device.stream(stream)));
    });
  };
  b.replay = [](TrmDev* dev, TrmReplay* replay, TrmStream* stream, uint64_t tag, TrmErr* err) {
    return alive(dev, err, [&](Device& device) {
      device.replay(*reinterpret_cast<const Replay*>(replay), device.stream(stream), tag);
    });
  };
  b.replay_free = [](TrmDev* dev, TrmReplay* replay) {
    return call(dev, nullptr, [&](Device&) { delete reinterpret_cast<Replay*>(replay); });
  };

  b.clock_sample = [](TrmDev* dev, uint64_t* device_ns, uint64_t* host_ns, TrmErr* err) {
    return alive(dev, err, [&](Device& device) {
      const auto now = std::chrono::steady_clock::now().time_since_epoch();
      *device_ns = static_cast<uint64_t>(device.clock_ns());
      *host_ns = static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(now).count());
    });
  };
  b.trace_start = [](TrmDev* dev, TrmErr* err) { return alive(dev, err, [](Device& device) { device.trace(true); }); };
  b.trace_stop = [](TrmDev* dev, TrmErr* err) { return call(dev, err, [](Device& device) { device.trace(false); }); };
  b.fault_inject = [](TrmDev* dev, uint32_t kind, uint64_t argument, TrmErr* err) {
    return alive(dev, err, [&](Device& device) { device.inject(kind, argument); });
  };
  return b;
}

TrmComputeBank compute_bank() {
  TrmComputeBank b = chip::sized<TrmComputeBank>();
  b.query = query;
  b.prepare = prepare_kernel;
  b.enqueue = enqueue_kernel;
  b.release = [](TrmDev* dev, TrmKernel* kernel) {
    return call(dev, nullptr, [&](Device&) { delete reinterpret_cast<Kernel*>(kernel); });
  };
  b.partition = partition;
  b.serialize = serialize;
  b.deserialize = deserialize;
  return b;
}

}  // namespace trireme::refchip
