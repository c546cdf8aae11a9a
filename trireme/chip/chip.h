/* chip.h: how an AI chip plugs into Trireme. C11 and C++17; needs nothing but this file.
 *
 * A chip is a shared library with one exported symbol, trm_chip_entry_v1. It fills three banks of functions:
 *   device          memory, copies, streams, events       8 required: the chip boots, everything computes on the CPU
 *   compute         programs: query, prepare, enqueue      5 required: the chip computes
 *   communication   point-to-point and collectives         9 required: many chips train together
 * Every other slot is optional and stays optional for the life of version 1: leave it null and the host emulates it.
 * Guide: docs/guide/plug-in-a-chip.md. Template: ./dev new-chip NAME.
 *
 * Rules
 *   1. Every struct that may grow starts with `struct_size`, set by whoever fills it. A reader treats fields beyond the
 *      given size as zero. Larger is always fine, and so is smaller. Nobody tests for equality.
 *   2. Append only. Offsets never move within version 1 (tests/golden/chip_abi.txt).
 *   3. No implicit current device and no thread-local state. Every function may be called from any thread, unless it
 *      says otherwise; calls on one TrmStream are made by one thread at a time.
 *   4. A function that can fail returns TRM_OK or a TrmCode and, if `err` is not null, fills it. The caller owns it.
 *      Functions never throw, never call exit or abort, and never keep `err`.
 *   5. Work is ordered within a stream. A null TrmStream* is the device's own in-order queue. Every command carries a
 *      64-bit tag. When a command fails later, its stream is poisoned: commands behind it are skipped, and
 *      stream_status, stream_sync, event_sync and sync report the FIRST failing tag until the stream is destroyed (for
 *      the null stream: until reset or close). An event recorded on a poisoned stream passes with its failure: a stream
 *      that waits for it is poisoned with the same tag, since what it waited for never came to be.
 *   6. Memory handed to a command (TrmMem arrays, programs) need not outlive the call, except the bytes it points to.
 */
/* clang-format off */
#ifndef TRIREME_CHIP_H_
#define TRIREME_CHIP_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TRM_ABI_MAJOR 1
#define TRM_ABI_MINOR 2
#define TRM_MAX_RANK 8
#define TRM_MAX_OPERANDS 64 /* inputs + outputs of one program */
#define TRM_ABSENT UINT32_MAX /* an optional input that is not given */

/* ---- codes and small structs ------------------------------------------------------------------------------------ */

typedef enum TrmCode {
  TRM_OK = 0,
  TRM_INVALID = 1,       /* the call breaks a rule of this header */
  TRM_UNSUPPORTED = 2,   /* legal, but this chip does not do it */
  TRM_OUT_OF_MEMORY = 3, /* the host frees its caches and tries again */
  TRM_FAULT = 4,         /* a command failed; other streams go on */
  TRM_DEVICE_LOST = 5,   /* nothing on this device works until reset or reopening */
  TRM_TIMEOUT = 6,
  TRM_NOT_READY = 7, /* stream_query, event_query: still running */
  TRM_INTERNAL = 8
} TrmCode;

typedef enum TrmPrecision { /* how exactly TrmErr.tag names the failing command */
  TRM_TAG_UNKNOWN = 0,
  TRM_TAG_EXACT = 1,
  TRM_TAG_WINDOW = 2 /* it, or one enqueued before it on that stream since the last sync */
} TrmPrecision;

typedef struct TrmErr {
  uint32_t struct_size;
  int32_t code;        /* TrmCode */
  int64_t vendor_code; /* the chip's own number */
  uint64_t tag;        /* of the failing command; 0 if none */
  uint32_t precision;  /* TrmPrecision */
  uint32_t device;     /* index */
  char text[384];      /* UTF-8, zero-terminated */
} TrmErr;

typedef enum TrmDType { /* the numbers of trireme::DType */
  TRM_F64 = 1, TRM_F32 = 2, TRM_F16 = 3, TRM_BF16 = 4,
  TRM_I8 = 5, TRM_I16 = 6, TRM_I32 = 7, TRM_I64 = 8,
  TRM_U8 = 9, TRM_U16 = 10, TRM_U32 = 11, TRM_U64 = 12,
  TRM_BOOL = 13 /* one byte, 0 or 1 */
} TrmDType;

