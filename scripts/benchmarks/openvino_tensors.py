"""OpenVINO's features of ready tensors: python openvino_tensors.py --network resnet50.onnx [--precision fp32|bf16]"""
import sys

import openvino

import tensors

given = tensors.options(__doc__)
graph = openvino.Core().read_model(given.network)
graph.reshape([given.batch, 3, 224, 224])
compiled = openvino.Core().compile_model(graph, "CPU", {
    "INFERENCE_PRECISION_HINT": {"fp32": "f32", "bf16": "bf16"}[given.precision],
    "INFERENCE_NUM_THREADS": given.threads, "NUM_STREAMS": 1})
used = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
if (used == "bf16") != (given.precision == "bf16"):
    sys.exit(f"OpenVINO computes in {used} on this processor where {given.precision} is asked")
request = compiled.create_infer_request()
tensors.measure(lambda x: request.infer({0: x}), given)
