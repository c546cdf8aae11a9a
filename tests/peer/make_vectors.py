#!/usr/bin/env python3
"""Writes op_vectors.json: what NumPy and SciPy compute for small cases of the composite ops, with gradients.

usage: make_vectors.py [OUT.json]        needs numpy and scipy

The file is a list, one case per line, of
    {"op": name, "inputs": [tensor or null], "attributes": {name: value}, "outputs": [tensor],
     "cotangent": [w, ...], "gradients": [tensor or null per input], "source": "numpy 2.0"}
with tensor = {"dtype", "shape", "values"}; values are in row-major order, "nan" "inf" "-inf" are strings. Cotangent and
gradients are given together: gradients[i] = d(sum(w outputs[0])) / d inputs[i]. They come from complex-step
differentiation, Im f(x + ih) / h with h = 1e-30, which has no cancellation and so is exact to rounding.
tests/op_vectors_test.cc runs every tests/peer/*_vectors.json.
"""
import json
import math
import pathlib
import sys

import numpy as np
import scipy
import scipy.special as special

SOURCE = f"numpy {np.__version__}, scipy {scipy.__version__}"
NAMES = {"float64": "f64", "float32": "f32", "int32": "i32", "int64": "i64", "uint32": "u32", "uint8": "u8",
         "int8": "i8", "bool": "bool"}
cases = []


def number(v):
    if isinstance(v, (bool, np.bool_)):
        return bool(v)
    if isinstance(v, (int, np.integer)):
        return int(v)
    v = float(v)
    if math.isnan(v):
        return "nan"
    return v if math.isfinite(v) else ("inf" if v > 0 else "-inf")


def tensor(a):
    a = np.asarray(a)
    return {"dtype": NAMES[a.dtype.name], "shape": list(a.shape), "values": [number(v) for v in a.ravel()]}


def complex_step(f, inputs, k, cotangent):
    """d(sum(cotangent f(inputs)[0])) / d inputs[k]."""
    step = 1e-30
    out = np.zeros(inputs[k].shape)
    for at in np.ndindex(inputs[k].shape):
        moved = [np.array(x, dtype=complex) if x.dtype == np.float64 else x for x in inputs]
        moved[k][at] += step * 1j
        y = f(*moved)
        y = y[0] if isinstance(y, tuple) else y
        out[at] = np.sum(np.imag(y) * cotangent) / step
    return out


def case(op, inputs, f, gradients=(), **attributes):
    """One case; f: arrays to an array or a tuple of them; gradients: numbers of the inputs to differentiate."""
    inputs = [np.asarray(x, dtype=np.float64 if np.asarray(x).dtype.kind == "f" else None) for x in inputs]
    with np.errstate(all="ignore"):
        y = f(*inputs)
        outputs = [np.asarray(v) for v in (y if isinstance(y, tuple) else (y,))]
        entry = {"op": op, "inputs": [tensor(x) for x in inputs],
                 "attributes": {k: number(v) if isinstance(v, float) else v for k, v in attributes.items()},
                 "outputs": [tensor(v) for v in outputs]}
        if gradients:
            shape = outputs[0].shape
            weights = np.round(np.cos(1.0 + np.arange(outputs[0].size)), 3).reshape(shape)
            entry["cotangent"] = [number(v) for v in weights.ravel()]
            entry["gradients"] = [tensor(complex_step(f, inputs, k, weights)) if k in gradients else None
                                  for k in range(len(inputs))]
    entry["source"] = SOURCE
    cases.append(entry)


def i32(*values):
    return np.array(values, dtype=np.int32)


X = np.array([-2.5, -1.0, -0.3, 0.2, 0.7, 1.5, 3.25])
XY = np.array([[0.5, -1.25, 2.0], [3.5, 0.25, -0.75]])
POSITIVE = np.array([0.05, 0.5, 1.0, 1.5, 2.0, 8.0, 30.0])
INSIDE = np.array([-0.95, -0.5, -0.1, 0.01, 0.3, 0.8, 0.99])
INF, NAN = float("inf"), float("nan")


def absolute(x):
    return np.where(np.real(x) < 0, -x, x)


def logistic(x):
    return 1 / (1 + np.exp(-x))


def when(condition, x, y):
    return np.where(condition, x, y)