/* A piece of memory. `handle` comes from chunk_alloc and stays opaque to the host; `offset` is in bytes. */
typedef struct TrmMem {
  uint64_t handle;
  uint64_t offset;
  uint64_t bytes;
  uint32_t space; /* TrmSpace.id; TRM_HOST_SPACE: handle is an address on the host */
  uint32_t reserved;
} TrmMem;

#define TRM_HOST_SPACE 0u

typedef struct TrmDev TrmDev;         /* an open device */
typedef struct TrmStream TrmStream;   /* an in-order queue of a device */
typedef struct TrmEvent TrmEvent;     /* a point in a stream */
typedef struct TrmKernel TrmKernel;   /* a prepared program */
typedef struct TrmModule TrmModule;   /* compiled source */
typedef struct TrmFunc TrmFunc;       /* a function of a module */
typedef struct TrmComm TrmComm;       /* a communicator */
typedef struct TrmReplay TrmReplay;   /* captured work */
typedef struct TrmProgram TrmProgram; /* owned by the host, read through TrmProgramReader */

/* ---- device bank ------------------------------------------------------------------------------------------------ */

typedef enum TrmSpaceKind {
  TRM_SPACE_DEVICE = 1,
  TRM_SPACE_PINNED = 2,       /* on the host, fast to copy from and to */
  TRM_SPACE_HOST_VISIBLE = 3, /* on the device; the handle plus offset is also an address on the host */
  TRM_SPACE_UNIFIED = 4,      /* one memory; the handle plus offset is an address on the host */
  TRM_SPACE_SCRATCH = 5
} TrmSpaceKind;

typedef enum TrmAddressing {
  TRM_FLAT = 1,   /* handle is an address; handle + offset may be computed */
  TRM_HANDLE = 2, /* handle is opaque; offsets are honoured in every call */
  TRM_WHOLE = 3   /* handle is opaque; offset is always 0: one tensor per chunk */
} TrmAddressing;

typedef struct TrmSpace {
  uint32_t id;   /* 1 or more, unique in the device; spaces[0] of the properties is where tensors live */
  uint32_t kind; /* TrmSpaceKind */
  uint32_t addressing;
  uint32_t alignment; /* of offsets, in bytes, a power of two */
  uint64_t bytes;
} TrmSpace;

typedef enum TrmDeviceFlags {
  TRM_SYNC_ONLY = 1u << 0,     /* every command has finished when its call returns, and the call returns its failure */
  TRM_DETERMINISTIC = 1u << 1, /* same inputs, same bits */
  TRM_VIRTUAL_TIME = 1u << 2   /* clock_sample and event_elapsed tell simulated time */
} TrmDeviceFlags;

typedef struct TrmProps {
  uint32_t struct_size;
  uint32_t flags;
  char name[64]; /* "R200" */
  uint32_t space_count;
  uint32_t native_dtypes; /* bit 1 << TrmDType: types with native arithmetic */
  TrmSpace spaces[8];
  double flops_f32;           /* peak, per second */
  double flops_low;           /* peak of the fastest 16-bit type; 0: none */
  double memory_bandwidth;    /* bytes per second */
  double link_bandwidth;      /* host to device and back, bytes per second */
  double link_latency_ns;     /* of the smallest copy */
  double launch_latency_ns;   /* of the smallest kernel */
  uint32_t error_precision;   /* TrmPrecision of late faults */
  uint32_t units;             /* independent compute units, for information */
} TrmProps;

typedef struct TrmOption { /* what the user gave behind the device's name: refchip:0?persona=slow.json */
  const char* key;
  const char* value;
} TrmOption;

typedef struct TrmCopy {
  uint32_t struct_size;
  uint32_t reserved;
  TrmMem dst, src; /* at least one of them on this device, or both TRM_HOST_SPACE never */
  uint64_t bytes;
} TrmCopy;

