// SPDX-License-Identifier: Apache-2.0
// Tensor maps of the copy engine (TMA, Hopper): how it finds the pixels under a convolution's
// window.
#ifndef SAC_CUDA_TENSOR_MAP_H
#define SAC_CUDA_TENSOR_MAP_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// What the driver makes of a description; opaque, the size and alignment of CUtensorMap. A kernel
/// takes it as a __grid_constant__ parameter.
struct sac_tensor_map {
#ifdef __cplusplus
    alignas(64)
#else
    _Alignas(64)
#endif
        unsigned char bytes[128];
};

/// Halves (N,H,W,C), read as the rows of an implicit matrix: row m is the input pixel under tap
/// (0,0) of output pixel m, counted over N, out_height, out_width. A load takes `rows` of them from
/// its start on, moved by a tap's offset; what lies outside the picture, the channels or the batch
/// is zero. In shared memory a row is 2·box bytes and its 16-byte pieces are swizzled over that
/// length.
struct sac_im2col {
    const void *data;                      ///< on the device, 16-byte aligned
    int n, height, width, channels, pitch; ///< pitch: elements from pixel to pixel
    int out_height, out_width;
    int stride[2], pad[2]; ///< height, width; pad: top, left
    int box;               ///< channels a load: 64, 32 or 16
    int rows;              ///< pixels a load, at most 256
};

/// Halves (N,H,W,C), read as rectangles of one picture: `down` rows of `across` pixels, `step`
/// apart in a row. What lies outside is zero. In shared memory pixels lie as with sac_im2col.
struct sac_tile {
    const void *data;                      ///< on the device, 16-byte aligned
    int n, height, width, channels, pitch; ///< pitch: elements from pixel to pixel
    int box;                               ///< channels a load: 64, 32 or 16
    int across, down, step;                ///< across · step and down: at most 256
};

/// Whether the copy engine's fields have room for it; taps may be offset by up to 255 pixels.
int sac__im2col_fits(const struct sac_im2col *im2col);

/// Errors: SAC_EUNSUPPORTED (a driver without tensor maps), SAC_EDEVICE.
int sac__im2col_map(struct sac_tensor_map *map_out, const struct sac_im2col *im2col);
int sac__tile_map(struct sac_tensor_map *map_out, const struct sac_tile *tile);

#ifdef __cplusplus
}
#endif

#endif
