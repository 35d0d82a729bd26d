// SPDX-License-Identifier: Apache-2.0
// The CUDA letterbox equals the C set's, bit for bit, in every layout, and writes nowhere else; an
// input of the caller's own lands in the same places.
//   check_cuda_letterbox [SEED [CASES]]
//   check_cuda_letterbox --bench           microseconds (for a GPU)
#include "device.h"
#include "ops/cuda/ops.h"
#include "ops/math/half.h"

enum { GUARD = 64, MOST = 3, CASES = CHECK_CASES(120, 2000) };

static const int steps[] = {3, 3, 4, 4, 1, 1};
static const sac_dtype dtypes[] = {SAC_F16, SAC_F32, SAC_U8};

/// A picture on both sides.
struct source {
    sac_image host, device;
    uint8_t *memory[2], *device_memory[2]; ///< luma or all, chroma
};

// A plane that ends where its memory does, upside down now and then; not `odd`: rows as they come
// from a camera. `offset`: bytes before it.
static void random_plane(struct source *source, int plane, int row, int rows, int odd)
{
    const size_t stride = (size_t)row + (odd && check_int(0, 1) ? (size_t)check_int(0, 70) : 0);
    const size_t offset = odd ? (size_t)check_int(0, 1) * (size_t)check_int(0, 9) : 0;
    const size_t size = offset + stride * ((size_t)rows - 1) + (size_t)row;
    uint8_t *memory = source->memory[plane] = room(size);
    const int extreme = check_int(0, 3) == 0;
    for (size_t i = 0; i < size; i++) {
        const uint8_t byte = (uint8_t)check_random();
        memory[i] = extreme ? (byte & 1 ? 255 : 0) : byte;
    }
    source->device_memory[plane] = device_copy(memory, size);
    const int flipped = odd && check_int(0, 3) == 0;
    const size_t first = offset + (flipped ? stride * ((size_t)rows - 1) : 0);
    const ptrdiff_t signed_stride = flipped ? -(ptrdiff_t)stride : (ptrdiff_t)stride;
    sac_image *const sides[] = {&source->host, &source->device};
    for (int k = 0; k < 2; k++) {
        const uint8_t *data = (k ? source->device_memory[plane] : memory) + first;
        if (plane) sides[k]->chroma = data, sides[k]->chroma_stride = signed_stride;
        else sides[k]->data = data, sides[k]->stride = signed_stride;
    }
}

static struct source random_source(int width, int height, sac_pixel_format format, int odd)
{
    struct source source = {0};
    source.host = (sac_image){.width = width, .height = height, .format = format};
    source.device = source.host;
    source.device.memory = check_int(0, 1) ? SAC_CUDA : SAC_HOST_PINNED;
    random_plane(&source, 0, width * steps[format], height, odd);
    if (format == SAC_NV12) random_plane(&source, 1, (width + 1) / 2 * 2, (height + 1) / 2, odd);
    return source;
}

static void free_source(struct source *source)
{
    for (int plane = 0; plane < 2; plane++) {
        free(source->memory[plane]);
        cuda(cudaFree(source->device_memory[plane]));
    }
}

static size_t input_elements(const struct sac__input *input)
{
    const size_t area = (size_t)input->height * (size_t)input->width;
    return area * (input->layout == SAC__INPUT_NCHW     ? 3
                   : input->layout == SAC__INPUT_NHWC ? 8
                                                      : 4);
}

// Element of a picture that channel c of pixel (x,y) goes to.
static size_t place(const struct sac__input *input, int c, int y, int x)
{
    const size_t width = (size_t)input->width;
    switch (input->layout) {
    case SAC__INPUT_NCHW:
        return ((size_t)c * (size_t)input->height + (size_t)y) * width + (size_t)x;
    case SAC__INPUT_NHWC: return ((size_t)y * width + (size_t)x) * 8 + (size_t)c;
    default:
        return ((size_t)(y / 2) * (width / 2) + (size_t)(x / 2)) * 16 +
               (size_t)((2 * (y & 1) + (x & 1)) * 4 + c);
    }
}

static void put(void *picture, sac_dtype dtype, size_t at, float value)
{
    switch (dtype) {
    case SAC_F32: ((float *)picture)[at] = value; break;
    case SAC_F16: ((uint16_t *)picture)[at] = sac__float_half(value); break;
    default: ((uint8_t *)picture)[at] = (uint8_t)value; break;
    }
}

