"""What bench/compare.py measures: models of the data folders, networks of bench/networks/, and training steps."""
import dataclasses
import os
import pathlib

# Of the largest value of an output: what two right programs may differ by after a network's worth of roundings.
TOLERANCE = {"f32": 1e-3, "f16": 3e-2, "bf16": 5e-2, "int8": 0.3, "int8-dynamic": 0.3, "f32 training": 5e-3,
             "bf16 training": 2e-2}

ONE_THREAD = "one-thread"  # ours, as its own peer
TORCH = ("torch", "torch-compile")
FILES = ("onnxruntime", "openvino")  # read ONNX files
# Who runs networks in what precision.
NETWORK = {"f32": (*FILES, *TORCH, "paddle"), "bf16": ("openvino", *TORCH), "int8": FILES,
           "int8-dynamic": ("onnxruntime", "torch")}
SCALED = (*NETWORK["f32"], ONE_THREAD)


@dataclasses.dataclass(frozen=True)
class Input:
    shape: tuple
    dtype: str = "float32"  # "whole": whole numbers in float32
    low: float = -1.0
    high: float = 1.0


@dataclasses.dataclass(frozen=True)
class Workload:
    name: str
    kind: str    # "model": an ONNX file of the data folders; "network": one we export; "train": a step of training.h;
                 # "op": an operation of operations.h
    source: str  # the file, the network's name, the step's name, the operation's name
    inputs: tuple
    peers: tuple = FILES
    precision: str = "f32"
    paddle: str = ""  # the folder with Paddle's own files of a model
    roundings_grow: float = 1.0  # so much further than usual

    @property
    def tolerance(self):
        return self.roundings_grow * TOLERANCE[self.precision + (" training" if self.kind == "train" else "")]


def product(m, n, k):
    return Workload(f"linear {m}x{n}x{k}", "network", f"product_{m}x{n}x{k}", (Input((m, k)),), (*FILES, *TORCH))


def bert(batch, length, precision):
    peers = SCALED if precision == "f32" else NETWORK[precision]
    return Workload(f"BERT-base T{length} bs{batch}", "network", f"bert_base_{batch}x{length}",
                    (Input((batch, length), "int64", 0, 30522),), peers, precision)


def resnet(batch, precision):
    peers = SCALED if precision == "f32" else NETWORK[precision]
    return Workload(f"ResNet-50 bs{batch}", "network", f"resnet50_{batch}", (Input((batch, 3, 224, 224)),), peers,
                    precision)


# Linear layers of BERT-base, of Llama-7B at 32 and 1 tokens, and two of DeepBench.
PRODUCTS = [(128, 768, 768), (128, 3072, 768), (128, 768, 3072), (1024, 768, 768), (32, 4096, 4096), (1, 4096, 4096),
            (32, 11008, 4096), (1760, 128, 1760), (2048, 32, 2048)]


def gemm(m, n, k, precision):
    x = Input((m, k), low=0, high=255) if precision == "int8" else Input((m, k))
    w = Input((k, n), low=-127, high=127) if precision == "int8" else Input((k, n))
    if precision == "int8":  # whole numbers
        x, w = dataclasses.replace(x, dtype="whole"), dataclasses.replace(w, dtype="whole")
    peers = ["onednn"]
    if precision == "f32":
        peers += ["openblas", *(["llama.cpp"] if k == 4096 else []), *([ONE_THREAD] if m == 1024 else [])]
    return Workload(f"GEMM {m}x{n}x{k}", "op", f"product_{precision}_{m}x{n}x{k}", (x, w), tuple(peers), precision)


def training(name, source, x, y, peers=(*TORCH, "paddle"), precision="f32", roundings_grow=1.0):
    return Workload(name, "train", source, (x, y), peers, precision, roundings_grow=roundings_grow)


def operation(name, source, *shapes, peers=TORCH):
    return Workload(name, "op", source, tuple(Input(shape) for shape in shapes), peers)