typedef struct TrmCopyStrided {
  uint32_t struct_size;
  uint32_t rank;
  uint32_t item_bytes; /* 1, 2, 4 or 8 */
  uint32_t reserved;
  TrmMem dst, src;                   /* offset: of element [0, 0, ...] */
  int64_t dims[TRM_MAX_RANK];
  int64_t dst_strides[TRM_MAX_RANK]; /* in items; src strides may be 0 (broadcast) or negative (reverse) */
  int64_t src_strides[TRM_MAX_RANK];
} TrmCopyStrided;

typedef enum TrmFault { /* for certification: what fault_inject provokes */
  TRM_FAULT_NEXT_COMMAND = 1, /* the command with tag `argument` fails when it runs */
  TRM_FAULT_LATE = 2,         /* the same, reported only at the next sync */
  TRM_FAULT_LOST = 3,         /* the device is lost at tag `argument` */
  TRM_FAULT_OUT_OF_MEMORY = 4 /* the next `argument` allocations fail */
} TrmFault;

typedef struct TrmDeviceBank {
  uint32_t struct_size;
  uint32_t reserved;
  /* required: 8 */
  int32_t (*enumerate)(uint32_t* count, TrmErr* err);
  int32_t (*props)(uint32_t index, TrmProps* props, TrmErr* err);
  int32_t (*open)(uint32_t index, const TrmOption* options, uint32_t option_count, TrmDev** dev, TrmErr* err);
  int32_t (*close)(TrmDev* dev);
  int32_t (*chunk_alloc)(TrmDev* dev, uint32_t space, uint64_t bytes, uint32_t flags, TrmMem* mem, TrmErr* err);
  int32_t (*chunk_free)(TrmDev* dev, const TrmMem* mem);
  int32_t (*copy)(TrmDev* dev, const TrmCopy* copy, TrmStream* stream, uint64_t tag, TrmErr* err);
  int32_t (*sync)(TrmDev* dev, TrmErr* err); /* waits for every stream */
  /* optional: emulation of a null slot in brackets */
  int32_t (*fill)(TrmDev* dev, const TrmMem* mem, const void* item, uint32_t item_bytes, TrmStream* stream,
                  uint64_t tag, TrmErr* err); /* [copy from the host] */
  int32_t (*copy_strided)(TrmDev* dev, const TrmCopyStrided* copy, TrmStream* stream, uint64_t tag,
                          TrmErr* err); /* [the primitive strided_copy, else staged on the host] */
  int32_t (*host_register)(TrmDev* dev, void* address, uint64_t bytes, TrmErr* err); /* [pageable] */
  int32_t (*host_unregister)(TrmDev* dev, void* address);
  int32_t (*mem_info)(TrmDev* dev, uint32_t space, uint64_t* free_bytes, uint64_t* total_bytes,
                      TrmErr* err); /* [the host's own accounting] */
  int32_t (*peer_access)(TrmDev* dev, TrmDev* peer, uint32_t* possible, TrmErr* err); /* [through the host] */
  int32_t (*ipc_export)(TrmDev* dev, const TrmMem* mem, void* blob, uint32_t* blob_bytes, TrmErr* err); /* [copies] */
  int32_t (*ipc_import)(TrmDev* dev, const void* blob, uint32_t blob_bytes, TrmMem* mem, TrmErr* err);
  int32_t (*attr_get)(TrmDev* dev, const char* key, char* value, uint32_t value_bytes, TrmErr* err); /* [none] */
  int32_t (*reset)(TrmDev* dev, TrmErr* err); /* clears faults, loses memory contents [close and open] */
  int32_t (*stream_create)(TrmDev* dev, uint32_t flags, TrmStream** stream, TrmErr* err); /* [the one queue] */
  int32_t (*stream_destroy)(TrmDev* dev, TrmStream* stream);
  int32_t (*stream_query)(TrmDev* dev, TrmStream* stream, TrmErr* err);  /* TRM_NOT_READY while running [sync] */
  int32_t (*stream_sync)(TrmDev* dev, TrmStream* stream, TrmErr* err);   /* [sync] */
  int32_t (*stream_status)(TrmDev* dev, TrmStream* stream, TrmErr* err); /* never waits [errors at sync only] */
  int32_t (*event_create)(TrmDev* dev, TrmEvent** event, TrmErr* err);   /* events [order of the one queue] */
  int32_t (*event_destroy)(TrmDev* dev, TrmEvent* event);
  int32_t (*event_record)(TrmDev* dev, TrmEvent* event, TrmStream* stream, TrmErr* err);
  int32_t (*event_wait)(TrmDev* dev, TrmEvent* event, TrmStream* stream, TrmErr* err); /* the stream waits */
  int32_t (*event_query)(TrmDev* dev, TrmEvent* event, TrmErr* err);
  int32_t (*event_sync)(TrmDev* dev, TrmEvent* event, TrmErr* err); /* the host waits */
  int32_t (*event_elapsed)(TrmDev* dev, TrmEvent* from, TrmEvent* to, double* ns, TrmErr* err); /* [host clock] */
  int32_t (*capture_begin)(TrmDev* dev, TrmStream* stream, TrmErr* err); /* [launched one by one] */
  int32_t (*capture_end)(TrmDev* dev, TrmStream* stream, TrmReplay** replay, TrmErr* err);
  int32_t (*replay)(TrmDev* dev, TrmReplay* replay, TrmStream* stream, uint64_t tag, TrmErr* err);
  int32_t (*replay_free)(TrmDev* dev, TrmReplay* replay);
  int32_t (*clock_sample)(TrmDev* dev, uint64_t* device_ns, uint64_t* host_ns, TrmErr* err); /* [host clock] */
  int32_t (*trace_start)(TrmDev* dev, TrmErr* err); /* rows go to TrmHost.trace_emit [host timestamps] */
  int32_t (*trace_stop)(TrmDev* dev, TrmErr* err);
  int32_t (*fault_inject)(TrmDev* dev, uint32_t kind, uint64_t argument, TrmErr* err); /* [cases not shown] */
} TrmDeviceBank;

