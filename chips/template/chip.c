/* newchip: a chip for Trireme, made from the template. Guide: docs/guide/plug-in-a-chip.md.
 *
 * Two stages, each complete:
 *   STAGE 1  eight device functions: the chip boots; memory lives here and the CPU computes.
 *   STAGE 2  five compute functions and the 37 primitives of the level "Trains", bring-up ones first.
 * As it stands "device memory" is malloc and the kernels are plain loops in f32, i32 and bool. Replace, in this order:
 * memory and copies by your driver's, kernels by your library's, then add streams, types and whole ops (softmax, ...).
 * C11; needs chip.h and the C library only.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trireme/chip/chip.h"

#define NAME "newchip"

static const TrmHost* host;

static int32_t fail(TrmErr* err, TrmCode code, const char* text) {
  if (err && err->struct_size >= sizeof *err) { /* a shorter one has no room for the text */
    err->code = code;
    snprintf(err->text, sizeof err->text, "%s", text);
  }
  return code;
}

/* ==== STAGE 1: boots ============================================================================================= */

enum { kSpace = 1 };

struct TrmDev {
  uint32_t index;
};

static char* address(const TrmMem* mem) { return (char*)(uintptr_t)mem->handle + mem->offset; }

static int32_t enumerate(uint32_t* count, TrmErr* err) {
  (void)err;
  *count = 1; /* ask your driver; 0 is no error */
  return TRM_OK;
}

static int32_t props(uint32_t index, TrmProps* out, TrmErr* err) {
  if (index != 0) return fail(err, TRM_INVALID, "no such device");
  TrmProps p = {0};
  p.struct_size = out->struct_size < sizeof p ? out->struct_size : (uint32_t)sizeof p;
  p.flags = TRM_SYNC_ONLY | TRM_DETERMINISTIC; /* every call below returns when the work is done */
  snprintf(p.name, sizeof p.name, "%s", NAME);
  p.space_count = 1;
  p.spaces[0] = (TrmSpace){kSpace, TRM_SPACE_DEVICE, TRM_FLAT, 64, (uint64_t)4 << 30};
  p.native_dtypes = 1u << TRM_F32 | 1u << TRM_I32 | 1u << TRM_BOOL;
  p.flops_f32 = 1e9; /* say what you measure: the host decides with these what runs where */
  p.memory_bandwidth = 1e9;
  p.link_bandwidth = 1e10;
  p.link_latency_ns = 1000;
  p.launch_latency_ns = 1000;
  p.error_precision = TRM_TAG_EXACT;
  p.units = 1;
  memcpy(out, &p, p.struct_size);
  return TRM_OK;
}

static int32_t open_device(uint32_t index, const TrmOption* options, uint32_t option_count, TrmDev** dev, TrmErr* err) {
  (void)options;
  if (index != 0) return fail(err, TRM_INVALID, "no such device");
  if (option_count) return fail(err, TRM_INVALID, NAME " takes no options");
  *dev = calloc(1, sizeof **dev);
  if (!*dev) return fail(err, TRM_OUT_OF_MEMORY, "no host memory left");
  (*dev)->index = index;
  return TRM_OK;
}

static int32_t close_device(TrmDev* dev) {
  free(dev);
  return TRM_OK;
}

static int32_t chunk_alloc(TrmDev* dev, uint32_t space, uint64_t bytes, uint32_t flags, TrmMem* mem, TrmErr* err) {
  (void)dev, (void)flags;
  if (space != kSpace) return fail(err, TRM_INVALID, "no such space");
  void* memory = aligned_alloc(64, (size_t)(bytes / 64 + 1) * 64);
  if (!memory) return fail(err, TRM_OUT_OF_MEMORY, "no memory left");
  *mem = (TrmMem){(uint64_t)(uintptr_t)memory, 0, bytes, kSpace, 0};
  return TRM_OK;
}

static int32_t chunk_free(TrmDev* dev, const TrmMem* mem) {
  (void)dev;
  free(address(mem));
  return TRM_OK;
}

/* Host to device, device to host, or inside the device: space TRM_HOST_SPACE tells which side is which. */
static int32_t copy(TrmDev* dev, const TrmCopy* c, TrmStream* stream, uint64_t tag, TrmErr* err) {
  (void)dev, (void)stream, (void)tag, (void)err;
  if (c->bytes) memmove(address(&c->dst), address(&c->src), c->bytes);
  return TRM_OK;
}