WORKLOADS = [
    Workload("mnist-8", "model", "onnx-models/mnist_8/model.onnx", (Input((1, 1, 28, 28), low=0, high=255),)),
    Workload("super-resolution", "model", "onnx-models/super_resolution_10/model.onnx",
             (Input((1, 1, 224, 224), low=0),)),
    Workload("PicoDet-S 320", "model", "onnx-models/picodet_s_320/picodet_s_320_coco.onnx",
             (Input((1, 3, 320, 320)),)),
    Workload("PP-OCRv3 det 320", "model", "onnx-models/ppocr_v3_det/model.onnx", (Input((1, 3, 320, 320)),),
             (*FILES, "paddle"), paddle="paddle-models/ppocr_v3_det"),
    Workload("SqueezeNet", "model", "onnx-models/squeezenet_fp16/SqueezeNet_fp16.onnx",
             (Input((1, 3, 224, 224), "float16", 0, 255),), precision="f16"),
    Workload("GTCRN step", "model", "onnx-models/gtcrn/gtcrn.onnx",
             (Input((1, 257, 1, 2)), Input((2, 1, 16, 16, 33)), Input((2, 3, 1, 1, 16)), Input((2, 1, 33, 16)))),
    Workload("MobileNetV3-Large", "network", "mobilenet_v3_1", (Input((1, 3, 224, 224)),), NETWORK["f32"]),
    *(resnet(batch, precision) for precision in ("f32", "bf16", "int8") for batch in (1, 8)),
    *(bert(*size, precision) for precision in ("f32", "bf16", "int8-dynamic") for size in ((1, 128), (8, 128), (1, 384))),
    product(128, 768, 768),
    product(128, 3072, 768),
    product(128, 768, 3072),
    *(gemm(*size, precision) for precision in ("f32", "bf16", "int8") for size in PRODUCTS),
    operation("bias + GELU", "bias_gelu", (1024, 3072), (3072,)),
    operation("add + LayerNorm", "add_layer_norm", (1024, 768), (1024, 768), (768,), (768,)),
    operation("scale + softmax", "scale_softmax", (8, 12, 128, 128), peers=(*TORCH, ONE_THREAD)),
    operation("attention T1024", "attention", *[(1, 12, 1024, 64)] * 3),
    operation("attention T128 bs8, forward and backward", "attention_step", *[(8, 12, 128, 64)] * 3),
    operation("AdamW, 28 M parameters", "adamw", (28311552,), (28311552,)),
    operation("100 adds of one element", "adds_lazy", (1,), (1,), peers=("torch", "libtorch")),
    operation("100 adds of one element, compiled", "adds_compiled", (1,), (1,), peers=("torch-compile",)),
    Workload("100 layers of 16", "network", "chain_100", (Input((1, 16)),)),
    training("tiny MLP step", "tiny_mlp", Input((32, 16)), Input((32, 16))),
    training("LeNet step bs64", "lenet", Input((64, 1, 28, 28)), Input((64,), "int32", 0, 10)),
    training("ResNet-18 step bs16", "resnet18", Input((16, 3, 32, 32)), Input((16,), "int32", 0, 10), TORCH),
    training("char-GPT step bs16 T128", "char_gpt", Input((16, 128), "int32", 0, 65), Input((16, 128), "int32", 0, 65)),
    training("ResNet-50 step bs8", "resnet50", Input((8, 3, 224, 224)), Input((8,), "int32", 0, 1000)),
    # In bf16 both sides leave f32 far behind: docs/guide/benchmarks.md.
    training("ResNet-50 step bs8", "resnet50", Input((8, 3, 224, 224)), Input((8,), "int32", 0, 1000), precision="bf16",
             roundings_grow=5),
    *(training("BERT-base step bs8 T128", "bert_base", Input((8, 128), "int32", 0, 30522), Input((8,), "int32", 0, 2),
               precision=precision) for precision in ("f32", "bf16")),
]


def find_data(relative):
    """A file of the data folders: $TRIREME_DATA, or shared/data beside or above the current folder. None without."""
    folders = [pathlib.Path(os.environ["TRIREME_DATA"])] if os.environ.get("TRIREME_DATA") else []
    here = pathlib.Path.cwd()
    folders += [folder / "shared" / "data" for folder in (here, *here.parents)]
    return next((folder / relative for folder in folders if (folder / relative).exists()), None)


def write_inputs(workload, folder):
    """The same random numbers for both sides, as input_<i>.npy."""
    import numpy as np
    random = np.random.default_rng(1)
    for i, each in enumerate(workload.inputs):
        if each.dtype.startswith("int"):
            values = random.integers(each.low, each.high, each.shape)
        else:
            values = random.uniform(each.low, each.high, each.shape)
        values = np.round(values) if each.dtype == "whole" else values
        np.save(folder / f"input_{i}.npy", values.astype("float32" if each.dtype == "whole" else each.dtype))
