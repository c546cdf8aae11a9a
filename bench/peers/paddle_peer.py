"""PaddlePaddle on the CPU: the training steps of bench/training.h, as it runs them by default (dynamic graphs).

usage: paddle_peer.py train NAME FOLDER THREADS
"""
import pathlib
import sys

import numpy as np
import paddle
import paddle_networks as networks
import protocol
from paddle import nn


STEPS = {"tiny_mlp": networks.TinyMlp, "lenet": networks.LeNet, "char_gpt": networks.CharGpt,
         "resnet50": networks.ResNet50, "bert_base": networks.BertClassifier}


def load_state(net, folder):
    """Paddle keeps the weight of a linear layer as [in, out]."""
    state = net.state_dict()
    linear = {f"{name}.weight" for name, layer in net.named_sublayers() if isinstance(layer, nn.Linear)}
    for path in (pathlib.Path(folder) / "state").glob("*.npy"):
        value = np.load(path)
        name = path.stem.replace("running_mean", "_mean").replace("running_variance", "_variance")
        state[name].set_value(np.ascontiguousarray(value.T) if name in linear else value)


def main():
    _, name, folder, _ = sys.argv[1:]
    paddle.set_device("cpu")
    x, y = (paddle.to_tensor(value) for value in protocol.load_inputs(folder))
    net, loss_of = STEPS[name](), nn.functional.cross_entropy
    if name == "tiny_mlp":
        loss_of = nn.functional.mse_loss
        optimizer = paddle.optimizer.Adam(1e-4, parameters=net.parameters())
    elif name in ("char_gpt", "bert_base"):
        optimizer = paddle.optimizer.AdamW(1e-3 if name == "char_gpt" else 1e-5, parameters=net.parameters(),
                                           weight_decay=0.0)
    else:
        optimizer = paddle.optimizer.Momentum(1e-5 if name == "resnet50" else 1e-3, 0.9, parameters=net.parameters())
    y = y if name == "tiny_mlp" else y.astype("int64")
    load_state(net, folder)

    def step():
        loss = loss_of(net(x), y)
        loss.backward()
        optimizer.step()
        optimizer.clear_grad()
        return float(loss)

    protocol.train(paddle.__version__, step, folder)


main()