def activations():
    def unary(op, f, x=X, **attributes):
        case(op, [x], f, [0], **attributes)

    unary("relu", lambda x: when(x.real > 0, x, 0 * x))
    unary("relu6", lambda x: when(x.real <= 0, 0 * x, when(x.real >= 6, 6 + 0 * x, x)),
          np.array([-1.0, 0.0, 2.0, 6.0, 7.0]))
    unary("leaky_relu", lambda x: when(x.real > 0, x, 0.2 * x), slope=0.2)
    case("prelu", [XY, np.array([0.1, 0.2, 0.3])], lambda x, w: when(x.real > 0, x, w * x), [0, 1])
    unary("elu", lambda x: when(x.real > 0, x, 0.5 * np.expm1(x)), np.append(X, 800.0), alpha=0.5)
    unary("selu", lambda x: 1.0507009873554805 * when(x.real > 0, x, 1.6732632423543772 * np.expm1(x)))
    unary("celu", lambda x: when(x.real > 0, x, 0.5 * np.expm1(x / 0.5)), alpha=0.5)
    unary("gelu", lambda x: x * (1 + special.erf(x / math.sqrt(2))) / 2)
    unary("gelu", lambda x: x / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))), approximate="tanh")
    unary("silu", lambda x: x * logistic(x))
    unary("mish", lambda x: x * np.tanh(np.log(1 + np.exp(x))))
    unary("softplus", lambda x: np.log(1 + np.exp(x)))
    unary("softplus", lambda x: np.log(1 + np.exp(3 * x)) / 3, beta=3.0)
    case("softplus", [np.array([-800.0, 800.0])], lambda x: np.logaddexp(0, x))
    unary("softsign", lambda x: x / (1 + absolute(x)))
    unary("hard_sigmoid", lambda x: when(x.real < -2, 0 * x, when(x.real > 3, 1 + 0 * x, 0.2 * x + 0.4)), slope=0.2,
          offset=0.4)
    unary("hard_swish", lambda x: x * when(x.real < -3, 0 * x, when(x.real > 3, 6 + 0 * x, x + 3)) / 6, 1.9 * X)
    unary("hard_tanh", lambda x: when(x.real < -0.5, -0.5 + 0 * x, when(x.real > 1.25, 1.25 + 0 * x, x)), low=-0.5,
          high=1.25)
    unary("sigmoid", logistic)
    unary("tanh_shrink", lambda x: x - np.tanh(x))
    unary("soft_shrink", lambda x: when(x.real > 0.5, x - 0.5, when(x.real < -0.5, x + 0.5, 0 * x)), threshold=0.5)
    unary("hard_shrink", lambda x: when(abs(x.real) > 0.5, x, 0 * x), threshold=0.5)
    unary("threshold", lambda x: when(x.real > 0.5, x, -3 + 0 * x), threshold=0.5, value=-3.0)
    case("glu", [np.array([[0.5, -1.0, 2.0, 0.1], [1.5, 0.3, -0.2, 4.0]])], lambda x: x[:, :2] * logistic(x[:, 2:]),
         [0])
    case("swiglu", [XY, XY[::-1] + 0.5], lambda a, b: a * logistic(a) * b, [0, 1])
    unary("log_sigmoid", lambda x: -np.log(1 + np.exp(-x)))
    unary("quick_gelu", lambda x: x * logistic(1.702 * x))