static int32_t sync(TrmDev* dev, TrmErr* err) {
  (void)dev, (void)err;
  return TRM_OK;
}

static const TrmDeviceBank device_bank = {
    .struct_size = sizeof(TrmDeviceBank),
    .enumerate = enumerate,
    .props = props,
    .open = open_device,
    .close = close_device,
    .chunk_alloc = chunk_alloc,
    .chunk_free = chunk_free,
    .copy = copy,
    .sync = sync,
};

/* ==== STAGE 2: trains ============================================================================================ */

typedef enum Family { FILL, IOTA, COPY, CONVERT, SELECT, GATHER, SCATTER, UNARY, BINARY, COMPARE, REDUCE, DOT } Family;

#define F32 (1u << TRM_F32)
#define I32 (1u << TRM_I32)
#define BOOL (1u << TRM_BOOL)
#define ANY (F32 | I32 | BOOL)

/* The kernels, with the types of the values they work on. */
static const struct Op {
  const char* name;
  Family family;
  uint32_t types;
} ops[] = {
    {"fill", FILL, ANY},
    {"strided_copy", COPY, ANY},
    {"convert", CONVERT, ANY},
    {"select", SELECT, ANY},
    {"gather", GATHER, ANY},
    {"scatter_add", SCATTER, F32 | I32},
    {"exp", UNARY, F32},
    {"log", UNARY, F32},
    {"rsqrt", UNARY, F32},
    {"tanh", UNARY, F32},
    {"add", BINARY, F32 | I32},
    {"sub", BINARY, F32 | I32},
    {"mul", BINARY, F32 | I32},
    {"div", BINARY, F32 | I32},
    {"max", BINARY, F32 | I32},
    {"compare", COMPARE, ANY},
    {"reduce_sum", REDUCE, F32 | I32},
    {"reduce_max", REDUCE, F32 | I32},
    {"dot_general", DOT, F32},
    /* with the 19 above, enough for any model by its parts; with these 18 the parts stay on the chip */
    {"iota", IOTA, F32 | I32},
    {"scatter_set", SCATTER, ANY},
    {"neg", UNARY, F32 | I32},
    {"abs", UNARY, F32 | I32},
    {"sign", UNARY, F32 | I32},
    {"not", UNARY, I32 | BOOL},
    {"floor", UNARY, F32},
    {"ceil", UNARY, F32},
    {"round_even", UNARY, F32},
    {"sqrt", UNARY, F32},
    {"sin", UNARY, F32},
    {"cos", UNARY, F32},
    {"min", BINARY, F32 | I32},
    {"rem", BINARY, F32 | I32},
    {"pow", BINARY, F32},
    {"and", BINARY, I32 | BOOL},
    {"or", BINARY, I32 | BOOL},
    {"reduce_min", REDUCE, F32 | I32},
};
enum { kOps = sizeof ops / sizeof ops[0] };

/* A value in memory: `data` is element [0, 0, ...]; axes are reached by strides, which may be 0 or negative. */
typedef struct Tensor {
  TrmValue type;
  char* data;
} Tensor;

struct TrmKernel {
  const TrmProgram* program; /* retained: names, lists and constants live as long as it */
  const struct Op* op;
  uint32_t inputs, outputs; /* operands of enqueue */
  uint32_t arguments;       /* of the node: its inputs, then its one output */
  Tensor argument[4];
  uint32_t operand[4]; /* which operand brings argument k; TRM_ABSENT: a constant */
  double value;        /* attributes */
  int64_t axis;
  uint32_t axes; /* bit per reduced axis */
  int keepdims;
  const char* kind;
};

static int64_t elements(const TrmValue* v) {
  int64_t count = 1;
  for (uint32_t a = 0; a < v->rank; ++a) count *= v->dims[a];
  return count;
}

static char* at(const Tensor* t, const int64_t* index) {
  const int64_t item = t->type.dtype == TRM_BOOL ? 1 : 4;
  int64_t offset = 0;
  for (uint32_t a = 0; a < t->type.rank; ++a) offset += index[a] * t->type.strides[a];
  return t->data + offset * item;
}