/// What the input's picture must be.
static void expect(void *picture, const struct sac__input *input, const struct source *source,
                   const sac_letterbox *fit, const sac_pixels *pixels, sac_workspace *workspace)
{
    sac_tensor bytes;
    const int64_t shape[] = {1, 3, input->height, input->width};
    CHECK(!sac_tensor_alloc(&bytes, SAC_U8, 4, shape), "%s", sac_error_message());
    CHECK(!sac__ops_letterbox(sac__ops_find("c"), workspace, &bytes, 0, &source->host, fit, pixels),
          "%s", sac_error_message());
    memset(picture, 0, input_elements(input) * sac_dtype_bytes(input->dtype));
    const uint8_t *byte = bytes.data;
    for (int c = 0; c < 3; c++)
        for (int y = 0; y < input->height; y++)
            for (int x = 0; x < input->width; x++, byte++)
                put(picture, input->dtype, place(input, c, y, x),
                    input->dtype == SAC_U8 ? (float)*byte : sac__input_value(*byte, input->scaled));
    sac_tensor_free(&bytes);
}

static struct sac__input random_input(const sac_pixels *pixels)
{
    struct sac__input input = {
        .layout = (enum sac__input_layout)check_int(0, 2),
        .n = check_int(1, MOST),
        .height = check_extent(8),
        .width = check_extent(CHECK_CASES(8, 10)),
        .pad = pixels->pad,
        .scaled = !pixels->no_scaling,
    };
    input.dtype = dtypes[check_int(0, input.layout == SAC__INPUT_NCHW ? 2 : 1)];
    if (input.layout == SAC__INPUT_FOLDED) {
        input.height += input.height % 2;
        input.width += input.width % 2;
    }
    return input;
}

// Adds picture n, or leaves its place alone.
static void add_picture(struct sac__batch *batch, int n, const struct sac__input *input,
                        uint8_t *want, struct source *source, const sac_pixels *pixels,
                        sac_workspace *workspace)
{
    *source = random_source(check_extent(CHECK_CASES(7, 10)), check_extent(8),
                            (sac_pixel_format)check_int(SAC_BGR8, SAC_NV12), 1);
    const int empty = check_int(0, 9) == 0;
    sac_letterbox_options options = {(sac_fit)check_int(0, 3), check_int(0, 1), 0};
    if (options.fit == SAC_FIT_AUTO) options.fit = SAC_FIT_PAD; // changes the extents
    sac_letterbox fit;
    CHECK(!sac_letterbox_fit(&fit, source->host.width, source->host.height, input->width,
                             input->height, &options),
          "%s", sac_error_message());
    CHECK(!sac__batch_picture(batch, n, empty ? NULL : &source->device, &fit, pixels), "%s",
          sac_error_message());
    if (empty) return;
    printf("  %dx%d format %d to %dx%d\n", fit.width0, fit.height0, (int)source->host.format,
           fit.new_width, fit.new_height);
    expect(want, input, source, &fit, pixels, workspace);
}

static void check_case(sac_workspace *workspace)
{
    const sac_pixels pixels = {check_int(0, 255), check_int(0, 1), check_int(0, 1)};
    struct sac__input input = random_input(&pixels);
    const size_t picture = input_elements(&input) * sac_dtype_bytes(input.dtype);
    const size_t bytes = picture * (size_t)input.n, room_bytes = bytes + 2 * GUARD;
    printf("layout %d type %d, %d of %dx%d\n", (int)input.layout, (int)input.dtype, input.n,
           input.width, input.height);
    const int shift = input.layout == SAC__INPUT_NCHW ? 4 * check_int(0, 3) : 0; // not aligned
    uint8_t *want = room(room_bytes), *device = device_filled(0xa5, room_bytes);
    struct sac__batch *batch = room(sac__batch_bytes(input.n, 1));
    struct source sources[MOST] = {{{0}, {0}, {0}, {0}}};
    sac__batch_start(batch, input.n, 1);
    const int count = check_int(0, 3) ? input.n : check_int(0, input.n);
    for (int n = 0; n < count; n++)
        add_picture(batch, n, &input, want + GUARD + shift + picture * (size_t)n, &sources[n],
                    &pixels, workspace);
    void *device_batch = device_copy(batch, sac__batch_bytes(input.n, 1));
    input.data = device + GUARD + shift;
    CHECK(!sac__letterbox_cuda(&input, device_batch, NULL, check_int(0, 1)), "%s",
          sac_error_message());
    uint8_t *got = device_read(device, room_bytes);
    for (size_t i = 0; i < room_bytes; i++)
        CHECK(got[i] == want[i], "byte %lld of %zu: %d, not %d", (long long)i - GUARD, bytes,
              got[i], want[i]);
    for (int n = 0; n < MOST; n++) free_source(&sources[n]);
    cuda(cudaFree(device));
    cuda(cudaFree(device_batch));
    free(batch);
    free(want);
    free(got);
}

// ---- the caller's own input ---------------------------------------------------------------------

