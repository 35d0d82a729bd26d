// SPDX-License-Identifier: Apache-2.0
#ifndef SAC_TESTS_CUDA_BENCH_CONV_H
#define SAC_TESTS_CUDA_BENCH_CONV_H

/// check_conv --bench MODEL.onnx N H W [CANDIDATES [all]]: times the first CANDIDATES choices of
/// every distinct convolution of a plan, and prints the best of each (`all`: all of each) and sums;
/// then those of layers that can run in one launch.
/// CANDIDATES 0: prints what the cost model expects, without a GPU.
int bench_conv(int argc, char **argv);

#endif
