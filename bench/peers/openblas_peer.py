"""Products of f32 matrices by OpenBLAS. usage: openblas_peer.py op product_f32_MxNxK FOLDER THREADS f32"""
import ctypes
import pathlib
import sys

import numpy as np
import protocol
import scipy_openblas32


def main():
    _, _, folder, threads, _ = sys.argv[1:]
    a, b = protocol.load_inputs(folder)
    c = np.empty((len(a), b.shape[1]), np.float32)
    blas = ctypes.CDLL(str(pathlib.Path(scipy_openblas32.get_lib_dir()) / "libscipy_openblas.so"))
    blas.scipy_openblas_set_num_threads(int(threads))
    gemm, number = blas.scipy_cblas_sgemm, ctypes.c_float
    row_major, plain = 101, 111
    (m, k), n = a.shape, b.shape[1]
    pointers = [each.ctypes.data_as(ctypes.c_void_p) for each in (a, b, c)]

    def run():
        gemm(row_major, plain, plain, m, n, k, number(1), pointers[0], k, pointers[1], n, number(0), pointers[2], n)
        return [c]

    protocol.operation(scipy_openblas32.__version__, run, folder)


main()
