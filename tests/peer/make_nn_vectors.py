#!/usr/bin/env python3
"""Writes nn_vectors.json: what PyTorch computes in f64 for small cases of the neural-network ops, with gradients.

usage: make_nn_vectors.py [OUT.json]        needs torch

The format is that of make_vectors.py. Gradients are PyTorch's own, by autograd through its implementation (not
through a formula of ours) wherever it has one; `reference` says so where a case is written out from its definition.
"""

import json
import math
import pathlib
import sys

import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
torch.manual_seed(20)
torch.set_num_threads(1)  # sums in one order: the file is the same every time
NAMES = {
    torch.float64: "f64",
    torch.float32: "f32",
    torch.int32: "i32",
    torch.int64: "i64",
    torch.uint32: "u32",
    torch.bool: "bool",
}
cases = []


def number(v):
    if isinstance(v, (bool, int, str)):
        return v
    if math.isnan(v):
        return "nan"
    return v if math.isfinite(v) else ("inf" if v > 0 else "-inf")


def tensor(t):
    return {
        "dtype": NAMES[t.dtype],
        "shape": list(t.shape),
        "values": [number(v) for v in t.detach().flatten().tolist()],
    }


def case(op, inputs, f, gradients=None, reference="", **attributes):
    """f takes the inputs and gives one tensor or several; gradients names the inputs to differentiate (default: all
    float inputs). None stands for an absent optional input."""
    if gradients is None:
        gradients = [k for k, x in enumerate(inputs) if x is not None and x.is_floating_point()]
    inputs = [None if x is None else x.detach().clone().requires_grad_(k in gradients) for k, x in enumerate(inputs)]
    y = f(*inputs)
    outputs = list(y) if isinstance(y, (tuple, list)) else [y]
    entry = {
        "op": op,
        "inputs": [None if x is None else tensor(x) for x in inputs],
        "attributes": attributes,
        "outputs": [tensor(v) for v in outputs],
    }
    if gradients:
        weights = torch.round(torch.cos(1.0 + torch.arange(outputs[0].numel(), dtype=torch.float64)), decimals=3)
        (outputs[0] * weights.reshape(outputs[0].shape)).sum().backward()
        entry["cotangent"] = weights.tolist()
        entry["gradients"] = [tensor(x.grad) if k in gradients else None for k, x in enumerate(inputs)]
    entry["source"] = f"torch {torch.__version__}" + (f", {reference}" if reference else "")
    cases.append(entry)


def n(*shape):
    return torch.round(torch.randn(*shape), decimals=3)


def u(low, high, *shape):
    return torch.round(low + (high - low) * torch.rand(*shape), decimals=3)


def ints(*values, dtype=torch.int32):
    return torch.tensor(values, dtype=dtype)


def signs(*shape):
    return torch.where(torch.rand(*shape) < 0.5, -1.0, 1.0)


def linear():
    case("linear", [n(2, 3), n(4, 3), n(4)], F.linear)
    case("linear", [n(2, 2, 3), n(4, 3)], F.linear)
    case("bilinear", [n(2, 3), n(2, 4), n(5, 3, 4), n(5)], F.bilinear)
    case("outer", [n(3), n(4)], torch.outer)
    for x, w in (((2, 3), (3, 4)), ((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 4)), ((2, 1, 2, 3), (4, 3, 5))):
        case("matmul", [n(*x), n(*w)], torch.matmul)


