"""PyTorch on the CPU: products of matrices, and the training steps of bench/training.h in eager mode or compiled.

usage: torch_peer.py model FILE.onnx FOLDER THREADS [compile]      the file is one product with a constant
       torch_peer.py train NAME FOLDER THREADS [compile]
       torch_peer.py op NAME FOLDER THREADS [compile]             an operation of bench/operations.h
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


def training(name, folder, compiled):
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
    state = {path.stem: torch.from_numpy(np.load(path)) for path in (pathlib.Path(folder) / "state").glob("*.npy")}
    renamed = {key.replace("running_variance", "running_var"): value for key, value in state.items()}
    absent = net.load_state_dict(renamed, strict=False)
    if absent.unexpected_keys or any("num_batches" not in key for key in absent.missing_keys):
        raise SystemExit(f"the parameters do not fit: {absent}")

    def step():
        optimizer.zero_grad()
        loss = loss_of(net(x), y)
        loss.backward()
        optimizer.step()
        return loss

    step = torch.compile(step) if compiled else step
    return lambda: step().item()


def product(file, folder, compiled):
    import onnx
    [x] = (torch.from_numpy(value) for value in protocol.load_inputs(folder))
    [weight] = (torch.from_numpy(onnx.numpy_helper.to_array(each).copy()) for each in onnx.load(file).graph.initializer)
    layer = nn.Linear(*weight.shape, bias=False).eval()
    layer.weight = nn.Parameter(weight.T.contiguous(), requires_grad=False)
    if compiled:
        from torch._inductor import config
        config.freezing = True  # packs the weights once
        layer = torch.compile(layer)

    def iterate():
        with torch.no_grad():
            return [layer(x)]

    return iterate


def main():
    kind, name, folder, threads = sys.argv[1:5]
    compiled = sys.argv[5:] == ["compile"]
    torch.set_num_threads(int(threads))
    if kind == "model":
        protocol.serve(torch.__version__, product(name, folder, compiled), folder)
    elif kind == "op":
        inputs = [torch.from_numpy(each) for each in protocol.load_inputs(folder)]
        protocol.operation(torch.__version__, operations.operation(name, inputs, compiled), folder)
    else:
        protocol.train(torch.__version__, training(name, folder, compiled), folder)


main()
