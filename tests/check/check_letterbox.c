// SPDX-License-Identifier: Apache-2.0
// Every set's letterbox equals the reference, byte for byte, and writes nowhere else.
#include "check.h"

enum { GUARD = 64 };

static const int steps[] = {3, 3, 4, 4, 1, 1};
static const sac_dtype dtypes[] = {SAC_F32, SAC_F16, SAC_U8};

struct source {
    uint8_t *memory, *chroma;
    sac_image image;
};

static uint8_t *random_chroma(int width, int height)
{
    const size_t size = (size_t)((width + 1) / 2 * 2) * (size_t)((height + 1) / 2);
    uint8_t *chroma = malloc(size);
    CHECK(chroma, "%zu bytes", size);
    for (size_t i = 0; i < size; i++) chroma[i] = (uint8_t)check_random();
    return chroma;
}

// The picture ends where its memory does, so that a sanitizer sees each byte read too many.
static struct source random_source(int width, int height, sac_pixel_format format)
{
    const size_t row = (size_t)width * steps[format];
    const size_t stride = row + (check_int(0, 1) ? (size_t)check_int(0, 70) : 0);
    const size_t size = stride * ((size_t)height - 1) + row;
    struct source source = {.memory = malloc(size)};
    CHECK(source.memory, "%zu bytes", size);
    const int extreme = check_int(0, 3) == 0;
    for (size_t i = 0; i < size; i++) {
        const uint8_t byte = (uint8_t)check_random();
        source.memory[i] = extreme ? (byte & 1 ? 255 : 0) : byte;
    }
    if (format == SAC_NV12) source.chroma = random_chroma(width, height);
    const int upside_down = check_int(0, 3) == 0;
    source.image = (sac_image){
        .data = source.memory + (upside_down ? stride * ((size_t)height - 1) : 0),
        .stride = upside_down ? -(ptrdiff_t)stride : (ptrdiff_t)stride,
        .width = width,
        .height = height,
        .format = format,
        .chroma = source.chroma,
        .chroma_stride = (width + 1) / 2 * 2,
    };
    return source;
}

struct target {
    uint8_t *memory; ///< GUARD bytes before and after
    size_t bytes;
    sac_tensor tensor;
};

static struct target new_target(sac_dtype dtype, int count, int height, int width)
{
    const int64_t shape[] = {count, 3, height, width};
    struct target target = {0};
    CHECK(!sac_tensor_wrap(&target.tensor, NULL, dtype, 4, shape), "%s", sac_error_message());
    target.bytes = sac_tensor_bytes(&target.tensor);
    target.memory = malloc(target.bytes + 2 * GUARD);
    CHECK(target.memory, "%zu bytes", target.bytes);
    memset(target.memory, 0xa5, target.bytes + 2 * GUARD);
    target.tensor.data = target.memory + GUARD;
    return target;
}

static void check_case(sac_workspace *const *workspaces)
{
    const sac_pixel_format format = (sac_pixel_format)check_int(SAC_BGR8, SAC_NV12);
    struct source source = random_source(check_extent(10), check_extent(8), format);
    const sac_letterbox_options options = {(sac_fit)check_int(0, 3), check_int(0, 1),
                                           check_int(0, 40)};
    const sac_pixels pixels = {check_int(0, 255), check_int(0, 1), check_int(0, 1)};
    sac_letterbox fit;
    CHECK(!sac_letterbox_fit(&fit, source.image.width, source.image.height, check_extent(9),
                             check_extent(9), &options),
          "%s", sac_error_message());
    const sac_dtype dtype = dtypes[check_int(0, 2)];
    const int count = check_int(1, 3), index = check_int(0, count - 1);
    struct target targets[CHECK_SETS] = {{0}};
    for (int i = 0; i < CHECK_SETS; i++) {
        const struct sac_ops *ops = sac__ops_find(check_sets[i]);
        if (!ops) continue;
        targets[i] = new_target(dtype, count, fit.height, fit.width);
        CHECK(!sac__ops_letterbox(ops, workspaces[i], &targets[i].tensor, index, &source.image,
                                  &fit, &pixels),
              "%s", sac_error_message());
        CHECK(memcmp(targets[i].memory, targets[0].memory, targets[0].bytes + 2 * GUARD) == 0,
              "%s: %dx%d format %d to %dx%d in %dx%d, %s", check_sets[i], fit.width0, fit.height0,
              (int)format, fit.new_width, fit.new_height, fit.width, fit.height,
              sac_dtype_name(dtype));
    }
    for (int i = 0; i < CHECK_SETS; i++) free(targets[i].memory);
    free(source.memory);
    free(source.chroma);
}

static void bench(int width0, int height0, int size, sac_dtype dtype)
{
    struct source source = random_source(width0, height0, SAC_BGR8);
    const sac_pixels pixels = SAC_PIXELS_DEFAULT;
    sac_letterbox fit;
    CHECK(!sac_letterbox_fit(&fit, width0, height0, size, size, NULL), "%s", sac_error_message());
    const int64_t shape[] = {1, 3, size, size};
    sac_tensor input;
    CHECK(!sac_tensor_alloc(&input, dtype, 4, shape), "%s", sac_error_message());
    char what[64];
    snprintf(what, sizeof what, "letterbox %dx%d to %d %s", width0, height0, size,
             sac_dtype_name(dtype));
    for (int i = 0; i < CHECK_SETS; i++) {
        const struct sac_ops *ops = sac__ops_find(check_sets[i]);
        sac_workspace *workspace;
        CHECK(!sac__workspace_open(&workspace), "%s", sac_error_message());
        if (ops)
            BENCH(what, check_sets[i], (size_t)width0 * height0 * 3 + sac_tensor_bytes(&input),
                  sac__ops_letterbox(ops, workspace, &input, 0, &source.image, &fit, &pixels));
        sac__workspace_close(&workspace);
    }
    sac_tensor_free(&input);
    free(source.memory);
    free(source.chroma);
}

int main(int count, char **arguments)
{
    if (count > 1 && strcmp(arguments[1], "--bench") == 0) {
        static const int sizes[][3] = {{1920, 1080, 640}, {1920, 1080, 1280}, {640, 480, 640},
                                       {3840, 2160, 640}, {320, 240, 1280}};
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
            for (int t = 0; t < 3; t++) bench(sizes[s][0], sizes[s][1], sizes[s][2], dtypes[t]);
        return 0;
    }
    check_seed(count > 1 ? arguments[1] : NULL);
    sac_workspace *workspaces[CHECK_SETS]; // reused, as the detector does
    for (int i = 0; i < CHECK_SETS; i++)
        CHECK(!sac__workspace_open(&workspaces[i]), "%s", sac_error_message());
    for (int i = 0; i < 4000; i++) check_case(workspaces);
    for (int i = 0; i < CHECK_SETS; i++) sac__workspace_close(&workspaces[i]);
    return 0;
}