/* ---- programs --------------------------------------------------------------------------------------------------- */

/* The compute bank takes programs: small read-only graphs. One op is a program of one node, a fused region a program
 * of several, a whole model a program of many. Values are numbered 0, 1, ...; the inputs come first. */
typedef struct TrmValue {
  uint32_t struct_size;
  uint32_t dtype; /* TrmDType */
  uint32_t rank;
  uint32_t known;                 /* 1: a constant: no node makes it, no operand brings it; see constant_data */
  int64_t dims[TRM_MAX_RANK];
  int64_t strides[TRM_MAX_RANK];  /* in elements, of the memory that enqueue will get; 0: broadcast; negative: reversed */
  const void* constant_data;      /* element [0, 0, ...] of a constant on the host, laid out by strides */
} TrmValue;

typedef struct TrmNode {
  uint32_t struct_size;
  uint32_t version; /* of the op; 1 */
  const char* op;   /* "matmul" */
  uint32_t input_count, output_count;
  const uint32_t* inputs;  /* value numbers, or TRM_ABSENT */
  const uint32_t* outputs;
} TrmNode;

typedef enum TrmAttrKind {
  TRM_ATTR_INT = 0, TRM_ATTR_FLOAT = 1, TRM_ATTR_BOOL = 2, TRM_ATTR_STRING = 3,
  TRM_ATTR_DTYPE = 4, TRM_ATTR_INTS = 5, TRM_ATTR_TENSOR = 6, TRM_ATTR_PROGRAM = 7
} TrmAttrKind;

typedef struct TrmAttr {
  uint32_t struct_size;
  uint32_t kind;
  const char* name;
  int64_t i;                 /* INT, BOOL (0 or 1), DTYPE */
  double f;                  /* FLOAT */
  const char* s;             /* STRING */
  const int64_t* ints;       /* INTS */
  uint64_t count;            /* of ints; bytes of a tensor */
  const void* tensor;        /* TENSOR: dense bytes; its type is that of the node's first output */
  const TrmProgram* program; /* PROGRAM */
} TrmAttr;

