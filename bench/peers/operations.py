"""The operations of bench/operations.h in PyTorch. Each takes the inputs and gives a function without arguments that
runs it once and returns the results as a list of tensors."""
import functools

import torch
from torch.nn import functional as F


def attention_step(q, k, v):
    inputs = [each.detach().requires_grad_() for each in (q, k, v)]
    return list(torch.autograd.grad(F.scaled_dot_product_attention(*inputs).sum(), inputs))


def adds(x, y):
    for _ in range(100):
        x = x + y
    return [x]


OPERATIONS = {
    "bias_gelu": lambda x, bias: [F.gelu(x + bias)],
    "add_layer_norm": lambda x, y, weight, bias: [F.layer_norm(x + y, weight.shape, weight, bias)],
    "scale_softmax": lambda x: [torch.softmax(x * 0.125, -1)],
    "attention": lambda q, k, v: [F.scaled_dot_product_attention(q, k, v)],
    "attention_step": attention_step,
    "adds_compiled": adds,
    "adds_lazy": adds,
}


def adamw(p, gradient, compiled):
    p = torch.nn.Parameter(p.clone())
    p.grad = gradient
    optimizer = torch.optim.AdamW([p], lr=1e-3, weight_decay=0.0, fused=not compiled)
    step = torch.compile(optimizer.step) if compiled else optimizer.step

    def run():
        step()
        return [p.detach()]

    return run


def operation(name, inputs, compiled):
    if name == "adamw":
        return adamw(*inputs, compiled)
    body = OPERATIONS[name]
    if compiled:
        body = torch.compile(body)
    run = functools.partial(body, *inputs)
    return run if name == "attention_step" else torch.no_grad()(run)


def onednn_product(kind, x, w):
    """oneDNN as PyTorch bundles it, with the weights packed ahead."""
    if kind == "int8":
        x, w = x.to(torch.uint8), w.to(torch.int8).T.contiguous()
        packed = torch.ops.onednn.qlinear_prepack(w, list(x.shape))
        scales, zeros = torch.ones(len(w)), torch.zeros(len(w), dtype=torch.int64)
        return lambda: [torch.ops.onednn.qlinear_pointwise(x, 1.0, 0, packed, scales, zeros, None, 1.0, 0,
                                                           torch.float32, "none", [], "")]
    dtype = torch.bfloat16 if kind == "bf16" else torch.float32
    x, w = x.to(dtype), w.to(dtype).T.contiguous()
    packed = torch.ops.mkldnn._reorder_linear_weight(w, len(x))
    return lambda: [torch.ops.mkldnn._linear_pointwise(x, packed, None, "none", [], "").float()]
