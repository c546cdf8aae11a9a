/* A plug-in that breaks one rule, named by -DMISFIT_..., or none. Memory is the host's, and every command finishes
 * inside its call. chip_loader_test.cc and certify_test.cc compile it once per rule. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef MISFIT_NEWER
#define TRIREME_CHIP_ENTRY trm_chip_entry_v2
#endif
#include "trireme/chip/chip.h"

#ifndef MISFIT_NAME
#define MISFIT_NAME "misfit"
#endif

static int32_t enumerate(uint32_t* count, TrmErr* err) {
#if defined(MISFIT_CRASH)
  *(volatile int*)0 = 1;
#elif defined(MISFIT_ABORT)
  abort();
#elif defined(MISFIT_HANG)
  for (;;) sleep(1);
#elif defined(MISFIT_EXIT_LATE)
  exit(0);
#elif defined(MISFIT_NO_DRIVER)
  if (err) strcpy(err->text, "driver 5.2 or newer is needed");
  return TRM_INTERNAL;
#endif
  (void)err;
  *count = 1;
  return TRM_OK;
}

static int32_t props(uint32_t index, TrmProps* out, TrmErr* err) {
  TrmProps p = {0};
  const uint32_t size = out->struct_size < sizeof p ? out->struct_size : (uint32_t)sizeof p;
  (void)index, (void)err;
  p.struct_size = size;
  p.flags = TRM_SYNC_ONLY | TRM_DETERMINISTIC;
  strcpy(p.name, "misfit");
  p.space_count = 1;
  p.spaces[0] = (TrmSpace){1, TRM_SPACE_DEVICE, TRM_FLAT, 64, 1u << 30};
  memcpy(out, &p, size);
  return TRM_OK;
}

static int32_t open_device(uint32_t index, const TrmOption* options, uint32_t count, TrmDev** dev, TrmErr* err) {
  static int one;
  (void)index, (void)options, (void)count, (void)err;
  *dev = (TrmDev*)&one;
  return TRM_OK;
}
static int32_t close_device(TrmDev* dev) { return (void)dev, TRM_OK; }

static int32_t chunk_alloc(TrmDev* dev, uint32_t space, uint64_t bytes, uint32_t flags, TrmMem* mem, TrmErr* err) {
  (void)dev, (void)flags, (void)err;
  *mem = (TrmMem){(uint64_t)(uintptr_t)calloc(1, bytes ? bytes : 1), 0, bytes, space, 0};
  return mem->handle ? TRM_OK : TRM_OUT_OF_MEMORY;
}
static int32_t chunk_free(TrmDev* dev, const TrmMem* mem) {
  (void)dev;
  free((void*)(uintptr_t)mem->handle);
  return TRM_OK;
}
static int32_t copy(TrmDev* dev, const TrmCopy* c, TrmStream* stream, uint64_t tag, TrmErr* err) {
  (void)dev, (void)stream, (void)tag, (void)err;
  memmove((void*)(uintptr_t)(c->dst.handle + c->dst.offset), (const void*)(uintptr_t)(c->src.handle + c->src.offset),
          c->bytes);
  return TRM_OK;
}
static int32_t sync_device(TrmDev* dev, TrmErr* err) { return (void)dev, (void)err, TRM_OK; }

/* A bank with room behind it: what a header of a later minor version, or an earlier one, would have there. */
static struct {
  TrmDeviceBank bank;
  void* later[16];
} device;

#ifdef MISFIT_CRASH_LOADING
__attribute__((constructor)) static void on_load(void) { *(volatile int*)0 = 1; }
#endif

TRM_EXPORT int32_t TRIREME_CHIP_ENTRY(const TrmHost* host, TrmChip* chip) {
  (void)host;
#if defined(MISFIT_EXIT)
  exit(3);
#elif defined(MISFIT_HANG_ENTRY)
  for (;;) sleep(1);
#elif defined(MISFIT_PRINTS)
  printf("Nobody's driver 1.0\n");
#elif defined(MISFIT_REFUSES)
  return TRM_UNSUPPORTED;
#endif
  memset(&device, 0x5a, sizeof device); /* what a slot that was never written looks like at its worst */
  memset(&device.bank, 0, offsetof(TrmDeviceBank, fill));
#ifndef MISFIT_OLD
  memset(&device.bank, 0, sizeof device.bank);
#endif
  device.bank.struct_size = sizeof device.bank;
  device.bank.enumerate = enumerate;
  device.bank.props = props;
  device.bank.open = open_device;
  device.bank.close = close_device;
  device.bank.chunk_alloc = chunk_alloc;
  device.bank.chunk_free = chunk_free;
  device.bank.copy = copy;
  device.bank.sync = sync_device;
#if defined(MISFIT_OLD) /* a header that ended behind `sync` */
  device.bank.struct_size = offsetof(TrmDeviceBank, fill);
#elif defined(MISFIT_LATER) /* one that has 16 more slots */
  device.bank.struct_size = sizeof device;
#elif defined(MISFIT_NO_SIZE)
  device.bank.struct_size = 0;
#elif defined(MISFIT_MISSING)
  device.bank.chunk_free = NULL;
  device.bank.sync = NULL;
#endif
#ifdef MISFIT_OLD /* its TrmChip ended behind `compute` */
  if (chip->struct_size > offsetof(TrmChip, comm)) chip->struct_size = offsetof(TrmChip, comm);
#endif
  chip->abi_minor = TRM_ABI_MINOR;
  chip->vendor = "Nobody";
  chip->plugin_version = "1";
  chip->build_id = "1";
#ifndef MISFIT_NO_NAME
  chip->name = MISFIT_NAME;
#endif
#ifndef MISFIT_NO_DEVICE
  chip->device = &device.bank;
#endif
  return TRM_OK;
}
