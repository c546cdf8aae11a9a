"""A model in 8 bits, as ONNX Runtime's own tools make it: static (QDQ, ranges from the given inputs, weights per channel)
or dynamic."""
import pathlib

import numpy as np


class Inputs:
    """The reader of samples that quantize_static asks: one sample."""

    def __init__(self, names, folder):
        values = [np.load(pathlib.Path(folder) / f"input_{i}.npy") for i in range(len(names))]
        self.samples = iter([dict(zip(names, values))])

    def get_next(self):
        return next(self.samples, None)


def write(file, folder, dynamic, reduce_range):
    """Writes FOLDER/quantized.onnx and returns its path."""
    import onnx
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process
    prepared, path = pathlib.Path(folder) / "prepared.onnx", pathlib.Path(folder) / "quantized.onnx"
    # Its symbolic inference of shapes gives up on BERT; all shapes here are fixed, and the plain one finds them.
    quant_pre_process(str(file), str(prepared), skip_symbolic_shape=dynamic)
    if dynamic:
        quantization.quantize_dynamic(str(prepared), str(path), per_channel=True, reduce_range=reduce_range)
        return path
    weights = {each.name for each in onnx.load(file).graph.initializer}
    names = [each.name for each in onnx.load(file).graph.input if each.name not in weights]
    quantization.quantize_static(str(prepared), str(path), Inputs(names, folder), per_channel=True,
                                 reduce_range=reduce_range,
                                 activation_type=quantization.QuantType.QUInt8,
                                 weight_type=quantization.QuantType.QInt8)
    return path
