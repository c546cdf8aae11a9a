"""PaddlePaddle on the CPU: networks and models in its inference engine, training steps as it runs them by default (dynamic
graphs).

usage: paddle_peer.py network NAME FOLDER THREADS f32
       paddle_peer.py model MODEL_FOLDER FOLDER THREADS f32        a folder with model.pdmodel and model.pdiparams
       paddle_peer.py train NAME FOLDER THREADS PRECISION          f32 or bf16
"""
import pathlib
import sys

import numpy as np
import paddle
import paddle_networks as networks
import protocol
from paddle import inference, nn


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


def save(name, folder):
    """A network of bench/networks/ as the inference engine reads it: where its file lies, without the suffix."""
    net = networks.network(name)
    net.eval()
    load_state(net, folder)
    inputs = [paddle.static.InputSpec(x.shape, str(x.dtype)) for x in protocol.load_inputs(folder)]
    stem = str(pathlib.Path(folder) / "network")
    paddle.jit.save(net, stem, inputs)
    return stem


def predictor(program, parameters, folder, threads):
    config = inference.Config(program, parameters)
    config.disable_gpu()
    config.disable_glog_info()
    config.enable_mkldnn()
    config.set_cpu_math_library_num_threads(threads)
    engine = inference.create_predictor(config)
    inputs = protocol.load_inputs(folder)

    def iterate():
        for name, value in zip(engine.get_input_names(), inputs):
            engine.get_input_handle(name).copy_from_cpu(value)
        engine.run()
        return [engine.get_output_handle(name).copy_to_cpu() for name in engine.get_output_names()]

    return iterate


def training(name, folder, precision):
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
        with paddle.amp.auto_cast(precision == "bf16", level="O1", dtype="bfloat16"):
            loss = loss_of(net(x), y)
        loss.backward()
        optimizer.step()
        optimizer.clear_grad()
        return float(loss)

    return step


def main():
    kind, name, folder, threads, precision = sys.argv[1:]
    paddle.set_device("cpu")
    if kind == "train":
        protocol.train(paddle.__version__, training(name, folder, precision), folder)
        return
    if kind == "network":
        stem = save(name, folder)
        program = f"{stem}.json"
    else:
        stem = f"{name}/model"
        program = f"{stem}.pdmodel"
    protocol.serve(paddle.__version__, predictor(program, f"{stem}.pdiparams", folder, int(threads)), folder)


main()
