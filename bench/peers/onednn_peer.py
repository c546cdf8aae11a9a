"""Products of matrices by oneDNN 3, as PyTorch bundles it: packed weights, the operator called directly.

usage: onednn_peer.py op product_TYPE_MxNxK FOLDER THREADS PRECISION
"""
import re
import sys

import operations
import protocol
import torch


def main():
    _, name, folder, threads, _ = sys.argv[1:]
    torch.set_num_threads(int(threads))
    run = operations.onednn_product(name.split("_")[1], *(torch.from_numpy(x) for x in protocol.load_inputs(folder)))
    version = re.search(r"MKL-DNN v([0-9.]+)", torch.__config__.show()).group(1)
    with torch.no_grad():
        protocol.operation(version, run, folder)


main()
