"""ONNX Runtime on the CPU, all graph optimisations. usage: onnxruntime_peer.py model FILE.onnx FOLDER THREADS PRECISION

The precision is the file's."""
import sys

import onnxruntime
import protocol


def main():
    _, file, folder, threads, _ = sys.argv[1:]
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.intra_op_num_threads = int(threads)
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(file, options, ["CPUExecutionProvider"])
    inputs = {declared.name: value for declared, value in zip(session.get_inputs(), protocol.load_inputs(folder))}
    protocol.serve(onnxruntime.__version__, lambda: session.run(None, inputs), folder)


main()