def normalization():
    x = n(3, 4)
    for axis in (-1, 0):
        case("softmax", [x], lambda v: F.softmax(v, axis), axis=axis)
        case("log_softmax", [x * 20], lambda v: F.log_softmax(v, axis), axis=axis)
        case("softmin", [x], lambda v: F.softmin(v, axis), axis=axis)
    case("softmax", [n(2, 3, 4)], lambda v: F.softmax(v, 1), axis=1)
    case("layer_norm", [n(3, 5), n(5), n(5)], lambda v, w, b: F.layer_norm(v, (5,), w, b))
    case("layer_norm", [n(2, 3, 4), n(3, 4)], lambda v, w: F.layer_norm(v, (3, 4), w, eps=0.1), axes=2, epsilon=0.1)
    case("layer_norm", [n(3, 5) + 100], lambda v: F.layer_norm(v, (5,)))
    case("rms_norm", [n(3, 5), n(5)], lambda v, w: F.rms_norm(v, (5,), w, eps=1e-6))
    case("rms_norm", [n(2, 3, 4)], lambda v: F.rms_norm(v, (3, 4), eps=0.1), axes=2, epsilon=0.1)

    def batch_norm(v, w, b):
        axes = [a for a in range(v.dim()) if a != 1]
        return F.batch_norm(v, None, None, w, b, training=True), v.mean(axes), v.var(axes, unbiased=False)

    case("batch_norm", [n(4, 3), n(3), n(3)], batch_norm)
    case("batch_norm", [n(2, 3, 2, 4) + 10, n(3), n(3)], batch_norm)
    case("batch_norm", [n(5, 2, 3)], lambda v: batch_norm(v, None, None))
    case(
        "batch_norm_inference",
        [n(2, 3, 2, 2), n(3), u(0.2, 2, 3), n(3), n(3)],
        lambda v, m, s, w, b: F.batch_norm(v, m, s, w, b, training=False),
        gradients=[0, 3, 4],
    )
    case("group_norm", [n(2, 4, 3), n(4), n(4)], lambda v, w, b: F.group_norm(v, 2, w, b), groups=2)
    case("instance_norm", [n(2, 3, 2, 3), n(3), n(3)], lambda v, w, b: F.instance_norm(v, weight=w, bias=b))
    case(
        "local_response_norm",
        [n(2, 5, 3)],
        lambda v: F.local_response_norm(v, 3, 0.5, 0.6, 2.0),
        size=3,
        alpha=0.5,
        beta=0.6,
        k=2.0,
    )
    case("local_response_norm", [n(1, 6, 2)], lambda v: F.local_response_norm(v, 4, 0.5), size=4, alpha=0.5)
    case("l2_normalize", [n(3, 4)], lambda v: F.normalize(v, dim=-1))
    case("l2_normalize", [n(3, 4)], lambda v: F.normalize(v, dim=0), axis=0)


def convolution():
    case("conv1d", [n(2, 3, 7), n(4, 3, 3), n(4)], lambda x, w, b: F.conv1d(x, w, b, 2, 1), stride=[2], padding=[1])
    case(
        "conv1d",
        [n(1, 4, 9), n(6, 2, 2)],
        lambda x, w: F.conv1d(x, w, None, 1, 2, 3, 2),
        padding=[2],
        dilation=[3],
        groups=2,
    )
    case(
        "conv2d", [n(2, 3, 5, 6), n(4, 3, 3, 3), n(4)], lambda x, w, b: F.conv2d(x, w, b, 2, 1), stride=[2], padding=[1]
    )
    case(
        "conv2d",
        [n(1, 4, 6, 5), n(6, 2, 3, 2)],
        lambda x, w: F.conv2d(x, w, None, (1, 2), (2, 0), (1, 2), 2),
        stride=[1, 2],
        padding=[2, 0],
        dilation=[1, 2],
        groups=2,
    )
    case("conv2d", [n(2, 3, 6, 6), n(4, 3, 1, 1)], lambda x, w: F.conv2d(x, w, None, 2), stride=[2])
    case("conv2d", [n(1, 2, 7, 7), n(2, 2, 4, 4)], lambda x, w: F.conv2d(x, w, None, 3, 1), stride=[3], padding=[1])
    case(
        "conv3d",
        [n(1, 2, 3, 4, 3), n(2, 1, 2, 2, 2), n(2)],
        lambda x, w, b: F.conv3d(x, w, b, 2, 1, 1, 2),
        stride=[2],
        padding=[1],
        groups=2,
    )
    case(
        "depthwise_conv2d",
        [n(1, 2, 5, 5), n(4, 1, 3, 2), n(4)],
        lambda x, w, b: F.conv2d(x, w, b, 2, 1, (1, 2), 2),
        stride=[2],
        padding=[1],
        dilation=[1, 2],
    )
    case(
        "conv1d_transpose",
        [n(2, 3, 4), n(3, 4, 3), n(4)],
        lambda x, w, b: F.conv_transpose1d(x, w, b, 2, 1, 1),
        stride=[2],
        padding=[1],
        output_padding=[1],
    )
    case(
        "conv1d_transpose",
        [n(1, 1, 5), n(1, 1, 2)],
        lambda x, w: F.conv_transpose1d(x, w, None, 2, 3),
        stride=[2],
        padding=[3],
    )
    case(
        "conv2d_transpose",
        [n(2, 3, 3, 4), n(3, 4, 3, 3), n(4)],
        lambda x, w, b: F.conv_transpose2d(x, w, b, 2, 1, 1),
        stride=[2],
        padding=[1],
        output_padding=[1],
    )
    case(
        "conv2d_transpose",
        [n(1, 4, 3, 2), n(4, 3, 2, 3), n(6)],
        lambda x, w, b: F.conv_transpose2d(x, w, b, (1, 2), (0, 1), 0, 2, (2, 1)),
        stride=[1, 2],
        padding=[0, 1],
        dilation=[2, 1],
        groups=2,
    )
    case(
        "conv3d_transpose",
        [n(1, 2, 2, 3, 2), n(2, 1, 2, 2, 2), n(2)],
        lambda x, w, b: F.conv_transpose3d(x, w, b, 2, 1, 1, 2),
        stride=[2],
        padding=[1],
        output_padding=[1],
        groups=2,
    )