/* Steps `index` through the axes whose bit is set in `axes`, row-major; 0 when it has come round. */
static int next(int64_t* index, const TrmValue* v, uint32_t axes) {
  for (uint32_t a = v->rank; a-- > 0;) {
    if (!(axes >> a & 1)) continue;
    if (++index[a] < v->dims[a]) return 1;
    index[a] = 0;
  }
  return 0;
}

static float get_float(const Tensor* t, const int64_t* index) { return *(float*)at(t, index); }
static int64_t get_int(const Tensor* t, const int64_t* index) {
  return t->type.dtype == TRM_BOOL ? *(uint8_t*)at(t, index) : *(int32_t*)at(t, index);
}
static void set_float(const Tensor* t, const int64_t* index, float value) { *(float*)at(t, index) = value; }
static void set_int(const Tensor* t, const int64_t* index, int64_t value) { /* wraps */
  if (t->type.dtype == TRM_BOOL) *(uint8_t*)at(t, index) = value != 0;
  else *(int32_t*)at(t, index) = (int32_t)(uint32_t)(uint64_t)value;
}
static int is_float(const Tensor* t) { return t->type.dtype == TRM_F32; }
static void copy_element(const Tensor* to, const int64_t* i, const Tensor* from, const int64_t* j) {
  if (is_float(to)) set_float(to, i, get_float(from, j));
  else set_int(to, i, get_int(from, j));
}

static float unary_float(const char* op, float x) {
  if (!strcmp(op, "exp")) return expf(x);
  if (!strcmp(op, "log")) return logf(x);
  if (!strcmp(op, "tanh")) return tanhf(x);
  if (!strcmp(op, "neg")) return -x;
  if (!strcmp(op, "abs")) return fabsf(x);
  if (!strcmp(op, "sign")) return x > 0 ? 1.0f : x < 0 ? -1.0f : x; /* NaN and -0 stay */
  if (!strcmp(op, "floor")) return floorf(x);
  if (!strcmp(op, "ceil")) return ceilf(x);
  if (!strcmp(op, "round_even")) return rintf(x);
  if (!strcmp(op, "sqrt")) return sqrtf(x);
  if (!strcmp(op, "sin")) return sinf(x);
  if (!strcmp(op, "cos")) return cosf(x);
  return (float)(1.0 / sqrt((double)x)); /* rsqrt */
}

static int64_t unary_int(const char* op, int64_t x, int is_bool) {
  if (!strcmp(op, "not")) return is_bool ? !x : ~x;
  if (!strcmp(op, "sign")) return (x > 0) - (x < 0);
  return !strcmp(op, "neg") || x < 0 ? -x : x; /* neg, abs */
}

static float max_float(float a, float b) { return isnan(a) ? a : isnan(b) ? b : a > b ? a : b; } /* NaN wins */
static float min_float(float a, float b) { return isnan(a) ? a : isnan(b) ? b : a < b ? a : b; }

static float binary_float(const char* op, float a, float b) {
  switch (op[0]) {
    case 'a': return a + b;
    case 's': return a - b;
    case 'd': return a / b;
    case 'r': return fmodf(a, b);
    case 'p': return powf(a, b);
    default: return op[1] == 'u' ? a * b : op[1] == 'i' ? min_float(a, b) : max_float(a, b);
  }
}

static int64_t binary_int(const char* op, int64_t a, int64_t b) {
  switch (op[0]) {
    case 'a': return op[1] == 'n' ? (a & b) : a + b;
    case 's': return a - b;
    case 'd': return b == 0 ? 0 : a / b; /* toward zero; x / 0 is 0 */
    case 'r': return b == 0 ? 0 : a % b;
    case 'o': return a | b;
    default: return op[1] == 'u' ? a * b : (op[1] == 'i') == (a < b) ? a : b;
  }
}

/* order: a < b gives -1, a == b 0, a > b 1; 2 when one is NaN: only "ne" holds then. */
static int holds(const char* kind, int order) {
  if (!strcmp(kind, "eq")) return order == 0;
  if (!strcmp(kind, "ne")) return order != 0;
  if (!strcmp(kind, "lt")) return order == -1;
  if (!strcmp(kind, "le")) return order == -1 || order == 0;
  if (!strcmp(kind, "gt")) return order == 1;
  return order == 1 || order == 0; /* ge */
}

/* Floats become integers by truncation, saturating; NaN becomes 0. */
static int64_t to_int(float x) {
  if (isnan(x)) return 0;
  return x >= 2147483648.0f ? INT32_MAX : x < -2147483648.0f ? INT32_MIN : (int64_t)x;
}

