// What only a virtual device has: its clock, its accounts, faults at will. Programs that also run on real devices do
// without it.
//
// The clock is virtual. Each host thread and each stream has one, in nanoseconds. A command begins when its stream is
// free and it was issued, and takes what the figures of the generation say; a wait takes the host to the end of what
// it waits for. Running takes real time too, but that is nowhere to be seen here.
//
// Commands run as late as can be: when something waits for them, or when a stream holds very many. A wait that a
// program forgets thus shows every time, not once in a while.
//
// Knobs, read at the first call: XPUSIM_DEVICE_MODEL is KUNLUN1 (a K200), KUNLUN2 (an R200, the default) or one of
// K100, K200, R200, R200-8F, RG800, R300, R480-X8 (eight R300), P800. XPUSIM_SIMULATOR_MODE must be FUNCTION.
// XPUSIM_HBM_READ_LATENCY and XPUSIM_HBM_WRITE_LATENCY are cycles of a core. Other values make every call return
// XPUERR_SIMULATOR. XPUSIM_BKCL_TIMEOUT: see bkcl.h.
#ifndef TRIREME_XPU_SIMULATOR_H
#define TRIREME_XPU_SIMULATOR_H

#include "runtime.h"

#ifdef __cplusplus
extern "C" {
#endif

// The clock of the calling thread.
int xpusim_clock(uint64_t* ns);
// When a recorded event happened. XPUERR_BUSY before.
int xpusim_event_time(XPUEvent event, uint64_t* ns);

// Blocks and bytes of device memory that are not freed.
int xpusim_memory_usage(int devid, XPUMemoryKind kind, uint64_t* blocks, uint64_t* bytes);
// Streams (without the default one) and events that are not destroyed, of all devices.
int xpusim_handles(uint64_t* streams, uint64_t* events);

// The next kernel or copy that runs on the device fails with this code.
int xpusim_fail_next(int devid, int code);
// What went wrong on the device last, in words; valid until the next call on the device. Empty after a reset.
const char* xpusim_fault_text(int devid);
// Drops what is queued, makes the device well again. Memory stays, its contents are lost.
int xpusim_device_reset(int devid);

// As if the process began now: all memory, streams and events are gone, the environment is read again. No other thread
// may be in a call.
void xpusim_restart(void);

#ifdef __cplusplus
}
#endif

#endif