def pooling():
    case("max_pool1d", [n(2, 2, 7)], lambda x: F.max_pool1d(x, 3, 2, 1), window=[3], stride=[2], padding=[1])
    case("max_pool1d", [n(1, 1, 9)], lambda x: F.max_pool1d(x, 3, 1, 0, 3), window=[3], stride=[1], dilation=[3])
    case("max_pool2d", [n(2, 2, 7, 6)], lambda x: F.max_pool2d(x, 3, 2, 1), window=[3], stride=[2], padding=[1])
    case("max_pool2d", [F.relu(n(1, 2, 6, 6))], lambda x: F.max_pool2d(x, 3, 2, 1), window=[3], stride=[2], padding=[1])
    case(
        "max_pool2d",
        [n(1, 2, 6, 5)],
        lambda x: F.max_pool2d(x, (2, 3), (1, 2), (1, 0), (2, 1)),
        window=[2, 3],
        stride=[1, 2],
        padding=[1, 0],
        dilation=[2, 1],
    )
    case(
        "max_pool2d",
        [n(1, 2, 6, 7)],
        lambda x: F.max_pool2d(x, 3, 2, ceil_mode=True),
        window=[3],
        stride=[2],
        ceil_mode=True,
    )
    case("max_pool2d", [n(1, 1, 7, 7)], lambda x: F.max_pool2d(x, 2, 3), window=[2], stride=[3])
    case(
        "max_pool3d",
        [n(1, 2, 3, 4, 5)],
        lambda x: F.max_pool3d(x, (3, 2, 3), 2, 1),
        window=[3, 2, 3],
        stride=[2],
        padding=[1],
    )

    def max_pool_gradient(x, y, dy):
        x = x.detach().requires_grad_()
        F.max_pool2d(x, 3, 2, 1).backward(dy)
        return x.grad

    x = n(1, 2, 5, 6)
    case(
        "max_pool_gradient",
        [x, F.max_pool2d(x, 3, 2, 1), n(1, 2, 3, 3)],
        max_pool_gradient,
        gradients=[],
        window=[1, 1, 3, 3],
        strides=[1, 1, 2, 2],
        low=[0, 0, 1, 1],
        high=[0, 0, 1, 1],
        dilation=[1, 1, 1, 1],
    )
    case("avg_pool1d", [n(2, 2, 8)], lambda x: F.avg_pool1d(x, 2), window=[2])
    case(
        "avg_pool1d",
        [n(2, 2, 7)],
        lambda x: F.avg_pool1d(x, 3, 2, 1, False, False),
        window=[3],
        stride=[2],
        padding=[1],
        count_include_pad=False,
    )
    case("avg_pool2d", [n(2, 2, 4, 6)], lambda x: F.avg_pool2d(x, 2), window=[2])
    case("avg_pool2d", [n(1, 2, 7, 6)], lambda x: F.avg_pool2d(x, 3, 2, 1), window=[3], stride=[2], padding=[1])
    case(
        "avg_pool2d",
        [n(1, 2, 6, 7)],
        lambda x: F.avg_pool2d(x, 3, 2, 1, True, False),
        window=[3],
        stride=[2],
        padding=[1],
        ceil_mode=True,
        count_include_pad=False,
    )
    case(
        "avg_pool2d",
        [n(1, 2, 6, 7)],
        lambda x: F.avg_pool2d(x, 3, 2, 1, True, True),
        window=[3],
        stride=[2],
        padding=[1],
        ceil_mode=True,
    )
    case("avg_pool2d", [n(1, 1, 5, 5)], lambda x: F.avg_pool2d(x, (3, 2), 1), window=[3, 2], stride=[1])
    case("avg_pool3d", [n(1, 1, 4, 3, 5)], lambda x: F.avg_pool3d(x, 3, 2, 1), window=[3], stride=[2], padding=[1])
    case("global_avg_pool", [n(2, 3, 4, 5)], lambda x: F.adaptive_avg_pool2d(x, 1))
    case("global_max_pool", [n(2, 3, 4, 5)], lambda x: F.adaptive_max_pool2d(x, 1))
    case("adaptive_avg_pool2d", [n(1, 2, 7, 5)], lambda x: F.adaptive_avg_pool2d(x, (3, 2)), size=[3, 2])
    case("adaptive_avg_pool2d", [n(1, 2, 4, 6)], lambda x: F.adaptive_avg_pool2d(x, (2, 3)), size=[2, 3])
    case("adaptive_avg_pool2d", [n(1, 2, 3, 4)], lambda x: F.adaptive_avg_pool2d(x, (5, 4)), size=[5, 4])
    case("lp_pool2d", [u(0.2, 2, 1, 2, 5, 6)], lambda x: F.lp_pool2d(x, 3.0, 2), window=[2], p=3.0)