static void run_elementwise(const TrmKernel* k, const Tensor* x, const Tensor* y) {
  int64_t i[TRM_MAX_RANK] = {0};
  const char* op = k->op->name;
  do {
    switch (k->op->family) {
      case FILL:
        if (is_float(y)) set_float(y, i, (float)k->value);
        else set_int(y, i, (int64_t)k->value);
        break;
      case COPY: copy_element(y, i, &x[0], i); break;
      case SELECT: copy_element(y, i, get_int(&x[0], i) ? &x[1] : &x[2], i); break;
      case IOTA:
        if (is_float(y)) set_float(y, i, (float)i[k->axis]);
        else set_int(y, i, i[k->axis]);
        break;
      case UNARY:
        if (is_float(y)) set_float(y, i, unary_float(op, get_float(&x[0], i)));
        else set_int(y, i, unary_int(op, get_int(&x[0], i), y->type.dtype == TRM_BOOL));
        break;
      case CONVERT:
        if (is_float(&x[0]) && is_float(y)) set_float(y, i, get_float(&x[0], i));
        else if (is_float(y)) set_float(y, i, (float)get_int(&x[0], i));
        else if (!is_float(&x[0])) set_int(y, i, get_int(&x[0], i));
        else if (y->type.dtype == TRM_BOOL) set_int(y, i, get_float(&x[0], i) != 0.0f);
        else set_int(y, i, to_int(get_float(&x[0], i)));
        break;
      case COMPARE: {
        int order;
        if (is_float(&x[0])) {
          const float a = get_float(&x[0], i), b = get_float(&x[1], i);
          order = isnan(a) || isnan(b) ? 2 : (a > b) - (a < b);
        } else {
          const int64_t a = get_int(&x[0], i), b = get_int(&x[1], i);
          order = (a > b) - (a < b);
        }
        set_int(y, i, holds(k->kind, order));
        break;
      }
      default: /* BINARY */
        if (is_float(y)) set_float(y, i, binary_float(op, get_float(&x[0], i), get_float(&x[1], i)));
        else set_int(y, i, binary_int(op, get_int(&x[0], i), get_int(&x[1], i)));
    }
  } while (next(i, &y->type, ~0u));
}

/* y[kept axes] = sum, max or min over the reduced axes of x; sums in double. */
static void run_reduce(const TrmKernel* k, const Tensor* x, const Tensor* y) {
  const char* op = k->op->name + 7; /* behind "reduce_" */
  const int sum = !strcmp(op, "sum"), least = !strcmp(op, "min");
  int64_t i[TRM_MAX_RANK] = {0}, j[TRM_MAX_RANK] = {0}; /* of y, of x */
  do {
    uint32_t from = 0;
    for (uint32_t a = 0; a < x->type.rank; ++a) {
      const int reduced = k->axes >> a & 1;
      j[a] = reduced ? 0 : i[from];
      if (!reduced || k->keepdims) ++from;
    }
    double real = sum ? 0.0 : least ? INFINITY : -INFINITY;
    int64_t whole = sum ? 0 : least ? INT32_MAX : INT32_MIN;
    if (elements(&x->type) > 0) {
      do {
        if (!is_float(x)) whole = sum ? whole + get_int(x, j) : binary_int(op, whole, get_int(x, j));
        else if (sum) real += get_float(x, j);
        else real = binary_float(op, (float)real, get_float(x, j));
      } while (next(j, &x->type, k->axes));
    }
    if (is_float(y)) set_float(y, i, (float)real);
    else set_int(y, i, whole);
  } while (next(i, &y->type, ~0u));
}

typedef enum Rows { READ, ADD, SET } Rows;

/* Reads, adds or sets rows: `rows` has the axes of the table before `axis`, those of the indices, then the table's
 * others. */