def mathematics():
    def unary(op, f, x=X, gradients=(0,), **attributes):
        case(op, [x], f, gradients, **attributes)

    def binary(op, f, x, w, gradients=(0, 1), **attributes):
        case(op, [x, w], f, gradients, **attributes)

    unary("square", lambda x: x * x)
    unary("reciprocal", lambda x: 1 / x)
    unary("exp2", lambda x: np.exp(x * math.log(2)))
    unary("log2", lambda x: np.log(x) / math.log(2), POSITIVE)
    unary("log10", lambda x: np.log(x) / math.log(10), POSITIVE)
    unary("sinh", np.sinh, np.append(X, [1e-9, 20.0]))
    unary("cosh", np.cosh, np.append(X, [1e-9, 20.0]))
    unary("asin", np.arcsin, INSIDE)
    unary("acos", np.arccos, INSIDE)
    unary("atan", np.arctan, np.append(X, 1e9))
    unary("asinh", np.arcsinh, X)
    unary("asinh", np.arcsinh, np.array([1e-12, -1e-5, 1e200, -1e300]), ())
    unary("acosh", np.arccosh, np.array([1.0 + 2.0**-40, 1.5, 3.0, 1e5]))
    unary("acosh", np.arccosh, np.array([1.0, 1e300]), ())
    unary("atanh", np.arctanh, np.append(INSIDE, 1e-9))
    unary("clamp", lambda x: when(x.real < -0.5, -0.5 + 0 * x, when(x.real > 1, 1 + 0 * x, x)), low=-0.5, high=1.0)
    unary("clamp", lambda x: np.minimum(x, 1.0), gradients=(), low=-INF, high=1.0)
    case("lerp", [XY, XY[::-1], np.array([[0.25], [0.75]])], lambda a, b, t: a + t * (b - a), [0, 1, 2])
    binary("hypot", lambda a, b: np.sqrt(a * a + b * b), X, X[::-1] + 0.5)
    binary("hypot", np.hypot, np.array([1e200, 3e-200, 0.0, INF]), np.array([1e200, 4e-200, 0.0, 1.0]), ())
    whole = [-7.5, -7.0, 7.0, 7.5, 1.0, -1.0, 6.0], [2.0, -2.0, 2.0, -2.0, 0.1, 0.3, 3.0]
    binary("floor_divide", np.floor_divide, *map(np.array, whole), ())
    binary("remainder", np.mod, *map(np.array, whole), ())
    binary("remainder", lambda a, b: a - b * np.floor(a.real / b.real), X, X[::-1] + 0.1)
    signs = i32(-7, 7, -7, 7, 6, 0), i32(2, -2, -2, 2, 3, 5)
    binary("floor_divide", np.floor_divide, *signs, ())
    binary("remainder", np.mod, *signs, ())
    binary("logaddexp", lambda a, b: np.log(np.exp(a) + np.exp(b)), X, X[::-1] * 2)
    binary("logaddexp", np.logaddexp, np.array([1000.0, -1000.0, -INF, INF]), np.array([999.0, -1000.0, -INF, INF]), ())
    halves = np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 2.6, -2.6])
    unary("trunc", np.trunc, halves, ())
    unary("frac", lambda x: x - np.trunc(x.real), halves)
    unary("round", np.round, halves, ())
    unary("deg2rad", lambda x: x * (math.pi / 180), 90 * X)
    unary("rad2deg", lambda x: x * (180 / math.pi))
    binary("copysign", np.copysign, np.array([1.5, -1.5, 2.0, -2.0]), np.array([-0.1, 3.0, -0.0, 0.0]), ())
    binary("copysign", lambda a, b: absolute(a) * np.sign(b.real), X, X[::-1], (0,))
    three = [XY, XY[::-1] + 1, XY * 2 + 5.5]
    case("addcmul", three, lambda x, a, b: x + 0.5 * a * b, [0, 1, 2], value=0.5)
    case("addcdiv", three, lambda x, a, b: x + 0.5 * a / b, [0, 1, 2], value=0.5)
    unary("nan_to_num", lambda x: np.nan_to_num(x, nan=0.25), np.array([NAN, INF, -INF, 1.5]), (), nan=0.25)
    unary("erfc", special.erfc, np.array([-3.0, -0.5, 0.0, 0.1, 0.5, 1.0, 2.0, 5.0]))
    unary("erfc", special.erfc, np.array([10.0, 20.0, 26.0, -INF, INF]), ())
    unary("erfinv", special.erfinv,
          np.array([-0.999, -0.5, 1e-10, 0.2, 0.49, 0.51, 0.9, 1 - 1e-12, 1.0, -1.0, 0.0, 1.5]), ())
    binary("dot", np.dot, X, X[::-1] + 1)
    binary("xlogy", lambda a, b: a * np.log(b), X, POSITIVE)
    binary("xlogy", special.xlogy, np.array([0.0, 0.0, 2.0]), np.array([0.0, 3.0, 0.5]), ())
    unary("logit", lambda x: np.log(x / (1 - x)), np.array([0.01, 0.3, 0.5, 0.9]))
    unary("sinc", lambda x: np.sin(math.pi * x) / (math.pi * x))
    unary("sinc", np.sinc, np.array([0.0, 1.0, 0.5]), ())
    unary("heaviside", lambda x: np.heaviside(x, 0.25), np.array([-1.0, 0.0, 2.0]), (), at_zero=0.25)
    unary("stop_gradient", lambda x: x, X, ())


