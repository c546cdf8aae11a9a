"""OpenVINO on the CPU, tuned for latency, in the model's own precision.

usage: openvino_peer.py model FILE.onnx FOLDER THREADS
"""
import sys

import openvino
import protocol


def main():
    _, file, folder, threads = sys.argv[1:]
    inputs = protocol.load_inputs(folder)
    model = openvino.Core().read_model(file)
    model.reshape({declared: value.shape for declared, value in zip(model.inputs, inputs)})
    compiled = openvino.compile_model(model, "CPU", {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": int(threads),
        "EXECUTION_MODE_HINT": "ACCURACY",  # f32 stays f32; the default turns it into bf16 where the CPU has that
        "ENABLE_CPU_PINNING": False,
    })
    request = compiled.create_infer_request()

    def iterate():
        request.infer(inputs)
        return [request.get_output_tensor(i).data for i in range(len(compiled.outputs))]

    protocol.serve(openvino.__version__.split("-")[0], iterate, folder)


main()