static void run_index(const TrmKernel* k, const Tensor* table, const Tensor* indices, const Tensor* rows, Rows how) {
  const uint32_t axis = (uint32_t)k->axis, width = indices->type.rank;
  const int64_t size = table->type.dims[axis];
  int64_t i[TRM_MAX_RANK] = {0}, j[TRM_MAX_RANK] = {0};
  if (elements(&rows->type) == 0) return;
  do {
    int64_t row = get_int(indices, i + axis);
    for (uint32_t a = 0; a < table->type.rank; ++a) j[a] = a < axis ? i[a] : a > axis ? i[a + width - 1] : 0;
    if (how == READ) row = row < 0 ? 0 : row >= size ? size - 1 : row; /* gather clamps */
    else if (row < 0 || row >= size) continue;                         /* scatters ignore */
    j[axis] = row;
    if (how == READ) copy_element(rows, i, table, j);
    else if (how == SET) copy_element(table, j, rows, i);
    else if (is_float(table)) set_float(table, j, get_float(table, j) + get_float(rows, i));
    else set_int(table, j, get_int(table, j) + get_int(rows, i));
  } while (next(i, &rows->type, ~0u));
}

/* y[b, m, n] = sum over k of x[b, m, k] w[b, k, n]. */
static void run_dot(const Tensor* x, const Tensor* w, const Tensor* y) {
  int64_t i[TRM_MAX_RANK] = {0};
  do {
    double sum = 0.0;
    for (int64_t k = 0; k < x->type.dims[2]; ++k) {
      const int64_t left[3] = {i[0], i[1], k}, right[3] = {i[0], k, i[2]};
      sum += (double)get_float(x, left) * get_float(w, right);
    }
    set_float(y, i, (float)sum);
  } while (next(i, &y->type, ~0u));
}

static void run(const TrmKernel* k) {
  const Tensor *x = k->argument, *y = &k->argument[k->arguments - 1];
  if (elements(&y->type) == 0) return;
  switch (k->op->family) {
    case REDUCE: run_reduce(k, x, y); break;
    case GATHER: run_index(k, &x[0], &x[1], y, READ); break;
    case SCATTER: {
      int64_t i[TRM_MAX_RANK] = {0};
      do copy_element(y, i, &x[0], i);
      while (next(i, &y->type, ~0u));
      run_index(k, y, &x[1], &x[2], strcmp(k->op->name, "scatter_set") ? ADD : SET);
      break;
    }
    case DOT: run_dot(&x[0], &x[1], y); break;
    default: run_elementwise(k, x, y);
  }
}

/* ---- the five functions ----------------------------------------------------------------------------------------- */

static TrmOpDecl declared[kOps]; /* filled by the entry */

static int32_t list_ops(const TrmOpDecl** out, uint32_t* count) {
  *out = declared;
  *count = kOps;
  return TRM_OK;
}

/* Reads the program into `k`. Returns why not, or null when there is a kernel for it. */
static const char* read_program(const TrmProgram* program, TrmKernel* k, uint32_t* reason) {
  const TrmProgramReader* read = host->program;
  *reason = TRM_REASON_REGION;
  if (read->node_count(program) != 1) return "one op at a time";
  TrmNode node = {.struct_size = sizeof node};
  read->node(program, 0, &node);
  *reason = TRM_REASON_OP;
  for (int i = 0; i < kOps; ++i) {
    if (!strcmp(ops[i].name, node.op)) k->op = &ops[i];
  }
  if (!k->op || node.input_count > 3 || node.output_count != 1) return "no kernel of that name";
  k->program = program;
  k->inputs = read->input_count(program);
  k->outputs = read->output_count(program);
  *reason = TRM_REASON_DTYPE;
  for (uint32_t a = 0; a <= node.input_count; ++a) {
    const uint32_t number = a < node.input_count ? node.inputs[a] : node.outputs[0];
    Tensor* t = &k->argument[k->arguments];
    t->type.struct_size = sizeof t->type;
    read->value(program, number, &t->type);
    if (!(ANY >> t->type.dtype & 1)) return "f32, i32 and bool only";
    t->data = (char*)t->type.constant_data;
    k->operand[k->arguments] = TRM_ABSENT;
    for (uint32_t i = 0; i < k->inputs; ++i) {
      if (read->input(program, i) == number) k->operand[k->arguments] = i;
    }
    if (a == node.input_count) k->operand[k->arguments] = k->inputs;
    ++k->arguments;
  }
  const int last_speaks =
      k->op->family == FILL || k->op->family == IOTA || k->op->family == SELECT || k->op->family == CONVERT;
  const uint32_t type = k->argument[last_speaks ? k->arguments - 1 : 0].type.dtype;
  if (!(k->op->types >> type & 1)) return "not in this type";

  TrmAttr attr = {.struct_size = sizeof attr};
  if (read->attr(program, 0, "value", &attr) == TRM_OK) k->value = attr.f;
  if (read->attr(program, 0, "kind", &attr) == TRM_OK) k->kind = attr.s;
  if (read->attr(program, 0, "keepdims", &attr) == TRM_OK) k->keepdims = (int)attr.i;
  if (read->attr(program, 0, "axis", &attr) == TRM_OK)
    k->axis = attr.i < 0 ? attr.i + k->argument[0].type.rank : attr.i; /* of iota, argument 0 is the output */
  if (read->attr(program, 0, "axes", &attr) == TRM_OK) {
    for (uint64_t i = 0; i < attr.count; ++i) {
      k->axes |= 1u << (attr.ints[i] < 0 ? attr.ints[i] + k->argument[0].type.rank : attr.ints[i]);
    }
    if (attr.count == 0) k->axes = ~0u; /* an empty list means all */
  }
  *reason = TRM_REASON_NONE;
  return NULL;
}

