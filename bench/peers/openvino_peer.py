"""OpenVINO on the CPU, tuned for latency, in the model's own precision or in bf16.

usage: openvino_peer.py model FILE.onnx FOLDER THREADS PRECISION
"""
import sys

import openvino
import protocol


def main():
    _, file, folder, threads, precision = sys.argv[1:]
    # f32 stays f32; the default turns it into bf16 where the CPU has that.
    hint = {"INFERENCE_PRECISION_HINT": "bf16"} if precision == "bf16" else {"EXECUTION_MODE_HINT": "ACCURACY"}
    inputs = protocol.load_inputs(folder)
    model = openvino.Core().read_model(file)
    model.reshape({declared: value.shape for declared, value in zip(model.inputs, inputs)})
    compiled = openvino.compile_model(model, "CPU", {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": int(threads),
        **hint,
        "ENABLE_CPU_PINNING": False,
    })
    request = compiled.create_infer_request()

    def iterate():
        request.infer(inputs)
        return [request.get_output_tensor(i).data for i in range(len(compiled.outputs))]

    protocol.serve(openvino.__version__.split("-")[0], iterate, folder)


main()
