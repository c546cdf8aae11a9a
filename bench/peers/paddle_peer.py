"""PaddlePaddle on the CPU: the training steps of bench/training.h, as it runs them by default (dynamic graphs).

usage: paddle_peer.py train NAME FOLDER THREADS
"""
import pathlib
import sys

import numpy as np
import paddle
import protocol
from paddle import nn


class TinyMlp(nn.Layer):
    def __init__(self):
        super().__init__()
        self.layers = nn.LayerList([nn.Linear(16, 16) for _ in range(10)])

    def forward(self, x):
        for layer in self.layers[:-1]:
            x = nn.functional.relu(layer(x))
        return self.layers[-1](x)


class LeNet(nn.Layer):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2D(1, 16, 5, padding=2, bias_attr=False)
        self.second = nn.Conv2D(16, 32, 5, padding=2, bias_attr=False)
        self.first_norm, self.second_norm = nn.BatchNorm2D(16), nn.BatchNorm2D(32)
        self.hidden, self.output = nn.Linear(32 * 7 * 7, 128), nn.Linear(128, 10)

    def forward(self, x):
        x = nn.functional.max_pool2d(nn.functional.relu(self.first_norm(self.first(x))), 2)
        x = nn.functional.max_pool2d(nn.functional.relu(self.second_norm(self.second(x))), 2)
        return self.output(nn.functional.relu(self.hidden(paddle.flatten(x, 1))))


def load_state(net, folder):
    """Paddle keeps the weight of a linear layer as [in, out]."""
    state = net.state_dict()
    for path in (pathlib.Path(folder) / "state").glob("*.npy"):
        value = np.load(path)
        name = path.stem.replace("running_mean", "_mean").replace("running_variance", "_variance")
        state[name].set_value(np.ascontiguousarray(value.T) if value.ndim == 2 else value)


def main():
    _, name, folder, _ = sys.argv[1:]
    paddle.set_device("cpu")
    x, y = (paddle.to_tensor(value) for value in protocol.load_inputs(folder))
    if name == "tiny_mlp":
        net, loss_of = TinyMlp(), nn.functional.mse_loss
        optimizer = paddle.optimizer.Adam(1e-4, parameters=net.parameters())
    else:
        net, loss_of, y = LeNet(), nn.functional.cross_entropy, y.astype("int64")
        optimizer = paddle.optimizer.Momentum(1e-3, 0.9, parameters=net.parameters())
    load_state(net, folder)

    def step():
        loss = loss_of(net(x), y)
        loss.backward()
        optimizer.step()
        optimizer.clear_grad()
        return float(loss)

    protocol.train(paddle.__version__, step, folder)


main()
