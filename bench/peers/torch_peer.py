"""PyTorch on the CPU: products of matrices, and the training steps of bench/training.h in eager mode or compiled.

usage: torch_peer.py model FILE.onnx FOLDER THREADS [compile]      the file is one product with a constant
       torch_peer.py train NAME FOLDER THREADS [compile]
"""
import pathlib
import sys

import numpy as np
import protocol
import torch
from torch import nn


class TinyMlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(16, 16) for _ in range(10))

    def forward(self, x):
        for layer in self.layers[:-1]:
            x = torch.relu(layer(x))
        return self.layers[-1](x)


class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 16, 5, padding=2, bias=False)
        self.second = nn.Conv2d(16, 32, 5, padding=2, bias=False)
        self.first_norm, self.second_norm = nn.BatchNorm2d(16), nn.BatchNorm2d(32)
        self.hidden, self.output = nn.Linear(32 * 7 * 7, 128), nn.Linear(128, 10)

    def forward(self, x):
        x = torch.max_pool2d(torch.relu(self.first_norm(self.first(x))), 2)
        x = torch.max_pool2d(torch.relu(self.second_norm(self.second(x))), 2)
        return self.output(torch.relu(self.hidden(torch.flatten(x, 1))))


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.first_norm, self.second_norm = nn.BatchNorm2d(outputs), nn.BatchNorm2d(outputs)
        self.shortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=False) if inputs != outputs else None

    def forward(self, x):
        y = self.second_norm(self.second(torch.relu(self.first_norm(self.first(x)))))
        return torch.relu(y + (self.shortcut(x) if self.shortcut else x))


class ResNet18(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64)
        widths = [64, 64, 64, 128, 128, 256, 256, 512, 512]
        self.blocks = nn.ModuleList(Block(a, b, 1 if a == b else 2) for a, b in zip(widths, widths[1:]))
        self.head = nn.Linear(512, 10)

    def forward(self, x):
        x = torch.relu(self.norm(self.stem(x)))
        for block in self.blocks:
            x = block(x)
        return self.head(x.mean((2, 3)))


def training(name, folder, compiled):
    x, y = (torch.from_numpy(value) for value in protocol.load_inputs(folder))
    if name == "tiny_mlp":
        net, loss_of = TinyMlp(), nn.functional.mse_loss
        optimizer = torch.optim.Adam(net.parameters(), lr=1e-4)
    else:
        net, loss_of, y = {"lenet": LeNet, "resnet18": ResNet18}[name](), nn.functional.cross_entropy, y.long()
        optimizer = torch.optim.SGD(net.parameters(), lr=1e-3, momentum=0.9)
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
    else:
        protocol.train(torch.__version__, training(name, folder, compiled), folder)


main()