static float value_at(const void *values, sac_dtype dtype, size_t at)
{
    switch (dtype) {
    case SAC_F32: return ((const float *)values)[at];
    case SAC_F16: return sac__half_float(((const uint16_t *)values)[at]);
    default: return ((const uint8_t *)values)[at];
    }
}

static void *random_values(size_t count, sac_dtype dtype)
{
    uint8_t *values = room(count * sac_dtype_bytes(dtype));
    for (size_t i = 0; i < count; i++) {
        const float value = check_int(0, 20) ? check_float(-3, 3) : 70000.f;
        if (dtype == SAC_U8) values[i] = (uint8_t)check_random();
        else put(values, dtype, i, value);
    }
    return values;
}

static void check_input(void)
{
    const sac_pixels pixels = SAC_PIXELS_DEFAULT;
    struct sac__input input = random_input(&pixels);
    if (input.dtype == SAC_U8) input.dtype = SAC_F16;
    const sac_dtype dtype = dtypes[check_int(0, 2)];
    const size_t size = sac_dtype_bytes(input.dtype), picture = input_elements(&input);
    const size_t values_count = (size_t)3 * input.height * input.width;
    void *values = random_values(values_count * (size_t)input.n, dtype);
    void *device = device_copy(values, values_count * (size_t)input.n * sac_dtype_bytes(dtype));
    const size_t bytes = picture * (size_t)input.n * size, room_bytes = bytes + 2 * GUARD;
    uint8_t *want = room(room_bytes), *memory = device_filled(0xa5, room_bytes);
    memset(want + GUARD, 0, bytes);
    for (size_t i = 0; i < values_count * (size_t)input.n; i++) {
        const int x = (int)(i % (size_t)input.width);
        const int y = (int)(i / (size_t)input.width % (size_t)input.height);
        const size_t plane = i / ((size_t)input.width * (size_t)input.height);
        put(want + GUARD, input.dtype, plane / 3 * picture + place(&input, (int)(plane % 3), y, x),
            value_at(values, dtype, i));
    }
    input.data = memory + GUARD;
    printf("layout %d type %d from %d, %d of %dx%d\n", (int)input.layout, (int)input.dtype,
           (int)dtype, input.n, input.width, input.height);
    CHECK(!sac__input_cuda(&input, device, dtype, NULL, check_int(0, 1)), "%s",
          sac_error_message());
    uint8_t *got = device_read(memory, room_bytes);
    for (size_t i = 0; i < room_bytes; i++)
        CHECK(got[i] == want[i], "byte %lld of %zu: %d, not %d", (long long)i - GUARD, bytes,
              got[i], want[i]);
    cuda(cudaFree(device));
    cuda(cudaFree(memory));
    free(values);
    free(want);
    free(got);
}

static void check_refusals(void)
{
    uint8_t pixels[12] = {0};
    struct sac__batch *batch = room(sac__batch_bytes(1, 1));
    const sac_pixels how = SAC_PIXELS_DEFAULT;
    sac_image image = {.data = pixels, .stride = 6, .width = 2, .height = 2};
    struct sac__input input = {batch, SAC__INPUT_NHWC, SAC_U8, 1, 2, 2, 114, 1};
    sac_letterbox fit;
    CHECK(!sac_letterbox_fit(&fit, 2, 2, 2, 2, NULL), "%s", sac_error_message());
    sac__batch_start(batch, 1, 1);
    CHECK(sac__batch_picture(batch, 0, &image, &fit, &how) == SAC_EUNSUPPORTED, "host memory");
    image.memory = SAC_CUDA;
    CHECK(sac__batch_picture(batch, 1, &image, &fit, &how) == SAC_EINVAL, "no such place");
    image.stride = 5;
    CHECK(sac__batch_picture(batch, 0, &image, &fit, &how) == SAC_EINVAL, "rows overlap");
    CHECK(batch->count == 0, "a refused picture counts");
    CHECK(sac__letterbox_cuda(&input, batch, NULL, 0) == SAC_EUNSUPPORTED, "bytes as NHWC");
    input.dtype = SAC_I64;
    CHECK(sac__letterbox_cuda(&input, batch, NULL, 0) == SAC_EUNSUPPORTED, "integers");
    CHECK(sac__input_cuda(&input, pixels, SAC_F32, NULL, 0) == SAC_EUNSUPPORTED, "integers");
    input.dtype = SAC_F32;
    CHECK(sac__input_cuda(&input, pixels, SAC_I8, NULL, 0) == SAC_EUNSUPPORTED, "from integers");
    free(batch);
}

// ---- bench --------------------------------------------------------------------------------------

enum { TURNS = 6 };

struct job {
    struct sac__input inputs[TURNS];
    void *batches[TURNS];
    int turns;
};