def loss():
    logits, labels = n(4, 3) * 3, ints(2, 0, 1, 2)
    for reduction in ("mean", "sum", "none"):
        case(
            "cross_entropy",
            [logits, labels],
            lambda x, t: F.cross_entropy(x, t.long(), reduction=reduction),
            reduction=reduction,
        )
    case(
        "cross_entropy",
        [logits * 50, labels],
        lambda x, t: F.cross_entropy(x, t.long(), label_smoothing=0.1),
        label_smoothing=0.1,
    )
    ignored = ints(2, -1, 1, -1, dtype=torch.int64)
    case(
        "cross_entropy",
        [logits, ignored],
        lambda x, t: F.cross_entropy(x, t, ignore_index=-1, label_smoothing=0.2),
        ignore_index=-1,
        label_smoothing=0.2,
    )
    case(
        "cross_entropy",
        [n(2, 3, 4), ints(0, 2, 1, 1, 2, 0, 0, 1).reshape(2, 4)],
        lambda x, t: F.cross_entropy(x, t.long()),
        axis=1,
    )
    soft = F.softmax(n(4, 3), -1)
    case("cross_entropy_soft", [logits, soft], lambda x, t: F.cross_entropy(x, t))
    case(
        "cross_entropy_soft",
        [n(2, 3, 4), F.softmax(n(2, 3, 4), 1)],
        lambda x, t: F.cross_entropy(x, t, reduction="none"),
        axis=1,
        reduction="none",
    )
    case(
        "nll_loss",
        [F.log_softmax(logits, -1), ignored],
        lambda x, t: F.nll_loss(x, t, ignore_index=-1),
        ignore_index=-1,
    )
    p, t = u(0.05, 0.95, 2, 3), u(0, 1, 2, 3)
    case("binary_cross_entropy", [p, t], F.binary_cross_entropy)
    case(
        "binary_cross_entropy",
        [torch.tensor([0.0, 1.0, 0.25]), torch.tensor([1.0, 1.0, 0.0])],
        lambda x, y: F.binary_cross_entropy(x, y, reduction="none"),
        gradients=[],
        reduction="none",
    )
    case("binary_cross_entropy_with_logits", [n(2, 3) * 30, t], F.binary_cross_entropy_with_logits)
    case(
        "binary_cross_entropy_with_logits",
        [n(2, 3), t],
        lambda x, y: F.binary_cross_entropy_with_logits(x, y, reduction="sum"),
        reduction="sum",
    )
    x, y = n(3, 4), n(3, 4)
    for reduction in ("mean", "none"):
        case("mse_loss", [x, y], lambda a, b: F.mse_loss(a, b, reduction=reduction), reduction=reduction)
        case("l1_loss", [x, y], lambda a, b: F.l1_loss(a, b, reduction=reduction), reduction=reduction)
    case("smooth_l1_loss", [x, y], lambda a, b: F.smooth_l1_loss(a, b, beta=0.5), beta=0.5)
    case("huber_loss", [x, y], lambda a, b: F.huber_loss(a, b, delta=0.7), delta=0.7)
    log_p, q = F.log_softmax(n(3, 4), -1), F.softmax(n(3, 4), -1)
    case("kl_divergence", [log_p, q], lambda a, b: F.kl_div(a, b, reduction="batchmean"), reduction="batchmean")
    case(
        "kl_divergence",
        [log_p, q.log()],
        lambda a, b: F.kl_div(a, b, reduction="sum", log_target=True),
        reduction="sum",
        log_target=True,
    )
    case(
        "kl_divergence",
        [log_p, torch.tensor([[0.0, 0.5, 0.5, 0.0]] * 3)],
        lambda a, b: F.kl_div(a, b, reduction="none"),
        gradients=[0],
        reduction="none",
    )
    s = signs(5)
    case(
        "cosine_embedding_loss",
        [n(5, 3), n(5, 3), s],
        lambda a, b, c: F.cosine_embedding_loss(a, b, c, 0.1),
        gradients=[0, 1],
        margin=0.1,
    )
    case("hinge_loss", [n(5), s], lambda a, b: torch.clamp(1 - a * b, min=0).mean(), reference="from the definition")
    case("hinge_embedding_loss", [n(5), s], lambda a, b: F.hinge_embedding_loss(a, b, 0.5), gradients=[0], margin=0.5)
    case("margin_ranking_loss", [n(5), n(5), s], lambda a, b, c: F.margin_ranking_loss(a, b, c, 0.3), margin=0.3)
    case("soft_margin_loss", [n(5) * 5, s], F.soft_margin_loss, gradients=[0])
    case(
        "triplet_margin_loss",
        [n(5, 3), n(5, 3), n(5, 3)],
        lambda a, b, c: F.triplet_margin_loss(a, b, c, reduction="none"),
        reduction="none",
    )
    case(
        "triplet_margin_loss",
        [n(5, 3), n(5, 3), n(5, 3)],
        lambda a, b, c: F.triplet_margin_loss(a, b, c, 2.0, swap=True),
        margin=2.0,
        swap=True,
    )
    case(
        "poisson_nll_loss",
        [n(6), u(0, 5, 6)],
        lambda a, b: F.poisson_nll_loss(a, b, full=True),
        gradients=[0],
        full=True,
    )
    case(
        "poisson_nll_loss",
        [u(0.2, 3, 6), u(0, 5, 6)],
        lambda a, b: F.poisson_nll_loss(a, b, log_input=False),
        log_input=False,
    )
    case(
        "gaussian_nll_loss",
        [n(6), n(6), u(0.2, 2, 6)],
        lambda a, b, c: F.gaussian_nll_loss(a, b, c, full=True),
        full=True,
    )

    def focal(x, y, alpha, gamma):
        p = torch.sigmoid(x)
        hit = p * y + (1 - p) * (1 - y)
        each = F.binary_cross_entropy_with_logits(x, y, reduction="none") * (1 - hit) ** gamma
        return (each if alpha < 0 else each * (alpha * y + (1 - alpha) * (1 - y))).mean()

    y = (torch.rand(6) < 0.5).double()
    case(
        "focal_loss", [n(6) * 2, y], lambda a, b: focal(a, b, 0.25, 2.0), gradients=[0], reference="from the definition"
    )
    case(
        "focal_loss",
        [n(6) * 2, y],
        lambda a, b: focal(a, b, -1.0, 1.5),
        gradients=[0],
        reference="from the definition",
        alpha=-1.0,
        gamma=1.5,
    )
    case(
        "dice_loss",
        [u(0, 1, 2, 3, 2), u(0, 1, 2, 3, 2)],
        lambda a, b: (1 - (2 * (a * b).sum((1, 2)) + 1) / (a.sum((1, 2)) + b.sum((1, 2)) + 1)).mean(),
        reference="from the definition",
    )
    ctc()


