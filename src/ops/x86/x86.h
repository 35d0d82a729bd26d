// SPDX-License-Identifier: Apache-2.0
// Kernels for processors with AVX2 and F16C, and for those with AVX-512 and its byte permutations.
#ifndef SAC_SRC_OPS_X86_H
#define SAC_SRC_OPS_X86_H

#include "ops/table.h"

#define SAC_INLINE static inline __attribute__((always_inline))

/// Columns are handled by sixteen; their tables and the lines made from them are padded to that.
enum { SAC__COLUMNS = 16 };

/// Where the columns of the resized picture come from.
struct sac__columns {
    int32_t count, padded;
    int32_t step, byte[3];    ///< as in sac__pixels
    int32_t row_bytes;        ///< of a source row
    const int32_t *offset;    ///< byte of the left pixel, rising
    const int32_t *weights;   ///< weight0 | weight1 << 16
    const uint8_t (*taps)[64]; ///< by sixteen columns: bytes after offset[first] of the left pixel,
                               ///< at 4i, and the right one, at 4i+2; NULL when some are above 127
    uint8_t *tail;            ///< room for a source row and 8 bytes more
};

/// What the two processors do each in their own way. Rows are given by their first element.
struct sac__row_kernels {
    /// A source row → three lines of `padded` 16-bit values (aligned), resampled across.
    void (*across)(int16_t *lines, const struct sac__columns *columns, const uint8_t *row);
    /// Two such lines → `count` values of the input.
    void (*down)(void *dst, sac_dtype dtype, int32_t count, const int16_t *upper,
                 const int16_t *lower, struct sac__tap row, float scale);
    /// One channel of a source row that keeps its size → `count` values of the input.
    void (*same)(void *dst, sac_dtype dtype, int32_t count, const uint8_t *row, int32_t step,
                 int32_t byte, float scale);
    /// `pattern` over and over.
    void (*fill)(void *dst, size_t bytes, uint32_t pattern);
};

int sac__letterbox_x86(const struct sac__row_kernels *kernels, sac_workspace *workspace,
                       const struct sac__letterbox_job *job);
void sac__across_avx2(int16_t *lines, const struct sac__columns *columns, const uint8_t *row);

int sac__letterbox_avx2(sac_workspace *workspace, const struct sac__letterbox_job *job);
int sac__letterbox_avx512(sac_workspace *workspace, const struct sac__letterbox_job *job);
int sac__head_avx2(sac_workspace *workspace, struct sac__candidates *candidates,
                   const struct sac__rows *rows);
int sac__maps_avx2(sac_workspace *workspace, struct sac__candidates *candidates,
                   const struct sac__maps *maps);
size_t sac__nms_avx2(uint32_t *picked_out, const struct sac__suppression *job);

/// Calls function(dst, dtype, …) with the type as a constant: each type gets a loop of its own.
#define SAC_BY_DTYPE(function, dst, dtype, ...)                                                    \
    do {                                                                                           \
        if ((dtype) == SAC_F32) function(dst, SAC_F32, __VA_ARGS__);                               \
        else if ((dtype) == SAC_F16) function(dst, SAC_F16, __VA_ARGS__);                          \
        else function(dst, SAC_U8, __VA_ARGS__);                                                   \
    } while (0)

#endif