def logic():
    a, b = np.array([1.0, 2.0, NAN, 0.0]), np.array([1.0, 3.0, NAN, -0.0])
    for op, f in [("equal", np.equal), ("not_equal", np.not_equal), ("less", np.less), ("less_equal", np.less_equal),
                  ("greater", np.greater), ("greater_equal", np.greater_equal), ("logical_and", np.logical_and),
                  ("logical_or", np.logical_or), ("logical_xor", np.logical_xor)]:
        case(op, [a, b], f)
        case(op, [i32(0, 1, 2, -1), i32(0, 2, 0, 1)], f)
    case("logical_not", [a], np.logical_not)
    case("is_nan", [np.array([NAN, INF, 1.0])], np.isnan)
    case("is_inf", [np.array([NAN, INF, -INF, 1.0])], np.isinf)
    bits = np.array([[True, False, True], [True, True, True]])
    case("all", [bits], lambda x: np.all(x, axis=1), axes=[1])
    case("any", [~bits], lambda x: np.any(x, axis=0, keepdims=True), axes=[0], keepdims=True)
    case("where", [bits, XY, np.array([7.0, 8.0, 9.0])], np.where, [1, 2])
    case("where", [np.array([[True], [False]]), XY, i32(1)], np.where)
    case("is_close", [np.array([1.0, 1.0, INF, INF, NAN, 0.0]), np.array([1.00001, 1.1, INF, 5.0, NAN, 1e-9])],
         lambda x, w: np.isclose(x, w, rtol=1e-4, atol=1e-8,
                                 equal_nan=True), relative=1e-4, absolute=1e-8, equal_nan=True)


def creation():
    case("zeros", [], lambda: np.zeros((2, 2)), shape=[2, 2], dtype="f64")
    case("ones", [], lambda: np.ones(3, np.int32), shape=[3], dtype="i32")
    case("full", [], lambda: np.full((2, 1), 2.5), shape=[2, 1], value=2.5, dtype="f64")
    case("zeros_like", [XY], np.zeros_like)
    case("ones_like", [XY], np.ones_like)
    case("full_like", [XY], lambda x: np.full_like(x, -1.5), value=-1.5)
    case("arange", [], lambda: np.arange(3, 11, 3, dtype=np.int32), start=3.0, stop=11.0, step=3.0)
    case("arange", [], lambda: np.arange(1.0, -1.0, -0.3), start=1.0, stop=-1.0, step=-0.3, dtype="f64")
    case("linspace", [], lambda: np.linspace(-1.0, 2.0, 6), start=-1.0, stop=2.0, count=6, dtype="f64")
    case("linspace", [], lambda: np.linspace(0.5, 2.0, 1), start=0.5, stop=2.0, count=1, dtype="f64")
    case("eye", [], lambda: np.eye(3, 4, 1), rows=3, columns=4, diagonal=1, dtype="f64")
    square = np.arange(1.0, 13.0).reshape(3, 4)
    case("tril", [square], lambda x: np.tril(x, -1), [0], diagonal=-1)
    case("triu", [square], lambda x: np.triu(x, 1), [0], diagonal=1)
    case("diag", [X[:3]], lambda x: np.diag(x, 1), [0], offset=1)
    case("diag", [X[:3]], lambda x: np.diag(x, -2), [0], offset=-2)
    case("diagonal", [square], lambda x: np.diagonal(x, -1), [0], offset=-1)
    case("diagonal", [square.reshape(2, 2, 3)], lambda x: np.diagonal(x, 1, 1, 2), [0], offset=1)
    case("one_hot", [i32(0, 2, -1, 5)], lambda i: (i[:, None] == np.arange(3)).astype(np.float64), classes=3,
         dtype="f64")