def ctc():
    def brute(x, targets, inputs, lengths, blank):
        """-log of the sum over all C^T paths that collapse to the target."""
        losses = []
        for b in range(x.shape[1]):
            want, steps = targets[b, : lengths[b]].tolist(), int(inputs[b])
            total = []
            for code in range(x.shape[2] ** steps):
                path, rest = [], code
                for _ in range(steps):
                    path.append(rest % x.shape[2])
                    rest //= x.shape[2]
                merged = [c for i, c in enumerate(path) if i == 0 or c != path[i - 1]]
                if [c for c in merged if c != blank] == want:
                    total.append(sum(x[i, b, c] for i, c in enumerate(path)))
            losses.append(-torch.logsumexp(torch.stack(total), 0) if total else torch.tensor(math.inf))
        return torch.stack(losses)

    x = F.log_softmax(n(5, 3, 4), -1)
    targets, inputs, lengths = ints(1, 2, 3, 2, 2, 0, 1, 3, 1).reshape(3, 3), ints(5, 5, 3), ints(3, 2, 1)
    want = F.ctc_loss(x, targets.long(), inputs.long(), lengths.long(), reduction="none")
    assert torch.allclose(want, brute(x, targets, inputs, lengths, 0))
    note = "gradient through the sum over all paths"
    case(
        "ctc_loss",
        [x, targets, inputs, lengths],
        lambda a, b, c, d: brute(a, b, c, d, 0),
        reference=note,
        reduction="none",
    )
    case(
        "ctc_loss",
        [x, targets, inputs, lengths],
        lambda a, b, c, d: (brute(a, b, c, d, 0) / d.clamp(min=1)).mean(),
        reference=note,
    )
    y = F.log_softmax(n(4, 2, 3), -1)
    targets, inputs, lengths = ints(0, 1, 1, 0).reshape(2, 2), ints(4, 2), ints(2, 0)
    want = F.ctc_loss(y, targets.long(), inputs.long(), lengths.long(), blank=2, reduction="sum")
    assert torch.allclose(want, brute(y, targets, inputs, lengths, 2).sum())
    case(
        "ctc_loss",
        [y, targets, inputs, lengths],
        lambda a, b, c, d: brute(a, b, c, d, 2).sum(),
        reference=note,
        blank=2,
        reduction="sum",
    )
    case(
        "ctc_loss",
        [y, ints(1, 1, 0, 1).reshape(2, 2), ints(2, 4), ints(2, 2)],
        lambda a, b, c, d: F.ctc_loss(a, b.long(), c.long(), d.long(), blank=2, reduction="none"),
        gradients=[],
        blank=2,
        reduction="none",
    )


