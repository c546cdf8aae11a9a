// The collective library of Kunlun (BKCL, also XCCL): collectives and messages between devices, under the public names.
// Plain C. Callers show the names and the order of arguments; the values of the enums, BKCL_UNIQUE_ID_BYTES and what
// bkcl_comm_abort leaves behind are guesses.
//
// A communicator has ranks 0 to nranks - 1, each a device of this process or another one of the same host. Every call
// with a stream only queues; what it does is done in the order of the stream, and `send` and `recv` must stay until
// then. They are memory of the device of the communicator, which must be current. Counts are of elements; 0 is fine.
// Calls of one communicator run in the order in which they were made, on whichever streams. All ranks make the same
// calls in the same order. `recv` may be `send`, or overlap it in any way.
//
// Results are those of a sum (product, ...) in the order of the ranks, 0 first; FLOAT16 and BFLOAT16 are added up in
// float and rounded once. All ranks get the same bits. Integers wrap. MIN and MAX of a NaN are NaN.
//
// Errors. A call returns BKCL_INVALID_ARGUMENT for what it can tell at once; bkcl_last_error says what. What fails
// later (ranks that ask for different things, one that died, left, aborted, or did not come in time) is an error on
// every rank: the wait for the stream returns XPUERR_DMAABORT, xpusim_fault_text says what, and every later call of the
// communicator returns BKCL_RUNTIME_ERROR with the same text. Real devices hang instead. XPUSIM_BKCL_TIMEOUT is how
// many seconds of real time a rank waits for another one, 300 if it is not set; it is read by bkcl_init_rank and
// bkcl_comm_init_all.
//
// Time, on the virtual clock: a call begins when the last rank has come to it, and takes a launch and
//   all_reduce                  2 (n - 1) / n * bytes / rate + 2 (n - 1) * latency
//   reduce_scatter, all_gather,
//   all_to_all                  (n - 1) / n * bytes / rate + (n - 1) * latency, bytes of all ranks' parts together
//   reduce, broadcast           bytes / rate + (n - 1) * latency
//   messages, all_to_all_v      the larger of what goes out and comes in / rate + latency for each peer
// where rate is that of the link between cards or, without one, of PCIe. The clocks of processes are compared as they
// are: each begins at 0 with its process.
#ifndef TRIREME_XPU_BKCL_H
#define TRIREME_XPU_BKCL_H

#include "runtime.h"

#ifdef __cplusplus
extern "C" {
#endif

// NOLINTBEGIN(readability-identifier-naming): the public names of the vendor's interface

typedef enum {
  BKCL_SUCCESS = 0,
  BKCL_INVALID_ARGUMENT = 1,
  BKCL_RUNTIME_ERROR = 2,  // of the runtime, or the communicator has failed
  BKCL_SYSTEM_ERROR = 3,   // of the operating system
  BKCL_INTERNAL_ERROR = 4,
} BKCLResult_t;

typedef enum {
  BKCL_FLOAT = 0,
  BKCL_FLOAT16 = 1,
  BKCL_BFLOAT16 = 2,
  BKCL_FLOAT64 = 3,
  BKCL_UINT8 = 4,
  BKCL_INT32 = 5,
  BKCL_INT64 = 6,
} BKCLDataType;

typedef enum {
  BKCL_ADD = 0,
  BKCL_PRODUCT = 1,
  BKCL_MIN = 2,
  BKCL_MAX = 3,
} BKCLOp;

enum { BKCL_UNIQUE_ID_BYTES = 128 };

typedef struct {
  char internal[BKCL_UNIQUE_ID_BYTES];
} BKCLUniqueId;

typedef struct BKCLContext* BKCLContext_t;

// NOLINTEND(readability-identifier-naming)

// ---- communicators

// Made by one rank, which gives it to the others by its own means. For one communicator only.
BKCLResult_t bkcl_get_unique_id(BKCLUniqueId* id);
// Joins as a rank, with the current device, and waits until all have joined: 1 to 64 ranks, each on its own device.
// Not inside of a group.
BKCLResult_t bkcl_init_rank(BKCLContext_t* context, int rank, int nranks, const BKCLUniqueId* id);
// All ranks in one call; rank i on device devices[i], or i when `devices` is null.
BKCLResult_t bkcl_comm_init_all(BKCLContext_t* contexts, int count, const int* devices);
// Ends what is the rank's own; queued calls of it still run.
BKCLResult_t bkcl_destroy_context(BKCLContext_t context);
// Makes all calls of the communicator fail that are not done, on all ranks. The context stays, to be destroyed.
BKCLResult_t bkcl_comm_abort(BKCLContext_t context);
BKCLResult_t bkcl_comm_count(BKCLContext_t context, int* count);
BKCLResult_t bkcl_comm_user_rank(BKCLContext_t context, int* rank);

// ---- collectives

BKCLResult_t bkcl_all_reduce(BKCLContext_t context, const void* send, void* recv, size_t count, BKCLDataType type,
                             BKCLOp op, XPUStream stream);
// `recv` is of use on the root only.
BKCLResult_t bkcl_reduce(BKCLContext_t context, const void* send, void* recv, size_t count, BKCLDataType type,
                         BKCLOp op, int root, XPUStream stream);
// `send` is of use on the root only.
BKCLResult_t bkcl_broadcast(BKCLContext_t context, const void* send, void* recv, size_t count, BKCLDataType type,
                            int root, XPUStream stream);
// `recv` has nranks * send_count elements, by rank.
BKCLResult_t bkcl_all_gather(BKCLContext_t context, const void* send, size_t send_count, void* recv, BKCLDataType type,
                             XPUStream stream);
// `send` has nranks * recv_count elements, by the rank that gets them.
BKCLResult_t bkcl_reduce_scatter(BKCLContext_t context, const void* send, void* recv, size_t recv_count,
                                 BKCLDataType type, BKCLOp op, XPUStream stream);
// Both have nranks * count elements, by the other rank.
BKCLResult_t bkcl_all_to_all(BKCLContext_t context, const void* send, size_t count, void* recv, BKCLDataType type,
                             XPUStream stream);
// Counts and offsets, in elements and nranks of each, are size_t in memory of the device and read when the call runs.
// What rank i sends to j must be as many elements as j receives from i. Both types must be equal.
BKCLResult_t bkcl_all_to_all_v(BKCLContext_t context, const void* send, const size_t* send_counts,
                               const size_t* send_offsets, BKCLDataType send_type, void* recv,
                               const size_t* recv_counts, const size_t* recv_offsets, BKCLDataType recv_type,
                               XPUStream stream);

// ---- messages

// A message and its receipt wait for each other. To oneself: in a group only.
BKCLResult_t bkcl_send(BKCLContext_t context, const void* send, size_t count, int peer, BKCLDataType type,
                       XPUStream stream);
BKCLResult_t bkcl_recv(BKCLContext_t context, void* recv, size_t count, int peer, BKCLDataType type, XPUStream stream);

// Between these a thread's calls are kept; the outermost end queues them and says what of their memory is wrong.
// Messages of one communicator and stream become one command, behind the group's collectives, in which none waits for
// another one.
BKCLResult_t bkcl_group_start(void);
BKCLResult_t bkcl_group_end(void);

// ---- only of the virtual library

// Why the last call of this thread that did not return BKCL_SUCCESS failed. Never null.
const char* bkcl_last_error(void);

#ifdef __cplusplus
}
#endif

#endif