static int32_t query(TrmDev* dev, const TrmProgram* program, TrmAnswer* answer, TrmErr* err) {
  (void)dev, (void)err;
  TrmKernel k = {0};
  uint32_t reason;
  const char* refusal = read_program(program, &k, &reason);
  TrmAnswer a = {0}; /* estimated_ns 0: unknown, the host estimates from props */
  a.struct_size = answer->struct_size < sizeof a ? answer->struct_size : (uint32_t)sizeof a;
  a.verdict = refusal ? TRM_NO : TRM_NATIVE;
  a.reason = reason;
  memset(a.in_place, -1, sizeof a.in_place); /* no output takes the memory of an input */
  snprintf(a.text, sizeof a.text, "%s", refusal ? refusal : "");
  memcpy(answer, &a, a.struct_size);
  return TRM_OK;
}

static int32_t prepare(TrmDev* dev, const TrmProgram* program, TrmKernel** kernel, TrmErr* err) {
  (void)dev;
  TrmKernel k = {0};
  uint32_t reason;
  const char* refusal = read_program(program, &k, &reason);
  if (refusal) return fail(err, TRM_UNSUPPORTED, refusal);
  *kernel = malloc(sizeof **kernel);
  if (!*kernel) return fail(err, TRM_OUT_OF_MEMORY, "no host memory left");
  **kernel = k;
  host->program->retain(program);
  return TRM_OK;
}

static int32_t enqueue(TrmDev* dev, TrmKernel* kernel, const TrmMem* operands, uint32_t operand_count,
                       const TrmMem* workspace, TrmStream* stream, uint64_t tag, TrmErr* err) {
  (void)dev, (void)workspace, (void)stream, (void)tag;
  if (operand_count != kernel->inputs + kernel->outputs) return fail(err, TRM_INVALID, "wrong number of operands");
  TrmKernel k = *kernel; /* a kernel may be started by several threads */
  for (uint32_t a = 0; a < k.arguments; ++a) {
    if (k.operand[a] != TRM_ABSENT) k.argument[a].data = address(&operands[k.operand[a]]);
  }
  run(&k);
  return TRM_OK;
}

static int32_t release(TrmDev* dev, TrmKernel* kernel) {
  (void)dev;
  host->program->release(kernel->program);
  free(kernel);
  return TRM_OK;
}

static const TrmComputeBank compute_bank = {
    .struct_size = sizeof(TrmComputeBank),
    .list_ops = list_ops,
    .query = query,
    .prepare = prepare,
    .enqueue = enqueue,
    .release = release,
};

/* ==== the entry ================================================================================================== */

TRM_EXPORT int32_t TRIREME_CHIP_ENTRY(const TrmHost* given, TrmChip* chip) {
  host = given;
  for (int i = 0; i < kOps; ++i) declared[i] = (TrmOpDecl){ops[i].name, ops[i].types, 0};
  TrmChip c = {0};
  c.struct_size = chip->struct_size < sizeof c ? chip->struct_size : (uint32_t)sizeof c;
  c.abi_minor = TRM_ABI_MINOR;
  c.vendor = "Your company";
  c.name = NAME;
  c.plugin_version = "0.1.0";
  c.build_id = NAME "-1"; /* change it when prepared kernels change */
  c.device = &device_bank;
  c.compute = &compute_bank; /* STAGE 1 alone: NULL */
  memcpy(chip, &c, c.struct_size);
  return TRM_OK;
}