def attention():
    sdpa = F.scaled_dot_product_attention

    def plain(q, k, v, mask, scale):
        repeat = q.shape[1] // k.shape[1]
        k, v = k.repeat_interleave(repeat, 1), v.repeat_interleave(repeat, 1)
        return torch.softmax(q @ k.transpose(2, 3) * scale + mask, -1) @ v

    case("attention", [n(2, 2, 3, 4), n(2, 2, 5, 4), n(2, 2, 5, 4)], sdpa)
    case(
        "attention",
        [n(1, 2, 4, 4), n(1, 2, 4, 4), n(1, 2, 4, 3)],
        lambda q, k, v: sdpa(q, k, v, is_causal=True),
        causal=True,
    )
    case(
        "attention",
        [n(1, 4, 3, 2), n(1, 2, 5, 2), n(1, 2, 5, 2)],
        lambda q, k, v: sdpa(q, k, v, scale=0.3, enable_gqa=True),
        scale=0.3,
    )
    rows = torch.arange(3)[:, None] + 2
    shifted = torch.where(torch.arange(5)[None, :] <= rows, 0.0, -math.inf)
    case(
        "attention",
        [n(1, 4, 3, 2), n(1, 2, 5, 2), n(1, 2, 5, 2)],
        lambda q, k, v: plain(q, k, v, shifted, 1 / math.sqrt(2)),
        reference="from the definition",
        causal=True,
    )
    mask = torch.tensor([[True, False, True, True], [False, True, True, False], [True, True, False, False]])
    case(
        "attention", [n(1, 2, 3, 2), n(1, 2, 4, 2), n(1, 2, 4, 2), mask], lambda q, k, v, m: sdpa(q, k, v, attn_mask=m)
    )
    case(
        "attention",
        [n(2, 2, 3, 2), n(2, 2, 4, 2), n(2, 2, 4, 2), n(2, 1, 3, 4)],
        lambda q, k, v, m: sdpa(q, k, v, attn_mask=m),
    )
    case(
        "attention",
        [n(2, 4, 3, 2), n(2, 2, 4, 2), n(2, 2, 4, 2), n(4, 1, 4)],
        lambda q, k, v, m: plain(q, k, v, m, 1 / math.sqrt(2)),
        reference="from the definition",
    )

    def gradient(q, k, v, y, dy):
        q, k, v = (t.detach().requires_grad_() for t in (q, k, v))
        sdpa(q, k, v, is_causal=True).backward(dy)
        return q.grad, k.grad, v.grad

    q, k, v = n(1, 2, 4, 3), n(1, 2, 4, 3), n(1, 2, 4, 2)
    case(
        "attention_gradient",
        [q, k, v, sdpa(q, k, v, is_causal=True), n(1, 2, 4, 2)],
        gradient,
        gradients=[],
        causal=True,
    )

    def rope(x, positions, frequencies, interleaved):
        angle = positions.double().reshape(-1, 1, x.shape[2], 1) * frequencies
        half = x.shape[3] // 2
        pair = torch.complex(x[..., 0::2], x[..., 1::2]) if interleaved else torch.complex(x[..., :half], x[..., half:])
        turned = pair * torch.polar(torch.ones_like(angle), angle)
        if interleaved:
            return torch.stack([turned.real, turned.imag], -1).reshape(x.shape)
        return torch.cat([turned.real, turned.imag], -1)

    note = "by complex rotation"
    f = 10000.0 ** (-torch.arange(0, 6, 2) / 6)
    case("rope", [n(2, 2, 3, 6), ints(0, 1, 7)], lambda x, p: rope(x, p, f, False), reference=note)
    case(
        "rope",
        [n(2, 2, 3, 6), ints(0, 1, 7, 100, 5, 2, dtype=torch.int64).reshape(2, 3)],
        lambda x, p: rope(x, p, f, True),
        reference=note,
        interleaved=True,
    )
    given = u(0.01, 1, 2)
    case("rope", [n(1, 2, 3, 4), ints(3, 4, 5), given], lambda x, p, w: rope(x, p, w, False), reference=note)
    slopes = torch.tensor([2.0**-4, 2.0**-8, 2.0**-2]).reshape(1, 3, 1, 1)
    case(
        "alibi_bias",
        [n(1, 3, 2, 4)],
        lambda x: x + slopes * (torch.arange(4)[None, :] - torch.arange(2)[:, None] - 2),
        reference="from the definition",
    )