def pixel_shuffle(x, r):
    n, c, h, w = x.shape
    y = np.zeros((n, c // (r * r), h * r, w * r), x.dtype)
    for k, i, j in np.ndindex(c // (r * r), r, r):
        y[:, k, i::r, j::r] = x[:, k * r * r + i * r + j]
    return y


def depth_to_space(x, b):
    n, c, h, w = x.shape
    out = c // (b * b)
    y = np.zeros((n, out, h * b, w * b), x.dtype)
    for i, j in np.ndindex(b, b):
        y[:, :, i::b, j::b] = x[:, (i * b + j) * out:(i * b + j + 1) * out]
    return y


def unfold(x, kernel, strides, padding, dilation):
    x = np.pad(x, [(0, 0), (0, 0), (padding[0],) * 2, (padding[1],) * 2])
    n, c, h, w = x.shape
    tops = range(0, h - (kernel[0] - 1) * dilation[0], strides[0])
    lefts = range(0, w - (kernel[1] - 1) * dilation[1], strides[1])
    return np.stack([x[:, :, t:t + kernel[0] * dilation[0]:dilation[0], l:l + kernel[1] * dilation[1]:dilation[1]]
                     .reshape(n, -1) for t in tops for l in lefts], axis=2)


def shapes():
    cube = np.arange(24.0).reshape(2, 3, 4) / 8
    case("flatten", [cube], lambda x: x.reshape(2, 12), [0], start_axis=1)
    case("squeeze", [XY[None, :, None]], lambda x: x[0, :, 0], [0])
    case("unsqueeze", [XY], lambda x: x[None, :, :, None], [0], axes=[0, -1])
    case("stack", [XY, XY + 1], lambda a, b: np.stack([a, b], axis=-1), [0, 1], axis=-1)
    case("split", [cube], lambda x: tuple(np.split(x, 2, axis=2)), [0], sections=2, axis=2)
    case("split_sizes", [cube], lambda x: tuple(np.split(x, [1], axis=1)), [0], sizes=[1, 2], axis=1)
    case("chunk", [X], lambda x: (x[:3], x[3:6], x[6:]), [0], chunks=3)
    case("unstack", [cube], lambda x: tuple(x[:, k] for k in range(3)), [0], axis=1)
    case("tile", [XY], lambda x: np.tile(x, (2, 1, 3)), [0], repeats=[2, 1, 3])
    case("tile", [XY], lambda x: np.tile(x, 2), [0], repeats=[2])
    case("repeat_interleave", [XY], lambda x: np.repeat(x, 2, axis=1), [0], repeats=2, axis=1)
    case("roll", [XY], lambda x: np.roll(x, (1, -2), (0, 1)), [0], shifts=[1, -2], axes=[0, 1])
    case("flip", [cube], lambda x: np.flip(x, (0, 2)), [0], axes=[0, 2])
    case("swap_axes", [cube], lambda x: np.swapaxes(x, 0, -1), [0], first=0, second=-1)
    case("move_axis", [cube], lambda x: np.moveaxis(x, 0, -1), [0], source=0, destination=-1)
    case("move_axis", [cube], lambda x: np.moveaxis(x, 2, 0), [0], source=2, destination=0)
    case("expand", [X[:3, None]], lambda x: np.broadcast_to(x, (2, 3, 4)), [0], shape=[2, -1, 4])
    case("narrow", [cube], lambda x: x[:, :, 1:3], [0], axis=-1, start=1, length=2)
    case("select_index", [cube], lambda x: x[:, -1], [0], axis=1, index=-1)
    case("pad_reflect", [cube[0]], lambda x: np.pad(x, [(2, 1), (0, 3)], mode="reflect"), [0], low=[2, 0], high=[1, 3])
    case("pad_edge", [cube[0]], lambda x: np.pad(x, [(2, 1), (0, 3)], mode="edge"), [0], low=[2, 0], high=[1, 3])
    case("crop", [cube], lambda x: x[1:, :2, 1:3], [0], low=[1, 0, 1], high=[0, 1, 1])
    planes = np.arange(32.0).reshape(1, 8, 2, 2) / 8
    case("pixel_shuffle", [planes], lambda x: pixel_shuffle(x, 2), [0], factor=2)
    case("pixel_unshuffle", [pixel_shuffle(planes, 2)], lambda x: planes + 0 * planes, factor=2)
    case("depth_to_space", [planes], lambda x: depth_to_space(x, 2), [0], block=2)
    case("space_to_depth", [depth_to_space(planes, 2)], lambda x: planes + 0 * planes, block=2)
    image = np.round(np.sin(np.arange(40.0)), 3).reshape(1, 2, 4, 5)
    window = {"kernel": [2, 3], "strides": [2, 1], "padding": [1, 0], "dilation": [1, 2]}
    case("unfold", [image], lambda x: unfold(x, **window), [0], **window)
    columns = unfold(image, **window)

    def fold(c):  # the transpose of unfold, element by element
        y = np.zeros(image.shape, c.dtype)
        places = np.rint(unfold(np.arange(1.0, 41.0).reshape(image.shape), **window)).astype(int)
        np.add.at(y.reshape(-1), (places[places > 0] - 1,), c[places > 0])
        return y

    case("fold", [columns], fold, [0], size=[4, 5], **window)


def scan(f):
    def run(x):
        rows = [x[..., 0]]
        for k in range(1, x.shape[-1]):
            rows.append(f(rows[-1], x[..., k]))
        return np.stack(rows, axis=-1)
    return run


def reductions():
    case("mean", [XY], lambda x: np.mean(x, axis=1), [0], axes=[1])
    case("mean", [np.array([True, False, True, True])], lambda x: np.float32(np.mean(x)))
    case("sum", [XY], lambda x: np.sum(x, axis=0), [0], axes=[0])
    case("variance", [XY], lambda x: np.sum((x - x.mean(1, keepdims=True))**2, 1) / 2, [0], axes=[1])
    case("variance", [XY], lambda x: np.var(x), correction=0)
    deviation = lambda x: np.sqrt(np.sum((x - x.mean(1, keepdims=True))**2, 1, keepdims=True) / 3)
    case("standard_deviation", [XY], deviation, [0], axes=[1], keepdims=True, correction=0)
    case("norm", [XY], lambda x: np.sqrt(np.sum(x * x, 1)), [0], axes=[1])
    case("norm", [XY], lambda x: np.sum(absolute(x)), [0], p=1.0)
    case("norm", [XY], lambda x: np.max(absolute(x), axis=0), [0], p=INF, axes=[0])
    case("log_sum_exp", [XY], lambda x: np.log(np.sum(np.exp(x), axis=1)), [0], axes=[1])
    case("log_sum_exp", [np.array([[1000.0, 999.0], [-INF, -INF], [INF, 1.0]])],
         lambda x: special.logsumexp(x, axis=1), axes=[1])
    case("amax", [XY], lambda x: np.max(x, axis=1), [0], axes=[1])
    case("amin", [XY], lambda x: np.min(x, axis=1), [0], axes=[1])
    case("prod", [np.array([[2.0, 0.0, 3.0], [1.5, -2.0, 4.0]])], lambda x: np.prod(x, axis=1), [0], axes=[1])
    case("count_nonzero", [np.array([[0.0, 1.0, NAN], [0.0, 0.0, -2.0]])],
         lambda x: np.count_nonzero(x, axis=1).astype(np.int32), axes=[1])
    wave = np.array([[0.5, -2.0, 3.0, 0.0, 1.5], [1.0, 4.0, -1.0, 4.5, 0.25]])
    case("cumprod", [wave], lambda x: np.cumprod(x, axis=1), [0], axis=1)
    case("cummax", [wave], scan(lambda a, b: when(b.real > a.real, b, a)), [0], axis=-1)
    case("cummin", [wave], scan(lambda a, b: when(b.real < a.real, b, a)), [0], axis=-1)
    case("log_cumsum_exp", [wave], lambda x: np.log(np.cumsum(np.exp(x), axis=1)), [0], axis=1)
    case("log_cumsum_exp", [100 * wave], lambda x: np.logaddexp.accumulate(x, axis=1), axis=1)
    case("median", [wave], lambda x: np.median(x, axis=1))
    case("median", [wave[:, :4]], lambda x: np.median(x, axis=1, keepdims=True), keepdims=True)


def indexing():
    table = np.round(np.cos(np.arange(12.0)), 3).reshape(4, 3)
    rows = np.array([[0, 3, 1], [2, 2, 1]], dtype=np.int32)
    case("take_along_axis", [table, rows], lambda x, i: np.take_along_axis(x, i, 0), [0])

    def put(x, i, u):
        y = np.array(x, dtype=np.result_type(x, u))
        np.put_along_axis(y, i, u, 0)
        return y

    case("put_along_axis", [table, np.array([[0, 3, 1], [2, 2, 0]], dtype=np.int32), XY], put, [0, 2])
    places = np.array([[0, 2], [3, 1], [0, 2]], dtype=np.int32)
    case("gather_nd", [table, places], lambda x, i: x[i[:, 0], i[:, 1]], [0])
    case("gather_nd", [table, i32(3, 1)[:, None]], lambda x, i: x[i[:, 0]], [0])

    def add(x, i, u):
        y = np.array(x, dtype=np.result_type(x, u))
        np.add.at(y, tuple(i.T), u)
        return y

    case("scatter_nd_add", [table, places, X[:3]], add, [0, 2])
    case("index_select", [table, i32(2, 0, 2)], lambda x, i: x[:, i], [0], axis=1)
    case("embedding", [table, rows], lambda x, i: x[i], [0])
    untrained = np.array([1.0, 0.0, 1.0, 1.0])[:, None]  # row 1 gets no gradient
    case("embedding", [table, rows], lambda x, i: (x.real + 1j * x.imag * untrained if x.dtype == complex else x)[i],
         [0], padding_index=1)
    case("masked_fill", [XY, np.array([True, False, True])], lambda x, m: np.where(m, 9.5, x), [0], value=9.5)
    case("index_add", [table, i32(1, 1), XY], lambda x, i, u: add(x, i[:, None], u), [0, 2])
    case("bincount", [i32(0, 2, 2, 5, 1)], lambda i: np.bincount(i, minlength=6)[:4].astype(np.int32), length=4)


def order():
    wave = np.array([[0.5, -2.0, 3.0, 0.0, -2.0], [1.0, NAN, -1.0, 4.5, 0.25]])
    stable = lambda x, axis: np.argsort(x, axis=axis, kind="stable").astype(np.int32)
    case("argsort", [wave], lambda x: stable(x, 1))
    case("argsort", [i32(3, 1, 3, 2)], lambda x: stable(-x, 0), descending=True)
    case("sort_with_indices", [wave], lambda x: (np.sort(x, axis=1), stable(x, 1)))
    case("sort_with_indices", [XY], lambda x: (np.sort(x, axis=0), stable(x, 0)), [0], axis=0)
    case("kth_value", [wave], lambda x: (np.sort(x, axis=1)[:, 1], stable(x, 1)[:, 1]), k=2)
    case("searchsorted", [np.array([1.0, 2.0, 2.0, 5.0]), np.array([[0.0, 2.0], [5.0, 9.0]])], lambda s,
         v: np.searchsorted(s, v).astype(np.int32))
    case("searchsorted", [i32(1, 2, 2, 5, 7), i32(0, 2, 5, 9)], lambda s,
         v: np.searchsorted(s, v, "right").astype(np.int32), right=True)


def philox(key, counter):
    """One block of Philox 4x32-10 (Salmon et al., SC 2011)."""
    c, k = list(counter), list(key)
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(p1 >> 32) ^ c[1] ^ k[0], p1 & 0xFFFFFFFF, (p0 >> 32) ^ c[3] ^ k[1], p0 & 0xFFFFFFFF]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c


def words(state, count):
    state = [int(v) for v in state]
    blocks = [philox(state[:2], [b & 0xFFFFFFFF, b >> 32, state[2], state[3]]) for b in range((count + 3) // 4)]
    return np.array(sum(blocks, [])[:count], dtype=np.uint64)


def uniform53(state, count):
    w = words(state, 2 * count).reshape(count, 2)
    return ((w[:, 0] >> np.uint64(5)).astype(float) * 2.0**26 + (w[:, 1] >> np.uint64(6)).astype(float)) * 2.0**-53


def random():
    # Known answers of the paper's reference code.
    assert [f"{w:08x}" for w in philox([0, 0], [0] * 4)] == ["6627e8d5", "e169c58d", "bc57ac4c", "9b00dbd8"]
    state = np.array([7, 11, 13, 17], dtype=np.uint32)

    def folded(s, n):
        return words([s[0], s[1], int(s[2]) + int(n) & 0xFFFFFFFF, int(s[3]) + 0x9E3779B9 & 0xFFFFFFFF],
                     4).astype(np.uint32)

    def normal(s):
        u = uniform53(s, 6).reshape(2, 3)
        radius, angle = np.sqrt(-2 * np.log(1 - u[0])), 2 * math.pi * u[1]
        return 1.5 + 2.0 * np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])[:5]

    def truncated(s):
        low, high = special.erf(-1 / math.sqrt(2)), special.erf(2 / math.sqrt(2))
        return 0.5 + 3.0 * math.sqrt(2) * special.erfinv(low + (high - low) * uniform53(s, 5))

    single = lambda s, n: ((words(s, n) >> np.uint64(8)).astype(np.float64) * 2.0**-24).astype(np.float32)
    case("fold_in", [state, np.uint32(5)], folded)
    case("uniform", [state], lambda s: -1.0 + 4.0 * uniform53(s, 6).reshape(2, 3), shape=[2, 3], low=-1.0, high=3.0,
         dtype="f64")
    case("uniform", [state], lambda s: single(s, 6), shape=[6])
    case("normal", [state], normal, shape=[5], mean=1.5, deviation=2.0, dtype="f64")
    case("bernoulli", [state], lambda s: single(s, 9) < 0.25, shape=[9], probability=0.25)
    case("randint", [state], lambda s: (words(s, 9) % np.uint64(13)).astype(np.int32) - 5, shape=[9], low=-5, high=8)
    case("permutation", [state], lambda s: np.argsort(words(s, 11), kind="stable").astype(np.int32), size=11)
    case("truncated_normal", [state], truncated, shape=[5], mean=0.5, deviation=3.0, low=-1.0, high=2.0, dtype="f64")


def stated(op, inputs, y, gradients, **attributes):
    """One case whose value and gradients (null: not asked) follow from the mathematics; the cotangent is all ones."""
    case(op, inputs, lambda *_: np.array(y), **attributes)
    cases[-1]["cotangent"] = [1.0] * np.size(y)
    cases[-1]["gradients"] = [None if g is None else tensor(np.array(g)) for g in gradients]
    cases[-1]["source"] = "limits of the formula"


def limits():
    """Far from 0, where a careless formula gives inf - inf or 0 inf, and at corners, where the gradient is a choice."""
    far, ramp, step = np.array([-1e4, 1e4]), [0.0, 1e4], [0.0, 1.0]
    for op in ("relu", "gelu", "silu", "mish", "softplus", "quick_gelu", "leaky_relu", "hard_swish"):
        stated(op, [far], ramp, [step], **({"slope": 0.0} if op == "leaky_relu" else {}))
    stated("gelu", [far], ramp, [step], approximate="tanh")
    for op in ("elu", "celu"):
        stated(op, [far], [-1.0, 1e4], [step])
    scale = 1.0507009873554805
    stated("selu", [far], [-scale * 1.6732632423543772, scale * 1e4], [[0.0, scale]])
    stated("sigmoid", [far], step, [[0.0, 0.0]])
    stated("log_sigmoid", [far], [-1e4, 0.0], [[1.0, 0.0]])
    stated("softsign", [far], [-1e4 / 10001, 1e4 / 10001], [[10001.0**-2, 10001.0**-2]])
    stated("tanh_shrink", [far], [-9999.0, 9999.0], [[1.0, 1.0]])
    stated("erfc", [far], [2.0, 0.0], [[0.0, 0.0]])
    stated("logaddexp", [far, -far], [1e4, 1e4], [[0.0, 1.0], [1.0, 0.0]])
    stated("acosh", [np.array([1e300])], [math.log(2.0) + math.log(1e300)], [[1e-300]])
    stated("log_sum_exp", [np.array([[-INF, -INF], [1e4, -1e4]])], [-INF, 1e4], [[[0.0, 0.0], [1.0, 0.0]]], axes=[1])
    stated("relu", [np.array([-0.0, 0.0])], [0.0, 0.0], [[0.0, 0.0]])
    stated("relu6", [np.array([0.0, 6.0])], [0.0, 6.0], [[0.0, 0.0]])
    stated("clamp", [np.array([-1.0, 1.0])], [-1.0, 1.0], [[1.0, 1.0]], low=-1.0, high=1.0)
    stated("softplus", [np.array([0.0])], [math.log(2.0)], [[0.5]])
    stated("elu", [np.array([0.0])], [0.0], [[0.5]], alpha=0.5)
    stated("hypot", [np.array([0.0]), np.array([0.0])], [0.0], [[0.0], [0.0]])
    stated("sinc", [np.array([0.0])], [1.0], [[0.0]])
    stated("xlogy", [np.array([0.0]), np.array([0.0])], [0.0], [None, [0.0]])
    for p in (1.0, 2.0, INF):
        stated("norm", [np.zeros(2)], 0.0, [[0.0, 0.0]], p=p)
    stated("standard_deviation", [np.ones(3)], 0.0, [[0.0, 0.0, 0.0]])
    stated("amax", [np.array([2.0, 1.0, 2.0])], 2.0, [[0.5, 0.0, 0.5]])
    stated("prod", [np.array([0.0, 0.0, 3.0])], 0.0, [[0.0, 0.0, 0.0]])
    stated("stop_gradient", [X], X, [0 * X])
    stated("round", [X], np.round(X), [0 * X])
    stated("nan_to_num", [np.array([NAN, INF, 2.0])], [0.0, 1.7976931348623157e308, 2.0], [[0.0, 0.0, 1.0]])


def main():
    out = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).with_name("op_vectors.json")
    for family in (activations, mathematics, logic, creation, shapes, reductions, indexing, order, random, limits):
        family()
    out.write_text("[\n" + ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases) + "\n]\n")
    print(f"{out}: {len(cases)} cases of {len({c['op'] for c in cases})} ops")


if __name__ == "__main__":
    main()
