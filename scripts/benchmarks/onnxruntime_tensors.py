"""ONNX Runtime's features of ready tensors: python onnxruntime_tensors.py --network resnet50.onnx"""
import sys

import onnxruntime

import tensors

given = tensors.options(__doc__)
if given.precision != "fp32":
    sys.exit("ONNX Runtime's processor kernels compute ResNets in fp32 alone")
settings = onnxruntime.SessionOptions()
settings.intra_op_num_threads, settings.inter_op_num_threads = given.threads, 1
session = onnxruntime.InferenceSession(given.network, settings, providers=["CPUExecutionProvider"])
tensors.measure(lambda x: session.run(None, {"x": x}), given)
