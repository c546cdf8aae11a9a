"""PyTorch on the CPU, in eager mode or compiled: the networks of bench/networks/, the training steps of bench/training.h
and the operations of bench/operations.h.

usage: torch_peer.py network NAME FOLDER THREADS PRECISION [compile]
       torch_peer.py train NAME FOLDER THREADS PRECISION [compile]
       torch_peer.py op NAME FOLDER THREADS PRECISION [compile]        the precision is in the name

PRECISION is f32, bf16 (the whole network; autocast in training) or int8-dynamic (the linear layers).
"""
import pathlib
import sys

import numpy as np
import operations
import protocol
import torch
import torch_networks as networks
from torch import nn


STEPS = {"tiny_mlp": networks.TinyMlp, "lenet": networks.LeNet, "resnet18": networks.ResNet18, "char_gpt": networks.CharGpt,
         "resnet50": networks.ResNet50, "bert_base": networks.BertClassifier}


def load_state(net, folder):
    state = {path.stem: torch.from_numpy(np.load(path)) for path in (pathlib.Path(folder) / "state").glob("*.npy")}
    renamed = {key.replace("running_variance", "running_var"): value for key, value in state.items()}
    absent = net.load_state_dict(renamed, strict=False)
    if absent.unexpected_keys or any("num_batches" not in key for key in absent.missing_keys):
        raise SystemExit(f"the parameters do not fit: {absent}")


def network(name, folder, precision, compiled):
    net = networks.network(name).eval()
    load_state(net, folder)
    [x] = (torch.from_numpy(value) for value in protocol.load_inputs(folder))
    if x.dim() == 4:
        net, x = net.to(memory_format=torch.channels_last), x.contiguous(memory_format=torch.channels_last)
    if precision == "bf16":
        net = net.bfloat16()
        x = x.bfloat16() if x.is_floating_point() else x
    elif precision == "int8-dynamic":
        net = torch.ao.quantization.quantize_dynamic(net, {nn.Linear})
    if compiled:
        from torch._inductor import config
        config.freezing = True  # folds and packs the weights once
        net = torch.compile(net)
    return torch.no_grad()(lambda: [net(x).float()])


def training(name, folder, precision, compiled):
    x, y = (torch.from_numpy(value) for value in protocol.load_inputs(folder))
    net, loss_of = STEPS[name](), lambda out, labels: nn.functional.cross_entropy(out.flatten(0, -2), labels.flatten())
    if name == "tiny_mlp":
        loss_of = nn.functional.mse_loss
        optimizer = torch.optim.Adam(net.parameters(), lr=1e-4)
    elif name in ("char_gpt", "bert_base"):
        rate = 1e-3 if name == "char_gpt" else 1e-5
        optimizer = torch.optim.AdamW(net.parameters(), lr=rate, weight_decay=0.0)
    else:
        optimizer = torch.optim.SGD(net.parameters(), lr=1e-5 if name == "resnet50" else 1e-3, momentum=0.9)
    y = y if name == "tiny_mlp" else y.long()
    load_state(net, folder)

    def step():
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            loss = loss_of(net(x), y)
        loss.backward()
        optimizer.step()
        return loss

    step = torch.compile(step) if compiled else step
    return lambda: step().item()


def main():
    kind, name, folder, threads, precision = sys.argv[1:6]
    compiled = sys.argv[6:] == ["compile"]
    torch.set_num_threads(int(threads))
    if kind == "network":
        protocol.serve(torch.__version__, network(name, folder, precision, compiled), folder)
    elif kind == "op":
        inputs = [torch.from_numpy(each) for each in protocol.load_inputs(folder)]
        protocol.operation(torch.__version__, operations.operation(name, inputs, compiled), folder)
    else:
        protocol.train(torch.__version__, training(name, folder, precision, compiled), folder)


main()
