// chip.hpp: thin C++ help for those who write a chip. Optional; needs chip.h and the standard library only.
//
//   guarded(err, f)    the C boundary: runs f, turns what it throws into a code and a filled TrmErr
//   Failure            what to throw inside: a TrmCode and a sentence
//   store(out, value)  fills a struct of the host within its struct_size
//   Program            a view of a TrmProgram that keeps it alive; hands out values and nodes
//   NodeView           one node; attributes by name
//
// A chip's functions are then one line each around ordinary C++:
//   int32_t query(TrmDev*, const TrmProgram* p, TrmAnswer* answer, TrmErr* err) {
//     return guarded(err, [&] { store(answer, answer_for(Program(host->program, p))); });
//   }
#pragma once

#include <algorithm>
#include <cstring>
#include <exception>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "trireme/chip/chip.h"

namespace trireme::chip {

class Failure : public std::exception {
 public:
  Failure(TrmCode code, std::string text) : code_(code), text_(std::move(text)) {}
  TrmCode code() const { return code_; }
  const char* what() const noexcept override { return text_.c_str(); }

 private:
  TrmCode code_;
  std::string text_;
};

// Copies `value` into a struct that somebody else allocated: no byte beyond out->struct_size, which stays as it is.
template <class T>
void store(T* out, const T& value) {
  const uint32_t size = out->struct_size;
  std::memcpy(static_cast<void*>(out), &value, std::min<size_t>(size, sizeof(T)));
  out->struct_size = size;
}
// The other direction: fields beyond the given size read as zero.
template <class T>
T load(const T* given) {
  T value{};
  std::memcpy(static_cast<void*>(&value), given, std::min<size_t>(given->struct_size, sizeof(T)));
  return value;
}
// A zeroed struct that knows its size.
template <class T>
T sized() {
  T value{};
  value.struct_size = sizeof(T);
  return value;
}

// Copies text into a fixed field, cut at a character boundary of UTF-8, zero-terminated.
template <size_t N>
void put_text(char (&field)[N], std::string_view text) {
  size_t length = std::min(text.size(), N - 1);
  while (length > 0 && length < text.size() && (static_cast<unsigned char>(text[length]) & 0xC0) == 0x80) --length;
  std::memcpy(field, text.data(), length);
  field[length] = '\0';
}

// Fills `err` (which may be null) and returns the code.
inline int32_t fail(TrmErr* err, TrmCode code, std::string_view text, uint64_t tag = 0) noexcept {
  if (err) {
    TrmErr value = sized<TrmErr>();
    value.code = code;
    value.tag = tag;
    value.precision = tag ? TRM_TAG_EXACT : TRM_TAG_UNKNOWN;
    put_text(value.text, text);
    store(err, value);
  }
  return code;
}

template <class F>
int32_t guarded(TrmErr* err, F&& f, uint64_t tag = 0) noexcept {
  try {
    std::forward<F>(f)();
    return TRM_OK;
  } catch (const Failure& failure) {
    return fail(err, failure.code(), failure.what(), tag);
  } catch (const std::bad_alloc&) {
    return fail(err, TRM_OUT_OF_MEMORY, "the host has no memory left", tag);
  } catch (const std::exception& other) {
    return fail(err, TRM_INTERNAL, other.what(), tag);
  } catch (...) {
    return fail(err, TRM_INTERNAL, "unknown exception", tag);
  }
}

constexpr size_t size_of(uint32_t dtype) {
  switch (dtype) {
    case TRM_F64:
    case TRM_I64:
    case TRM_U64: return 8;
    case TRM_F32:
    case TRM_I32:
    case TRM_U32: return 4;
    case TRM_F16:
    case TRM_BF16:
    case TRM_I16:
    case TRM_U16: return 2;
    default: return 1;
  }
}

// ---- values -------------------------------------------------------------------------------------------------------

inline std::span<const int64_t> dims(const TrmValue& v) { return {v.dims, v.rank}; }
inline std::span<const int64_t> strides(const TrmValue& v) { return {v.strides, v.rank}; }
inline int64_t elements(const TrmValue& v) {
  int64_t count = 1;
  for (int64_t size : dims(v)) count *= size;
  return count;
}
inline bool same_dims(const TrmValue& a, const TrmValue& b) {
  return a.rank == b.rank && std::equal(a.dims, a.dims + a.rank, b.dims);
}
// Row-major without gaps. Strides of axes of size 1 do not matter; an empty value is dense.
inline bool is_dense(const TrmValue& v) {
  int64_t expected = 1;
  for (uint32_t axis = v.rank; axis-- > 0;) {
    if (v.dims[axis] == 0) return true;
    if (v.dims[axis] != 1 && v.strides[axis] != expected) return false;
    expected *= v.dims[axis];
  }
  return true;
}

// ---- programs -----------------------------------------------------------------------------------------------------

// One node. Valid while its Program lives.
class NodeView {
 public:
  NodeView(const TrmProgramReader* reader, const TrmProgram* program, uint32_t number)
      : reader_(reader), program_(program), number_(number), node_(sized<TrmNode>()) {
    if (reader->node(program, number, &node_) != TRM_OK) throw Failure(TRM_INVALID, "the program has no such node");
  }