/* Everything handed out lives as long as the program; `retain` makes it live until the matching `release`. */
typedef struct TrmProgramReader {
  uint32_t struct_size;
  uint32_t reserved;
  uint64_t (*hash)(const TrmProgram* program); /* same hash, same program: a key for caches */
  uint32_t (*flags)(const TrmProgram* program); /* TrmProgramFlags */
  uint32_t (*value_count)(const TrmProgram* program);
  int32_t (*value)(const TrmProgram* program, uint32_t value, TrmValue* out);
  uint32_t (*input_count)(const TrmProgram* program);
  uint32_t (*input)(const TrmProgram* program, uint32_t index); /* value number */
  uint32_t (*output_count)(const TrmProgram* program);
  uint32_t (*output)(const TrmProgram* program, uint32_t index); /* value number */
  uint32_t (*node_count)(const TrmProgram* program);
  int32_t (*node)(const TrmProgram* program, uint32_t node, TrmNode* out);
  uint32_t (*attr_count)(const TrmProgram* program, uint32_t node);
  int32_t (*attr_at)(const TrmProgram* program, uint32_t node, uint32_t index, TrmAttr* out);
  int32_t (*attr)(const TrmProgram* program, uint32_t node, const char* name, TrmAttr* out);
  /* What a composite is made of, one level down; null for a primitive. */
  const TrmProgram* (*body)(const TrmProgram* program, uint32_t node);
  void (*retain)(const TrmProgram* program);
  void (*release)(const TrmProgram* program);
} TrmProgramReader;

typedef enum TrmProgramFlags {
  TRM_PROGRAM_DETERMINISTIC = 1u << 0 /* same inputs must give the same bits */
} TrmProgramFlags;

/* ---- compute bank ----------------------------------------------------------------------------------------------- */

typedef struct TrmOpDecl {
  const char* name; /* an op the chip has a kernel for, in some form; query has the last word */
  uint32_t dtypes;  /* bit 1 << TrmDType */
  uint32_t flags;   /* 0 */
} TrmOpDecl;

typedef enum TrmVerdict { TRM_NO = 0, TRM_NATIVE = 1, TRM_NATIVE_AFTER_CONVERSION = 2 } TrmVerdict;
enum { TRM_ANY_INPUT = -2 }; /* in TrmAnswer.in_place; since 1.2 */

typedef enum TrmReason { /* why not, for the ledger */
  TRM_REASON_NONE = 0,
  TRM_REASON_OP = 1,        /* no kernel of that name */
  TRM_REASON_DTYPE = 2,
  TRM_REASON_SHAPE = 3,     /* rank or sizes */
  TRM_REASON_ATTRIBUTE = 4,
  TRM_REASON_LAYOUT = 5,
  TRM_REASON_SIZE = 6,      /* too large or too small to pay */
  TRM_REASON_REGION = 7,    /* programs of several nodes are not taken (or not this one) */
  TRM_REASON_OTHER = 8
} TrmReason;

typedef struct TrmConversion { /* one operand the chip wants otherwise; the host converts before (inputs) or after */
  uint32_t operand;            /* inputs first, then outputs */
  uint32_t dtype;              /* TrmDType wanted */
  uint8_t order[TRM_MAX_RANK]; /* axes from outermost to innermost in dense memory; 0,1,2,... is row-major */
} TrmConversion;

typedef struct TrmAnswer {
  uint32_t struct_size;
  uint32_t verdict;  /* TrmVerdict */
  uint32_t reason;   /* TrmReason, when verdict is TRM_NO */
  uint32_t runs_on_host; /* 1: an honest "yes, but on the host"; counts as fallback in the ledger */
  double estimated_ns;   /* 0: unknown, the host estimates from TrmProps */
  uint64_t workspace_bytes;
  uint32_t conversion_count;
  uint32_t reserved;
  TrmConversion conversions[TRM_MAX_OPERANDS];
  /* Output k may be given the memory of input in_place[k]; TRM_ANY_INPUT: of any dense input of its type and sizes, each
   * of them to one output at most; -1: no. Host sets -1. */
  int32_t in_place[TRM_MAX_OPERANDS];
  char text[128];                     /* one phrase for the ledger: "no i64 kernel" */
  /* 0: floating products (of matrices and convolutions) are as exact as their type. Else each floating operand of such
   * a product is first rounded to a whole multiple of its largest magnitude / (2^(bits-1) - 1), one step for the whole
   * tensor, and sums lose nothing more: 16 is int16 fixed point. Tests and certificates derive their bounds from it. */
  uint32_t fixed_point_bits;
  uint32_t reserved2;
} TrmAnswer;

