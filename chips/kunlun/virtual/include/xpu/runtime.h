// The Kunlun runtime (XRE): devices, memory, copies, streams, events, launches. Plain C, under the public names.
//
// Every function returns 0 or a negative code of defs.h. All are thread-safe; the current device and what
// xpu_launch_config and xpu_launch_argument_set leave behind belong to the calling thread.
//
// Device numbers count the visible devices from 0. XPU_VISIBLE_DEVICES="0,2,3" shows three; empty, none.
// Memory and streams belong to the device that was current when they were made; what is used under another current
// device is refused (XPUERR_INVALID_PARAM), where a real device does something undefined. Events are for all devices.
// A stream or event that is used after it was destroyed gives XPUERR_USEAFCLOSE.
//
// Order. A stream works off its commands one after another; streams do not wait for each other unless told to
// (xpu_stream_wait_event). The default stream (NULL), one for each device, is no exception. xpu_memcpy is not in any
// stream: see there.
//
// After a failure 714, 715 or 808 what is queued on the device is dropped, the next launch or wait returns that code,
// and every later one XPUERR_ABNORMAL until the device is reset.
#ifndef TRIREME_XPU_RUNTIME_H
#define TRIREME_XPU_RUNTIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "defs.h"

#ifdef __cplusplus
extern "C" {
#endif

// NOLINTBEGIN(readability-identifier-naming): the public names of the vendor's interface

typedef void* XPUStream;
typedef void* XPUEvent;
typedef void* XPUFunc;

typedef enum {
  XPUATTR_PCI_ADDRESS = 0,  // domain in bits 16 to 31, bus 8 to 15, device 3 to 7, function 0 to 2
  XPUATTR_DEVID = 1,        // N of /dev/xpuN: the number before XPU_VISIBLE_DEVICES chose
  XPUATTR_BOARDID = 2,
  XPUATTR_ONBOARDID = 3,  // which device of its board
  XPUATTR_MODEL = 4,      // DeviceModel
  XPUATTR_MEM_MAIN_CAPACITY = 5,
  XPUATTR_MEM_L3_CAPACITY = 6,
  XPUATTR_NUM_CLUSTER = 7,
  XPUATTR_NUM_SDNN = 8,
  XPUATTR_NUM_DMACH = 9,
  XPUATTR_NUM_HWQ = 10,
  XPUATTR_NUM_ENC = 11,
  XPUATTR_NUM_DEC = 12,
  XPUATTR_NUM_IMGPROC = 13,
} XPUDeviceAttr;

// The number under which a device can be named as a simulator: MAX_DEVICE_NUM higher. Wherever a device number goes,
// both are the same virtual device.
int DEVICE_SIMULATOR(int devid);

// NOLINTEND(readability-identifier-naming)

// ---- devices

int xpu_get_runtime_version(uint32_t* major, uint32_t* minor);
int xpu_set_device(int devid);
int xpu_current_device(int* devid);
int xpu_device_count(int* count);
// Writes the /dev numbers of the visible devices, as many as xpu_device_count says.
int xpu_device_list(int* devids);
// XPUERR_NOSUPPORT for the attributes nothing is known of: DMACH, HWQ, ENC, DEC, IMGPROC.
int xpu_device_get_attr(uint64_t* value, XPUDeviceAttr attribute, int devid);
// The device at the other end of link `port` (0 to 3), negative where there is none.
int xpu_get_ccix_peer_id(int devid, int port, int* peer);

// ---- memory

// Device memory; the host must not touch it. 0 bytes: XPUERR_INVALID_PARAM. None left: XPUERR_NOMEM.
int xpu_malloc(void** pointer, uint64_t bytes, XPUMemoryKind kind XPU_DEFAULT(XPU_MEM_MAIN));
// Does not wait: commands that still use the memory will fail.
int xpu_free(void* pointer);
// Host memory that copies reach at full rate. `flags` must be 0.
int xpu_host_alloc(void** pointer, uint64_t bytes, unsigned int flags);
int xpu_host_free(void* pointer);
// Makes memory such. XPUERR_HOSTMEM_ALREADY_REGISTERED where any of it already is.
int xpu_host_register(void* pointer, uint64_t bytes, unsigned int flags);
int xpu_host_unregister(void* pointer);

// Copies now and returns when done. To the host: first waits for the default stream, and only for it. To the device and
// within it: waits for nothing, so it may overtake commands that are queued.
int xpu_memcpy(void* to, const void* from, uint64_t bytes, XPUMemcpyKind kind);
// A copy as a command of the stream.
int xpu_memcpy_async(void* to, const void* from, uint64_t bytes, XPUMemcpyKind kind, XPUStream stream);
// Between two devices; waits for nothing.
int xpu_memcpy_peer(int to_device, void* to, int from_device, const void* from, uint64_t bytes);

// ---- streams and events

int xpu_stream_create(XPUStream* stream);
// Waits for what is queued on it.
int xpu_stream_destroy(XPUStream stream);
// Makes the host wait for all commands of the stream. There is no wait for a device.
int xpu_wait(XPUStream stream XPU_DEFAULT(nullptr));

int xpu_event_create(XPUEvent* event);
int xpu_event_destroy(XPUEvent event);
// The event happens when all earlier commands of the stream are done. Recording again forgets the earlier record.
int xpu_event_record(XPUEvent event, XPUStream stream XPU_DEFAULT(nullptr));
// Makes the host wait. An event that was never recorded has happened.
int xpu_event_wait(XPUEvent event);
// 0 when the event has happened, else XPUERR_BUSY.
int xpu_event_query(XPUEvent event);
// Makes later commands of the stream wait for the event as it is recorded now. Does not make the host wait.
int xpu_stream_wait_event(XPUStream stream, XPUEvent event);

// ---- launches

// A function for the clusters. On the virtual device `code` is the address of a KernelCode of XTDK; `parameter_dwords`
// is the size of its parameters in units of four bytes. The same code gives the same function, so nothing has to be
// destroyed.
int xpu_create_cl_func(XPUFunc* function, uint64_t code, uint32_t code_bytes, uint32_t start, uint32_t parameter_dwords,
                       uint64_t hash, const char* name XPU_DEFAULT(nullptr), bool on_xpu XPU_DEFAULT(false));
// 1 to 255 clusters, more than the device has run in rounds; as many cores as the generation asks for: 16 on the first,
// 16 or 64 on later ones. Forgets the arguments set so far.
int xpu_launch_config(int clusters, int cores, XPUStream stream XPU_DEFAULT(nullptr));
// Sets bytes of the parameters, at most 4096 in all. `offset` is a multiple of 4, for eight bytes on the third
// generation of 8; the size is rounded up to a multiple of 4, filled with zeros.
int xpu_launch_argument_set(const void* argument, size_t bytes, size_t offset);
// Needs a configuration and arguments as large as the function's parameters, and uses them up.
int xpu_launch_async(XPUFunc function);
// How long the last kernel of the current device took, by the virtual clock.
int xpu_last_kernel_exec_time(uint64_t* ns);

#ifdef __cplusplus
}
#endif

#endif