def regularization():
    def philox(counter, key):
        """Philox 4x32-10 from its paper."""
        for r in range(10):
            a, b = 0xD2511F53 * counter[0], 0xCD9E8D57 * counter[2]
            k0, k1 = (key[0] + r * 0x9E3779B9) % 2**32, (key[1] + r * 0xBB67AE85) % 2**32
            counter = [(b >> 32) ^ counter[1] ^ k0, b % 2**32, (a >> 32) ^ counter[3] ^ k1, a % 2**32]
        return counter

    # The known answers that its authors publish with their implementation.
    assert philox([0] * 4, [0] * 2) == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
    assert philox([2**32 - 1] * 4, [2**32 - 1] * 2) == [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]

    def drop(x, state, probability, shape):
        k0, k1, s0, s1 = state.tolist()
        words = [w for block in range(math.prod(shape) // 4 + 1) for w in philox([block, 0, s0, s1], [k0, k1])]
        kept = torch.tensor([w >= probability * 2**32 for w in words[: math.prod(shape)]]).reshape(shape)
        return torch.where(kept, x / (1 - probability), 0.0)

    state, note = ints(1, 2, 3, 4000000000, dtype=torch.uint32), "Philox from its paper"
    case("dropout", [n(3, 5), state], lambda x, s: drop(x, s, 0.25, (3, 5)), reference=note, probability=0.25)
    case("dropout", [n(33), state], lambda x, s: drop(x, s, 0.5, (33,)), reference=note)
    case("dropout_channels", [n(3, 4, 2), state], lambda x, s: drop(x, s, 0.5, (3, 4, 1)), reference=note)
    case("drop_path", [n(6, 2, 2), state], lambda x, s: drop(x, s, 0.5, (6, 1, 1)), reference=note)


def vision():
    for size in ([6, 8], [5, 3], [3, 4]):
        case("interpolate", [n(1, 2, 3, 4)], lambda x: F.interpolate(x, size, mode="nearest"), size=size)
        for mode in ("bilinear", "bicubic"):
            for align in (False, True):
                case(
                    "interpolate",
                    [n(1, 2, 3, 4)],
                    lambda x: F.interpolate(x, size, mode=mode, align_corners=align),
                    size=size,
                    mode=mode,
                    align_corners=align,
                )
    for border in (False, True):
        for align in (False, True):
            case(
                "grid_sample",
                [n(2, 2, 3, 4), u(-1.3, 1.3, 2, 3, 2, 2)],
                lambda x, g: F.grid_sample(x, g, padding_mode="border" if border else "zeros", align_corners=align),
                border=border,
                align_corners=align,
            )
    for align in (False, True):
        case(
            "affine_grid",
            [n(2, 2, 3)],
            lambda t: F.affine_grid(t, [2, 1, 3, 4], align_corners=align),
            size=[3, 4],
            align_corners=align,
        )


def optimizer():
    def run(make, params, grads, prepare=None):
        """The second of two steps: state before it, param and state after it."""
        p = params.clone().requires_grad_()
        o = make([p])
        p.grad = grads[0].clone()
        o.step()
        state = {k: v.clone() for k, v in o.state[p].items() if torch.is_tensor(v)}
        before = p.detach().clone()
        p.grad = grads[1].clone()
        o.step()
        return before, state, p.detach(), o.state[p]

    p, g = n(3, 2), (n(3, 2), n(3, 2))
    rate = torch.tensor(0.0625, dtype=torch.float32)
    lr = float(rate)
    step = torch.tensor(2.0, dtype=torch.float32)

    def case_of(op, make, names, with_step=False, **attributes):
        before, old, after, new = run(make, p, g)
        inputs = [before, g[1]] + [old[k] for k in names] + ([step] if with_step else []) + [rate]
        case(op, inputs, lambda *_: [after] + [new[k] for k in names], gradients=[], **attributes)

    optim = torch.optim
    case_of("sgd_step", lambda q: optim.SGD(q, lr, weight_decay=0.125), [], weight_decay=0.125)
    case_of("momentum_step", lambda q: optim.SGD(q, lr, 0.75), ["momentum_buffer"], momentum=0.75)
    case_of(
        "momentum_step",
        lambda q: optim.SGD(q, lr, 0.75, weight_decay=0.125, nesterov=True),
        ["momentum_buffer"],
        momentum=0.75,
        nesterov=True,
        weight_decay=0.125,
    )
    moments = ["exp_avg", "exp_avg_sq"]
    case_of("adam_step", lambda q: optim.Adam(q, lr), moments, True)
    case_of(
        "adam_step",
        lambda q: optim.Adam(q, lr, (0.8, 0.95), 1e-3, 0.125),
        moments,
        True,
        beta1=0.8,
        beta2=0.95,
        epsilon=1e-3,
        weight_decay=0.125,
    )
    case_of("adamw_step", lambda q: optim.AdamW(q, lr), moments, True)
    case_of(
        "adamw_step",
        lambda q: optim.AdamW(q, lr, (0.8, 0.95), 1e-3, 0.125),
        moments,
        True,
        beta1=0.8,
        beta2=0.95,
        epsilon=1e-3,
        weight_decay=0.125,
    )
    case_of("adamax_step", lambda q: optim.Adamax(q, lr), ["exp_avg", "exp_inf"], True)
    case_of(
        "rmsprop_step",
        lambda q: optim.RMSprop(q, lr, 0.9, momentum=0.5, weight_decay=0.125),
        ["square_avg", "momentum_buffer"],
        decay=0.9,
        momentum=0.5,
        weight_decay=0.125,
    )
    case_of("adagrad_step", lambda q: optim.Adagrad(q, lr, weight_decay=0.125), ["sum"], weight_decay=0.125)
    case_of("adadelta_step", lambda q: optim.Adadelta(q, lr), ["square_avg", "acc_delta"])

    def lamb(q, grad, m, v, s, r):
        m, v = 0.9 * m + 0.1 * grad, 0.999 * v + 0.001 * grad * grad
        d = m / (1 - 0.9**2) / ((v / (1 - 0.999**2)).sqrt() + 1e-6) + 0.125 * q
        return q - lr * q.norm() / d.norm() * d, m, v

    def lion(q, grad, m, r):
        return q * (1 - lr * 0.125) - lr * torch.sign(0.9 * m + (1 - 0.9) * grad), 0.99 * m + (1 - 0.99) * grad

    def lars(q, grad, v, r):
        local = lr * 0.001 * q.norm() / (grad.norm() + 0.125 * q.norm())
        v = 0.9 * v + local * (grad + 0.125 * q)
        return q - v, v

    note = "from the definition"
    m, v = n(3, 2), u(0, 2, 3, 2)
    case("lamb_step", [p, g[0], m, v, step, rate], lamb, gradients=[], reference=note, weight_decay=0.125)
    case("lion_step", [p, g[0], m, rate], lion, gradients=[], reference=note, weight_decay=0.125)
    case("lars_step", [p, g[0], m, rate], lars, gradients=[], reference=note, weight_decay=0.125)

    def clip(*grads):
        held = [torch.zeros_like(x).requires_grad_() for x in grads]
        for h, x in zip(held, grads):
            h.grad = x.clone()
        torch.nn.utils.clip_grad_norm_(held, 0.5)
        return [h.grad for h in held]

    case("clip_by_global_norm", [n(3, 2), n(4)], clip, gradients=[], max_norm=0.5)
    case("clip_by_global_norm", [n(3) * 0.01], clip, gradients=[], max_norm=0.5)
    case("global_norm", [n(3, 2), n(4)], lambda a, b: torch.sqrt((a * a).sum() + (b * b).sum()))
    scale = torch.tensor(128.0, dtype=torch.float32)
    case("scale_loss", [n(2), scale], lambda a, s: a * s, gradients=[0])
    case("unscale_and_check", [scale, n(2), n(3)], lambda s, a, b: [torch.tensor(True), a / s, b / s], gradients=[])
    bad = torch.tensor([1.0, math.inf])
    case("unscale_and_check", [scale, n(2), bad], lambda s, a, b: [torch.tensor(False), a / s, b / s], gradients=[])

    def next_scale(growth_tracker, found_inf):
        s = torch.tensor(128.0, dtype=torch.float32)
        tracker = torch.tensor(growth_tracker, dtype=torch.int32)
        torch._amp_update_scale_(s, tracker, torch.tensor(float(found_inf), dtype=torch.float32), 2.0, 0.5, 3)
        return s, tracker

    for good, bad_step in ((0, False), (2, False), (2, True)):
        case(
            "update_loss_scale",
            [scale, torch.tensor(good, dtype=torch.int32), torch.tensor(not bad_step)],
            lambda *_: next_scale(good, bad_step),
            gradients=[],
            interval=3,
        )


def main():
    for group in (linear, normalization, convolution, pooling, loss, attention, regularization, vision, optimizer):
        group()
    out = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).with_name("nn_vectors.json")
    text = ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases)
    out.write_text("[\n" + text + "\n]\n")
    print(f"{out}: {len(cases)} cases of {len({c['op'] for c in cases})} ops")


main()