typedef struct TrmPart { /* one region a chip chose: a set of node numbers */
  uint32_t node_count;
  uint32_t reserved;
  const uint32_t* nodes;
} TrmPart;

typedef struct TrmComputeBank {
  uint32_t struct_size;
  uint32_t reserved;
  /* required: 5 */
  int32_t (*list_ops)(const TrmOpDecl** ops, uint32_t* count); /* static memory of the chip */
  int32_t (*query)(TrmDev* dev, const TrmProgram* program, TrmAnswer* answer, TrmErr* err);
  /* All tuning, compiling and packing of constants happens here. */
  int32_t (*prepare)(TrmDev* dev, const TrmProgram* program, TrmKernel** kernel, TrmErr* err);
  /* operands: the program's inputs, then its outputs. Constants are no operands. */
  int32_t (*enqueue)(TrmDev* dev, TrmKernel* kernel, const TrmMem* operands, uint32_t operand_count,
                     const TrmMem* workspace, TrmStream* stream, uint64_t tag, TrmErr* err);
  int32_t (*release)(TrmDev* dev, TrmKernel* kernel);
  /* optional: emulation of a null slot in brackets */
  int32_t (*partition)(TrmDev* dev, const TrmProgram* graph, const TrmPart** parts, uint32_t* count,
                       TrmErr* err); /* valid until the next call [the host chooses regions] */
  /* A kernel as bytes, to be kept in a file and loaded by a later process. A null blob asks for their number alone; else
   * `bytes` is the room, then the number. They begin with the chip's build_id and its zero byte, so that whoever keeps
   * them sees whose they are. deserialize takes what serialize of the same build gave for such a device, whole and
   * unchanged, and refuses everything else with TRM_INVALID. */
  int32_t (*serialize)(TrmDev* dev, TrmKernel* kernel, void* blob, uint64_t* bytes, TrmErr* err); /* [prepare again] */
  int32_t (*deserialize)(TrmDev* dev, const void* blob, uint64_t bytes, TrmKernel** kernel, TrmErr* err);
  int32_t (*codegen_info)(TrmDev* dev, char* languages, uint32_t bytes, TrmErr* err); /* [no code generator] */
  int32_t (*module_compile)(TrmDev* dev, const char* language, const char* source, uint64_t source_bytes,
                            const char* options, void* blob, uint64_t* blob_bytes, TrmErr* err);
  int32_t (*module_load)(TrmDev* dev, const void* blob, uint64_t bytes, TrmModule** module, TrmErr* err);
  int32_t (*module_unload)(TrmDev* dev, TrmModule* module);
  int32_t (*module_func)(TrmDev* dev, TrmModule* module, const char* name, TrmFunc** func, TrmErr* err);
  int32_t (*launch)(TrmDev* dev, TrmFunc* func, const uint64_t work[3], const uint64_t group[3],
                    uint64_t scratch_bytes, const TrmMem* operands, uint32_t operand_count, const void* scalars,
                    uint64_t scalar_bytes, TrmStream* stream, uint64_t tag, TrmErr* err);
} TrmComputeBank;

/* ---- communication bank (declared; a chip may leave the pointer null) -------------------------------------------- */

typedef enum TrmReduceOp { TRM_SUM = 0, TRM_PROD = 1, TRM_MIN = 2, TRM_MAX = 3, TRM_AVERAGE = 4 } TrmReduceOp;