  std::string_view op() const { return node_.op; }
  uint32_t number() const { return number_; }
  std::span<const uint32_t> inputs() const { return {node_.inputs, node_.input_count}; }
  std::span<const uint32_t> outputs() const { return {node_.outputs, node_.output_count}; }
  bool has(uint32_t input) const { return input < node_.input_count && node_.inputs[input] != TRM_ABSENT; }

  bool has_attribute(const char* name) const {
    TrmAttr attribute = sized<TrmAttr>();
    return reader_->attr(program_, number_, name, &attribute) == TRM_OK;
  }
  int64_t integer(const char* name) const { return attribute(name, TRM_ATTR_INT).i; }
  double number(const char* name) const { return attribute(name, TRM_ATTR_FLOAT).f; }
  bool flag(const char* name) const { return attribute(name, TRM_ATTR_BOOL).i != 0; }
  std::string_view string(const char* name) const { return attribute(name, TRM_ATTR_STRING).s; }
  uint32_t dtype(const char* name) const { return static_cast<uint32_t>(attribute(name, TRM_ATTR_DTYPE).i); }
  std::span<const int64_t> integers(const char* name) const {
    const TrmAttr found = attribute(name, TRM_ATTR_INTS);
    return {found.ints, static_cast<size_t>(found.count)};
  }
  const void* tensor(const char* name) const { return attribute(name, TRM_ATTR_TENSOR).tensor; }
  const TrmProgram* program(const char* name) const { return attribute(name, TRM_ATTR_PROGRAM).program; }

 private:
  TrmAttr attribute(const char* name, uint32_t kind) const {
    TrmAttr found = sized<TrmAttr>();
    if (reader_->attr(program_, number_, name, &found) != TRM_OK || found.kind != kind) {
      throw Failure(TRM_INVALID, std::string(op()) + ": no attribute '" + name + "' of the kind this chip expects");
    }
    return found;
  }

  const TrmProgramReader* reader_;
  const TrmProgram* program_;
  uint32_t number_;
  TrmNode node_;
};

// Keeps the program alive, so pointers to names, attributes and constants stay good as long as this object.
class Program {
 public:
  Program(const TrmProgramReader* reader, const TrmProgram* program) : reader_(reader), program_(program) {
    reader_->retain(program_);
  }
  Program(const Program& other) : Program(other.reader_, other.program_) {}
  Program& operator=(Program other) noexcept {
    std::swap(reader_, other.reader_);
    std::swap(program_, other.program_);
    return *this;
  }
  ~Program() { reader_->release(program_); }

  const TrmProgram* get() const { return program_; }
  uint64_t hash() const { return reader_->hash(program_); }
  bool deterministic() const { return reader_->flags(program_) & TRM_PROGRAM_DETERMINISTIC; }

  uint32_t value_count() const { return reader_->value_count(program_); }
  TrmValue value(uint32_t number) const {
    TrmValue found = sized<TrmValue>();
    if (reader_->value(program_, number, &found) != TRM_OK) throw Failure(TRM_INVALID, "the program has no such value");
    return found;
  }
  uint32_t input_count() const { return reader_->input_count(program_); }
  uint32_t output_count() const { return reader_->output_count(program_); }
  uint32_t operand_count() const { return input_count() + output_count(); }
  // Value numbers.
  uint32_t input(uint32_t index) const { return reader_->input(program_, index); }
  uint32_t output(uint32_t index) const { return reader_->output(program_, index); }
  // Operands are counted as enqueue gets them: inputs, then outputs.
  TrmValue operand(uint32_t index) const {
    return value(index < input_count() ? input(index) : output(index - input_count()));
  }
  uint32_t node_count() const { return reader_->node_count(program_); }
  NodeView node(uint32_t number) const { return {reader_, program_, number}; }
  const TrmProgram* body(uint32_t node) const { return reader_->body(program_, node); }

 private:
  const TrmProgramReader* reader_;
  const TrmProgram* program_;
};

}  // namespace trireme::chip
