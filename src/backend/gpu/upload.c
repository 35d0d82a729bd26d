// SPDX-License-Identifier: Apache-2.0
// Copies pixels to the device, rows packed. Ordinary memory is handed to the driver as it is: its
// own staging reaches 21 GB/s where a copy to a page-locked buffer of ours and from there to the
// device would pass the processor's memory twice. The call returns when the pixels are read.
#include "upload.h"

enum { ALIGN = 256 }; // of pictures in the upload buffer, bytes

/// Luma or all channels, and the chroma of NV12.
struct plane {
    const uint8_t *data; ///< first row
    ptrdiff_t stride;
    size_t row, rows; ///< bytes, count
};

static int planes_of(struct plane planes[2], const sac_image *image)
{
    static const size_t bytes[] = {3, 3, 4, 4, 1, 1};
    const size_t width = (size_t)image->width, height = (size_t)image->height;
    planes[1] = (struct plane){image->chroma, image->chroma_stride, (width + 1) / 2 * 2,
                               (height + 1) / 2};
    planes[0] = (struct plane){image->data, image->stride, width * bytes[image->format], height};
    return image->format == SAC_NV12 ? 2 : 1;
}

static size_t align_up(size_t bytes)
{
    return (bytes + ALIGN - 1) / ALIGN * ALIGN;
}

static const char *memory_name(sac_memory memory)
{
    return memory == SAC_CUDA ? "device" : memory == SAC_HOST ? "host" : "page-locked host";
}

// A pointer to host memory that is said to be on the device would end the context; that must not be
// left to chance.
static int locate(sac_memory *memory_out, const sac_image *image, const uint8_t *data, int device)
{
    int its_device = 0;
    int error = sac__gpu_where(memory_out, &its_device, data);
    if (error) return error;
    if ((*memory_out == SAC_CUDA) != (image->memory == SAC_CUDA))
        return sac__fail(SAC_EINVAL, "the picture is said to be in %s memory and lies in %s memory",
                         memory_name(image->memory), memory_name(*memory_out));
    if (*memory_out == SAC_CUDA && its_device != device)
        return sac__fail(SAC_EINVAL, "the picture is on cuda:%d, the engine on cuda:%d", its_device,
                         device);
    return 0;
}

int sac__upload_plan(struct sac_gpu_picture *picture_out, size_t *bytes, const sac_image *image,
                     const sac_letterbox *fit, int device, int read_pinned)
{
    sac_memory memory = SAC_HOST, chroma;
    struct plane planes[2];
    if (!image->data || (unsigned)image->format > SAC_NV12)
        return sac__fail(SAC_EINVAL, "the picture has no pixels, or an unknown format");
    int error = locate(&memory, image, image->data, device);
    chroma = memory;
    if (!error && image->format == SAC_NV12) error = locate(&chroma, image, image->chroma, device);
    if (error) return error;
    if (chroma != memory) memory = SAC_HOST; // one page-locked, one not
    const int in_place = memory == SAC_CUDA || (memory == SAC_HOST_PINNED && read_pinned);
    *picture_out = (struct sac_gpu_picture){
        .image = *image, .fit = *fit, .copied = !in_place, .offset = *bytes};
    picture_out->image.memory = in_place ? memory : SAC_CUDA;
    if (in_place) return 0;
    const int count = planes_of(planes, image);
    for (int k = 0; k < count; k++)
        *bytes += align_up(planes[k].row * planes[k].rows);
    return 0;
}

/// Rows of a plane that are read: `together` of every `step`, behind as many as are left out at the
/// end of it. So they are the same ones from the bottom.
struct stripes {
    size_t step, together;
};

// A picture made smaller by a whole number is read by a row or two each: bilinear weights have
// their row right in the middle of 3, 5, … rows, and between the middle two of 4, 6, ….
static struct stripes stripes_of(const struct sac_gpu_picture *picture)
{
    const sac_letterbox *fit = &picture->fit;
    const int whole = fit->height0 == picture->image.height && fit->new_height > 0 &&
                      fit->height0 % fit->new_height == 0;
    const size_t step = whole ? (size_t)(fit->height0 / fit->new_height) : 1;
    return step > 2 ? (struct stripes){step, step % 2 ? 1 : 2} : (struct stripes){1, 1};
}

static int copy_rows(uint8_t *to, size_t to_pitch, const uint8_t *from, size_t from_pitch,
                     size_t row, size_t rows, cudaStream_t stream)
{
    if (from_pitch == row && to_pitch == row)
        return sac__gpu_check(
            cudaMemcpyAsync(to, from, row * rows, cudaMemcpyHostToDevice, stream),
            "cudaMemcpyAsync to the device", row * rows);
    return sac__gpu_check(cudaMemcpy2DAsync(to, to_pitch, from, from_pitch, row, rows,
                                            cudaMemcpyHostToDevice, stream),
                          "cudaMemcpy2DAsync to the device", row * rows);
}

// Neighbours without a gap are one row to the copy.
static int copy_stripes(uint8_t *to, const uint8_t *from, size_t pitch, const struct plane *plane,
                        struct stripes stripes, cudaStream_t stream)
{
    const size_t row = plane->row, rows = plane->rows / stripes.step;
    const size_t joined = pitch == row ? stripes.together : 1;
    const size_t first = (stripes.step - stripes.together) / 2;
    int error = 0;
    for (size_t k = first; k < first + stripes.together && !error; k += joined)
        error = copy_rows(to + k * row, stripes.step * row, from + k * pitch, stripes.step * pitch,
                          joined * row, rows, stream);
    return error;
}

// Bottom-up rows are copied in the order of their addresses and stay bottom-up.
static int copy_plane(const uint8_t **data_out, ptrdiff_t *stride_out, uint8_t *to,
                      const struct plane *plane, struct stripes stripes, cudaStream_t stream)
{
    const int upward = plane->stride < 0;
    const ptrdiff_t last = (ptrdiff_t)plane->rows - 1;
    const uint8_t *from = upward ? plane->data + last * plane->stride : plane->data;
    const size_t pitch = (size_t)(upward ? -plane->stride : plane->stride);
    *data_out = upward ? to + (size_t)last * plane->row : to;
    *stride_out = upward ? -(ptrdiff_t)plane->row : (ptrdiff_t)plane->row;
    return copy_stripes(to, from, plane->rows == 1 ? plane->row : pitch, plane, stripes, stream);
}

int sac__upload_start(struct sac_gpu_picture *picture, void *buffer, const sac_image *image,
                      cudaStream_t stream)
{
    struct plane planes[2];
    if (!picture->copied) return 0;
    uint8_t *to = (uint8_t *)buffer + picture->offset;
    const int count = planes_of(planes, image);
    int error = copy_plane(&picture->image.data, &picture->image.stride, to, &planes[0],
                           stripes_of(picture), stream);
    if (error || count == 1) return error;
    to += align_up(planes[0].row * planes[0].rows);
    return copy_plane(&picture->image.chroma, &picture->image.chroma_stride, to, &planes[1],
                      (struct stripes){1, 1}, stream);
}