static int launch(void *job, int turn, cudaStream_t stream)
{
    const struct job *j = job;
    const int at = turn % j->turns;
    return sac__letterbox_cuda(&j->inputs[at], j->batches[at], stream, 1);
}

static void bench_turns(int width, int height, sac_pixel_format format, int size,
                        enum sac__input_layout layout, sac_dtype dtype, const char *what, int turns)
{
    const sac_pixels pixels = SAC_PIXELS_DEFAULT;
    struct job job = {.turns = turns};
    struct source sources[TURNS];
    sac_letterbox fit;
    CHECK(!sac_letterbox_fit(&fit, width, height, size, size, NULL), "%s", sac_error_message());
    struct sac__input input = {NULL, layout, dtype, 1, size, size, 114, 1};
    const size_t bytes = input_elements(&input) * sac_dtype_bytes(dtype);
    for (int k = 0; k < turns; k++) {
        sources[k] = random_source(width, height, format, 0);
        sources[k].device.memory = SAC_CUDA;
        struct sac__batch *batch = room(sac__batch_bytes(1, 1));
        sac__batch_start(batch, 1, 1);
        CHECK(!sac__batch_picture(batch, 0, &sources[k].device, &fit, &pixels), "%s",
              sac_error_message());
        job.batches[k] = device_copy(batch, sac__batch_bytes(1, 1));
        job.inputs[k] = input;
        job.inputs[k].data = device_filled(1, bytes);
        free(batch);
    }
    const double source = format == SAC_NV12 ? 1.5 * width * height
                                             : (double)width * height * steps[format];
    char text[96];
    snprintf(text, sizeof text, "%s, %s", what, turns < TURNS ? "L2" : "memory");
    const double rate = turns < TURNS ? 5.5e6 : 4.3e6;
    bench_row(text, bench_time(launch, &job), source + (double)bytes, rate);
    for (int k = 0; k < turns; k++) {
        free_source(&sources[k]);
        cuda(cudaFree(job.batches[k]));
        cuda(cudaFree(job.inputs[k].data));
    }
}

/// With what fits in L2, as after an upload, and with what does not.
static void bench(int width, int height, sac_pixel_format format, int size,
                  enum sac__input_layout layout, sac_dtype dtype, const char *what)
{
    bench_turns(width, height, format, size, layout, dtype, what, 2);
    bench_turns(width, height, format, size, layout, dtype, what, TURNS);
}

static void bench_all(void)
{
    bench(1920, 1080, SAC_BGR8, 1280, SAC__INPUT_FOLDED, SAC_F16, "1080p bgr to 1280 folded fp16");
    bench(1920, 1080, SAC_BGR8, 640, SAC__INPUT_FOLDED, SAC_F16, "1080p bgr to 640 folded fp16");
    bench(1920, 1080, SAC_BGR8, 640, SAC__INPUT_NHWC, SAC_F16, "1080p bgr to 640 nhwc fp16");
    bench(1920, 1080, SAC_BGR8, 640, SAC__INPUT_NCHW, SAC_F16, "1080p bgr to 640 nchw fp16");
    bench(1920, 1080, SAC_BGR8, 640, SAC__INPUT_NCHW, SAC_F32, "1080p bgr to 640 nchw fp32");
    bench(1920, 1080, SAC_BGR8, 1280, SAC__INPUT_NCHW, SAC_F16, "1080p bgr to 1280 nchw fp16");
    bench(1920, 1080, SAC_BGRA8, 1280, SAC__INPUT_FOLDED, SAC_F16, "1080p bgra to 1280 folded");
    bench(1920, 1080, SAC_NV12, 1280, SAC__INPUT_FOLDED, SAC_F16, "1080p nv12 to 1280 folded");
    bench(1920, 1080, SAC_NV12, 640, SAC__INPUT_FOLDED, SAC_F16, "1080p nv12 to 640 folded fp16");
    bench(3840, 2160, SAC_BGR8, 640, SAC__INPUT_FOLDED, SAC_F16, "2160p bgr to 640 folded fp16");
}

int main(int count, char **arguments)
{
    const int benching = count > 1 && strcmp(arguments[1], "--bench") == 0;
    check_seed(count > 1 && !benching ? arguments[1] : NULL);
    if (benching) {
        bench_all();
        return 0;
    }
    sac_workspace *workspace;
    CHECK(!sac__workspace_open(&workspace), "%s", sac_error_message());
    const int cases = count > 2 ? atoi(arguments[2]) : CASES;
    check_refusals();
    for (int i = 0; i < cases; i++) {
        check_case(workspace);
        if (i % 3 == 0) check_input();
    }
    sac__workspace_close(&workspace);
    return 0;
}