/* Rules
 *   - Counts are in elements, one dtype per call. Every rank of a communicator issues the same calls in the same order.
 *   - Calls are asynchronous on the stream. send and recv between group_begin and group_end are one unit: they may be
 *     issued in any order and cannot block one another.
 *   - abort ends every pending and future call of this rank's communicator with TRM_FAULT within 2 seconds, from any
 *     thread, while other calls run. status never waits. After abort only destroy is legal.
 *   - All ranks get the same bits from all_reduce. */
typedef struct TrmCommBank {
  uint32_t struct_size;
  uint32_t id_bytes; /* size of the blob that id_create writes */
  /* required: 9 */
  int32_t (*id_create)(void* blob, TrmErr* err); /* one rank; the host spreads the blob (TrmHost.kv_put, kv_get) */
  int32_t (*init)(TrmDev* dev, const void* id, uint32_t ranks, uint32_t rank, TrmComm** comm, TrmErr* err);
  int32_t (*destroy)(TrmComm* comm);
  int32_t (*abort)(TrmComm* comm);
  int32_t (*status)(TrmComm* comm, TrmErr* err);
  int32_t (*send)(TrmComm* comm, const TrmMem* mem, uint64_t bytes, uint32_t peer, TrmStream* stream, uint64_t tag,
                  TrmErr* err);
  int32_t (*recv)(TrmComm* comm, const TrmMem* mem, uint64_t bytes, uint32_t peer, TrmStream* stream, uint64_t tag,
                  TrmErr* err);
  int32_t (*group_begin)(TrmComm* comm, TrmErr* err);
  int32_t (*group_end)(TrmComm* comm, TrmErr* err);
  /* optional: [built from send, recv and the chip's own reduction kernel] */
  int32_t (*supports)(TrmComm* comm, const char* collective, uint32_t dtype, uint32_t op, uint64_t bytes);
  int32_t (*all_reduce)(TrmComm* comm, const TrmMem* in, const TrmMem* out, uint64_t count, uint32_t dtype, uint32_t op,
                        TrmStream* stream, uint64_t tag, TrmErr* err);
  int32_t (*reduce)(TrmComm* comm, const TrmMem* in, const TrmMem* out, uint64_t count, uint32_t dtype, uint32_t op,
                    uint32_t root, TrmStream* stream, uint64_t tag, TrmErr* err);
  int32_t (*broadcast)(TrmComm* comm, const TrmMem* mem, uint64_t count, uint32_t dtype, uint32_t root,
                       TrmStream* stream, uint64_t tag, TrmErr* err);
  int32_t (*all_gather)(TrmComm* comm, const TrmMem* in, const TrmMem* out, const uint64_t* counts, uint32_t dtype,
                        TrmStream* stream, uint64_t tag, TrmErr* err);
  int32_t (*reduce_scatter)(TrmComm* comm, const TrmMem* in, const TrmMem* out, const uint64_t* counts, uint32_t dtype,
                            uint32_t op, TrmStream* stream, uint64_t tag, TrmErr* err);
  int32_t (*all_to_all)(TrmComm* comm, const TrmMem* in, const uint64_t* send_counts, const TrmMem* out,
                        const uint64_t* recv_counts, uint32_t dtype, TrmStream* stream, uint64_t tag, TrmErr* err);
  int32_t (*permute)(TrmComm* comm, const TrmMem* in, const TrmMem* out, uint64_t count, uint32_t dtype, uint32_t to,
                     uint32_t from, TrmStream* stream, uint64_t tag, TrmErr* err);
  int32_t (*barrier)(TrmComm* comm, TrmStream* stream, uint64_t tag, TrmErr* err);
  int32_t (*split)(TrmComm* comm, int32_t color, int32_t key, TrmComm** part, TrmErr* err);
  int32_t (*mem_register)(TrmComm* comm, const TrmMem* mem, TrmErr* err);
} TrmCommBank;

/* ---- host services and entry ------------------------------------------------------------------------------------ */

typedef enum TrmLogLevel { TRM_LOG_DEBUG = 0, TRM_LOG_INFO = 1, TRM_LOG_WARN = 2, TRM_LOG_ERROR = 3 } TrmLogLevel;

