// SPDX-License-Identifier: Apache-2.0
// WebP through libwebp: lossy and lossless, of an animation the first frame on its canvas.
#include "image/picture.h"

#include <string.h>
#include <webp/decode.h>
#include <webp/demux.h>

#include "error.h"

static int decode_frame(sac_image *image, const WebPIterator *frame)
{
    WebPDecoderConfig config;
    if (!WebPInitDecoderConfig(&config)) return sac__fail(SAC_EIMAGE, "library of another version");
    const ptrdiff_t row = image->stride;
    const ptrdiff_t first = frame->y_offset * row + (ptrdiff_t)frame->x_offset * 3;
    config.output.colorspace = MODE_BGR;
    config.output.is_external_memory = 1;
    config.output.u.RGBA.rgba = sac__image_pixels(image) + first;
    config.output.u.RGBA.stride = (int)row;
    config.output.u.RGBA.size = (size_t)(row * image->height - first);
    switch (WebPDecode(frame->fragment.bytes, frame->fragment.size, &config)) {
    case VP8_STATUS_OK:
        return 0;
    case VP8_STATUS_OUT_OF_MEMORY:
        return sac__fail(SAC_ENOMEM, "no memory to decode it");
    case VP8_STATUS_SUSPENDED:
    case VP8_STATUS_NOT_ENOUGH_DATA:
        return sac__fail(SAC_EIMAGE, "truncated");
    default:
        return sac__fail(SAC_EIMAGE, "damaged");
    }
}

static int decode(WebPDemuxer *file, sac_image *image_out, const struct sac__picture *picture)
{
    const uint32_t width = WebPDemuxGetI(file, WEBP_FF_CANVAS_WIDTH);
    const uint32_t height = WebPDemuxGetI(file, WEBP_FF_CANVAS_HEIGHT);
    int error = sac__image_new(image_out, width, height, picture->max_pixels);
    if (error) return error;
    WebPIterator frame;
    if (!WebPDemuxGetFrame(file, 1, &frame)) return sac__fail(SAC_EIMAGE, "holds no frame");
    if ((uint32_t)frame.width != width || (uint32_t)frame.height != height)
        memset(sac__image_pixels(image_out), 0, (size_t)width * height * 3);
    error = decode_frame(image_out, &frame);
    WebPDemuxReleaseIterator(&frame);
    return error;
}

static int find_orientation(const WebPDemuxer *file)
{
    WebPChunkIterator chunk;
    if (!WebPDemuxGetChunk(file, "EXIF", 1, &chunk)) return 1;
    const int orientation = sac__exif_orientation(chunk.chunk.bytes, chunk.chunk.size);
    WebPDemuxReleaseChunkIterator(&chunk);
    return orientation;
}

int sac__webp_read(sac_image *image_out, int *orientation_out, const struct sac__picture *picture)
{
    const WebPData data = {picture->bytes, picture->size};
    WebPDemuxer *file = WebPDemux(&data);
    if (!file) return sac__fail(SAC_EIMAGE, "damaged or truncated");
    const int error = decode(file, image_out, picture);
    if (!error) *orientation_out = find_orientation(file);
    WebPDemuxDelete(file);
    return error;
}