typedef struct TrmTraceRow {
  uint32_t struct_size;
  uint32_t device;
  uint64_t tag;
  uint64_t begin_ns, end_ns; /* device clock; see clock_sample */
  const char* name;
  TrmStream* stream;
} TrmTraceRow;

typedef struct TrmHost {
  uint32_t struct_size;
  uint32_t abi_minor;
  void (*log)(uint32_t level, const char* text);
  void (*trace_emit)(const TrmTraceRow* row);
  int32_t (*kv_put)(const char* key, const void* value, uint64_t bytes);
  int32_t (*kv_get)(const char* key, void* value, uint64_t* bytes, uint64_t timeout_ms);
  void* (*host_alloc)(uint64_t bytes, uint64_t alignment);
  void (*host_free)(void* memory);
  /* Runs body(context, begin, end) over pieces of [0, count) on the host's one thread pool; returns when all are done.
   * Pieces are at least `grain` long; with one thread body is called once. May be nested: an inner call runs inline. */
  void (*parallel_for)(uint64_t count, uint64_t grain, void (*body)(void* context, uint64_t begin, uint64_t end),
                       void* context);
  uint32_t (*threads)(void);
  const TrmProgramReader* program;
  /* Services by name and least version; null when the host does not have it. "trireme.evaluate" 1: TrmEvaluate. */
  const void* (*get_ext)(const char* name, uint32_t min_version);
} TrmHost;

/* The reference evaluator as a service: exact integers, doubles inside, rounded to the outputs' types. Slow and plain.
 * Pointers are host addresses of element [0, 0, ...] of each program input and output, laid out by the program's
 * strides. For fake chips and for shadow checks; a real chip brings kernels. */
typedef struct TrmEvaluate {
  uint32_t struct_size;
  uint32_t reserved;
  int32_t (*run)(const TrmProgram* program, const void* const* inputs, void* const* outputs, TrmErr* err);
  /* Floating operations of the program by the cost model, and bytes read and written. */
  int32_t (*cost)(const TrmProgram* program, double* flops, double* bytes);
  /* 1: every op of the program has a truth (no control flow, no composite without a body of such ops), and no value
   * has more than 2^28 elements. */
  int32_t (*can_run)(const TrmProgram* program);
} TrmEvaluate;

typedef struct TrmChip {
  uint32_t struct_size;
  uint32_t abi_minor;         /* TRM_ABI_MINOR the chip was built with */
  const char* vendor;         /* "Kunlunxin" */
  const char* name;           /* the word users write: "xpu"; lower case, [a-z][a-z0-9_]* */
  const char* plugin_version; /* "1.2.0" */
  const char* build_id;       /* changes whenever prepared kernels become invalid; key of caches on disk */
  const TrmDeviceBank* device;   /* required */
  const TrmComputeBank* compute; /* null: everything computes on the CPU */
  const TrmCommBank* comm;       /* null: staged through the host */
  void (*shutdown)(void);        /* last call; null: nothing to do */
  const void* (*get_ext)(const char* name, uint32_t min_version); /* vendor features by name; null: none */
} TrmChip;

/* The one exported symbol. Fills `chip` (the host sets chip->struct_size before; write no field beyond it) and keeps
 * `host` for later. Returns TRM_OK, or a code when the chip cannot work here at all; having no device is not an error:
 * enumerate says 0. */
typedef int32_t (*TrmChipEntry)(const TrmHost* host, TrmChip* chip);

#ifndef TRIREME_CHIP_ENTRY
#define TRIREME_CHIP_ENTRY trm_chip_entry_v1
#endif
#if defined(_WIN32)
#define TRM_EXPORT __declspec(dllexport)
#else
#define TRM_EXPORT __attribute__((visibility("default")))
#endif
TRM_EXPORT int32_t TRIREME_CHIP_ENTRY(const TrmHost* host, TrmChip* chip);

#ifdef __cplusplus
}
#endif

#endif /* TRIREME_CHIP_H_ */
