// SPDX-License-Identifier: Apache-2.0
// Whole networks as programs against sac__plan_run: raw maps in fp16 and fp32, with the choices of
// the tuner, of the plan cache and without either.
//   check_program MODEL…                   models of open size, at small sizes
//   check_program --at N H W MODEL…        at one size, tuned for a moment
//   check_program --bench N H W MODEL…     microseconds of every launch in fp16 (for a GPU)
// Allowed is a normalised mean square error a raw map of 1e-10 in fp32. In fp16 it is 1e-5, or, in
// small pictures of noise, twice what storing weights and activations as halves costs by itself:
// two ways to round end up about as far from each other as each from the truth. How far that is
// differs from one rounding to the next by a factor of three, hence the worst of a few pictures
// that only their last bits tell apart.
#include <math.h>
#include <unistd.h>

#include "backend/cuda/run/internal.h"
#include "check/check.h"
#include "ops/math/half.h"

enum { ROUNDINGS = 16, SMALL = 20000 }; // pixels
static const double allowed[] = {1e-10, 1e-5}, slack = 2;
#ifdef SAC_EMULATED
static double tune_seconds = 0.3;
static const int64_t sizes[][4] = {{2, 0, 64, 96}};
#else
static double tune_seconds = 5;
static const int64_t sizes[][4] = {
    {1, 0, 64, 64}, {2, 0, 64, 96}, {3, 0, 320, 256}, {1, 0, 640, 640}};
#endif

static char folder[] = "/tmp/check_program-XXXXXX"; // of the plan cache

static void cuda(cudaError_t status)
{
    CHECK(status == cudaSuccess, "%s", cudaGetErrorString(status));
}

static void *room(size_t bytes)
{
    void *memory = calloc(1, bytes + 1);
    CHECK(memory, "out of memory");
    return memory;
}

static struct sac_plan *plan_of(const char *path, const int64_t shape[4], int half)
{
    struct sac_plan *plan;
    FILE *file = fopen(path, "rb");
    CHECK(file, "%s cannot be read", path);
    fseek(file, 0, SEEK_END);
    size_t size = (size_t)ftell(file);
    rewind(file);
    char *bytes = room(size);
    CHECK(fread(bytes, 1, size, file) == size, "%s cannot be read", path);
    fclose(file);
    int error = sac__plan_open(&plan, bytes, size, shape, half ? 2 : 4);
    CHECK(!error, "%s: %s", path, sac_error_message());
    free(bytes);
    return plan;
}

static float value(const void *arena, const struct sac_plan *plan, const struct sac_view *view,
                   int64_t pixel, int64_t channel)
{
    const struct sac_buffer *b = &plan->buffers[view->buffer];
    const char *from = (const char *)arena + b->offset +
                       (size_t)(pixel * b->pitch + view->channel + channel) * plan->element_size;
    float x;
    uint16_t half;
    memcpy(plan->element_size == 2 ? (void *)&half : (void *)&x, from, plan->element_size);
    return plan->element_size == 2 ? sac__half_float(half) : x;
}

/// An arena and what says where things lie in it.
struct maps {
    const struct sac_plan *plan;
    const void *arena;
};

/// Normalised by the variance: a map's mean is a bias, which tells nothing.
static double error_of(const struct maps *a, const struct sac_view *in_a, const struct maps *b,
                       const struct sac_view *in_b)
{
    const struct sac_buffer *buffer = &a->plan->buffers[in_a->buffer];
    double error = 0, sum = 0, squares = 0, count = 0;
    for (int64_t p = 0; p < buffer->n * buffer->height * buffer->width; p++)
        for (int64_t c = 0; c < in_a->channels; c++) {
            double expected = (double)value(a->arena, a->plan, in_a, p, c);
            double found = (double)value(b->arena, b->plan, in_b, p, c);
            error += (found - expected) * (found - expected);
            sum += expected;
            squares += expected * expected;
            count++;
        }
    return error / (squares - sum * sum / count);
}

/// Of all raw maps.
static double worst_error(const struct maps *expected, const struct maps *found)
{
    double worst = 0;
    for (int k = 0; k < expected->plan->head.level_count; k++) {
        const struct sac_head_level *a = &expected->plan->head.levels[k],
                                    *b = &found->plan->head.levels[k];
        double error = error_of(expected, &a->raw, found, &b->raw);
        if (!(error <= worst)) worst = error; // a NaN, too
        if (a->scores.buffer < 0) continue;
        error = error_of(expected, &a->scores, found, &b->scores);
        if (!(error <= worst)) worst = error;
    }
    return worst;
}

/// One size of one model: the reference's raw maps for a random picture.
struct reference {
    const char *path;
    int64_t shape[4];
    struct sac_plan *plan;
    float *picture;
    float *arena;  ///< exact
    double stored; ///< what rounding all that is stored to half costs: the worst error of a raw map
};

static float *run_reference(const struct reference *r, const struct sac_plan *plan)
{
    float *arena = room(plan->arena_bytes);
    memset(arena, 0xff, plan->arena_bytes);
    int error = sac__plan_run(plan, r->picture, arena, NULL);
    CHECK(!error, "%s: %s", r->path, sac_error_message());
    return arena;
}

static void round_all(float *values, size_t count)
{
    for (size_t k = 0; k < count; k++)
        values[k] = sac__half_float(sac__float_half(values[k]));
}

/// What is left when only storing weights and activations in fp16 costs anything: the reference a
/// layer at a time, all that it wrote rounded after each.
static float *run_rounded(const struct reference *r, const struct sac_plan *plan)
{
    struct sac_plan one = *plan;
    float *arena = room(plan->arena_bytes);
    struct sac_buffer *buffers = room((size_t)(plan->buffer_count + 1) * sizeof *buffers);
    memcpy(buffers, plan->buffers, (size_t)plan->buffer_count * sizeof *buffers);
    memset(arena, 0xff, plan->arena_bytes);
    for (int k = 0; k < plan->layer_count; k++) {
        one.layers = plan->layers + k;
        one.layer_count = 1;
        if (k) { // the picture is written before the first layer only
            one.buffers = buffers;
            one.input.buffer = plan->buffer_count;
            memset(one.input_shape, 0, sizeof one.input_shape);
        }
        int error = sac__plan_run(&one, r->picture, arena, NULL);
        CHECK(!error, "%s: %s", r->path, sac_error_message());
        round_all(arena, plan->arena_bytes / sizeof *arena);
    }
    free(buffers);
    return arena;
}

/// Sets the last bit of every value of the picture, a half, at random.
static void shake(struct reference *r, size_t count)
{
    for (size_t k = 0; k < count; k++) {
        uint16_t half = sac__float_half(r->picture[k]);
        half = (uint16_t)((half & ~1u) | (unsigned)check_int(0, 1));
        r->picture[k] = sac__half_float(half);
    }
}

static void measure_rounding(struct reference *r, size_t count)
{
    struct sac_plan *plan = plan_of(r->path, r->shape, 0);
    for (int k = 0; k < plan->layer_count; k++) // biases stay in fp32
        if (plan->layers[k].kind == SAC__LAYER_CONV || plan->layers[k].kind == SAC__LAYER_DEPTHWISE)
            round_all(plan->weights + plan->layers[k].weights,
                      plan->layers[k].bias - plan->layers[k].weights);
    for (int k = 0; k < (count / 3 > SMALL ? 1 : ROUNDINGS); k++) {
        free(r->arena);
        shake(r, count);
        r->arena = run_reference(r, r->plan);
        float *rounded = run_rounded(r, plan);
        double error =
            worst_error(&(struct maps){r->plan, r->arena}, &(struct maps){plan, rounded});
        if (error > r->stored) r->stored = error;
        free(rounded);
    }
    sac__plan_close(&plan);
}

static void reference_open(struct reference *r, const char *path, const int64_t shape[4])
{
    *r = (struct reference){.path = path, .plan = plan_of(path, shape, 0)};
    const int64_t *in = r->plan->input_shape;
    size_t count = (size_t)(in[0] * in[1] * in[2] * in[3]);
    memcpy(r->shape, in, sizeof r->shape);
    r->picture = room(count * sizeof(float));
    for (size_t k = 0; k < count; k++)
        r->picture[k] = (float)check_int(0, 255) / 255;
    measure_rounding(r, count); // leaves halves, what a letterbox in fp16 gives
}

static void reference_close(struct reference *r)
{
    sac__plan_close(&r->plan);
    free(r->picture);
    free(r->arena);
}

static void put(char *arena, const struct sac_plan *plan, int64_t pixel, int64_t channel, float x)
{
    const struct sac_buffer *b = &plan->buffers[plan->input.buffer];
    char *to = arena + b->offset + (size_t)(pixel * b->pitch + channel) * plan->element_size;
    uint16_t half = sac__float_half(x);
    memcpy(to, plan->element_size == 2 ? (void *)&half : (void *)&x, plan->element_size);
}

/// The picture as plan.h wants it, at its place in a host arena.
static void write_input(char *arena, const struct sac_plan *plan, const float *picture)
{
    const int64_t *in = plan->input_shape;
    const struct sac_buffer *b = &plan->buffers[plan->input.buffer];
    memset(arena + b->offset, 0, b->bytes);
    for (int64_t n = 0; n < in[0]; n++)
        for (int64_t c = 0; c < 3; c++)
            for (int64_t y = 0; y < in[2]; y++)
                for (int64_t x = 0; x < in[3]; x++, picture++)
                    if (plan->folded)
                        put(arena, plan, (n * (in[2] / 2) + y / 2) * (in[3] / 2) + x / 2,
                            (2 * (y & 1) + (x & 1)) * 4 + c, *picture);
                    else
                        put(arena, plan, (n * in[2] + y) * in[3] + x, c, *picture);
}

/// Runs the program on an arena full of NaN; returns the arena. free() it.
static char *run(const struct reference *r, const struct sac_plan *plan,
                 const struct sac_program *program)
{
    size_t bytes = sac__program_arena_bytes(program);
    char *host = room(bytes);
    void *arena;
    cudaStream_t stream;
    cuda(cudaMalloc(&arena, bytes));
    cuda(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    memset(host, 0xff, bytes);
    write_input(host, plan, r->picture);
    cuda(cudaMemcpyAsync(arena, host, bytes, cudaMemcpyHostToDevice, stream));
    int error = sac__program_arena_init(program, arena, stream);
    const struct sac_buffer *in = &plan->buffers[plan->input.buffer];
    for (int turn = 0; !error && turn < 2; turn++) { // again over what the first left
        cuda(cudaMemcpyAsync((char *)arena + in->offset, host + in->offset, in->bytes,
                             cudaMemcpyHostToDevice, stream));
        error = sac__program_enqueue(program, arena, stream);
    }
    CHECK(!error, "%s: %s", r->path, sac_error_message());
    cuda(cudaStreamSynchronize(stream));
    cuda(cudaMemcpy(host, arena, bytes, cudaMemcpyDeviceToHost));
    cuda(cudaStreamDestroy(stream));
    cuda(cudaFree(arena));
    return host;
}

static void say(void *user, const char *line)
{
    (void)user;
    printf("  %s\n", line);
}

static struct sac_program *program_of(const char *path, struct sac_plan *plan, double seconds,
                                      const char *cache)
{
    struct sac_program *program;
    const struct sac_program_options options = {.model_hash = path,
                                                .version = "check",
                                                .cache_dir = cache,
                                                .tune_seconds = seconds,
                                                .log = say};
    int error = sac__program_open(&program, plan, &options);
    CHECK(!error, "%s: %s", path, sac_error_message());
    return program;
}

/// Layers that run on the results of another, in its launch.
static int count_links(const struct sac_plan *plan)
{
    int count = 0;
    for (int k = 0; k < plan->layer_count; k++)
        count += plan->layers[k].after >= 0;
    return count;
}

static void check_maps(const struct reference *r, const struct sac_plan *plan, const void *arena,
                       const char *way)
{
    const struct maps found = {plan, arena}, exact = {r->plan, r->arena};
    int half = plan->element_size == 2;
    double error = worst_error(&exact, &found), most = allowed[half];
    if (half && slack * r->stored > most) most = slack * r->stored;
    printf("  fp%d, %s: error %.1e", half ? 16 : 32, way, error);
    if (half) printf(", of storing halves alone %.1e, %d in chains", r->stored, count_links(plan));
    printf("\n");
    CHECK(error <= most, "normalised mean square error %g", error);
}

/// How each layer runs; the first one after a NULL is remembered, others must be the same.
static void check_same(const struct sac_plan *plan, const struct sac_program *program,
                       struct sac_program_layer **layers)
{
    const struct sac_program_layer *now = sac__program_layers(program);
    const size_t count = (size_t)plan->layer_count;
    if (!*layers) {
        *layers = room(count * sizeof **layers);
        memcpy(*layers, now, count * sizeof *now);
    }
    for (size_t k = 0; k < count; k++)
        CHECK(now[k].kernel == (*layers)[k].kernel && now[k].split == (*layers)[k].split &&
                  now[k].launch == (*layers)[k].launch,
              "layer %zu: %s in launch %d, tuned %s in launch %d", k, now[k].kernel, now[k].launch,
              (*layers)[k].kernel, (*layers)[k].launch);
}

static void check_ways(const struct reference *r, int half)
{
    static const struct {
        const char *name;
        int tuned, kept;
    } ways[] = {{"first usable", 0, 0}, {"tuned", 1, 1}, {"from the cache", 0, 1}};
    struct sac_program_layer *tuned = NULL;
    for (int k = 0; k < 3; k++) {
        check_now(ways[k].name);
        struct sac_plan *plan = plan_of(r->path, r->shape, half);
        struct sac_program *program = program_of(r->path, plan, ways[k].tuned ? tune_seconds : -1,
                                                 ways[k].kept ? folder : "");
        int measured = 0;
        for (int i = 0; i < plan->layer_count; i++)
            measured += sac__program_layers(program)[i].us > 0;
        CHECK(!measured == !ways[k].kept, "%s: %d layers measured", ways[k].name, measured);
        if (ways[k].kept) check_same(plan, program, &tuned);
        char *arena = run(r, plan, program);
        check_maps(r, plan, arena, ways[k].name);
        free(arena);
        sac__program_close(&program);
        sac__plan_close(&plan);
    }
    free(tuned);
}

static void check_model(const char *path, const int64_t shape[4])
{
    struct reference r;
    reference_open(&r, path, shape);
    printf("%s at %dx%dx%d\n", path, (int)r.shape[0], (int)r.shape[2], (int)r.shape[3]);
    for (int half = 0; half < 2; half++)
        check_ways(&r, half);
    reference_close(&r);
}

struct whole {
    const struct sac_program *program;
    void *arena;
};

static int launch(void *user, int turn, cudaStream_t stream)
{
    const struct whole *w = user;
    (void)turn;
    return sac__program_enqueue(w->program, w->arena, stream);
}

static void bench_layers(const struct sac_plan *plan, const struct sac_program *program,
                         const double *us)
{
    double sum = 0, floor = 0;
    printf("step launch  tuned us  alone us  roofline  kernel                    layer\n");
    for (int k = 0; k < plan->layer_count; k++) {
        const struct sac_layer *layer = &plan->layers[k];
        const struct sac_program_layer *fact = &sac__program_layers(program)[k];
        const struct sac_buffer *in = &plan->buffers[layer->in.buffer];
        double best = layer->flop / 790e6, bytes = layer->bytes / 4.3e6; // an H200
        if (bytes > best) best = bytes;
        printf("%4d %6d %9.2f %9.2f %9.2f  %-20s /%-3d %dx%dx%dx%d -> %d, %dx%d/%d %s\n",
               layer->step, fact->launch, fact->us, us[k], best, fact->kernel, fact->split,
               (int)in->n, (int)in->height, (int)in->width, (int)layer->in.channels,
               (int)layer->out_channels, (int)layer->window.kernel[0], (int)layer->window.kernel[1],
               (int)layer->window.stride[0], layer->name);
        sum += us[k];
        floor += best;
    }
    printf("sum of launches alone %.1f us, of rooflines %.1f us\n", sum, floor);
}

/// Halves from 0.25 to 1: zeros would run too fast.
static void fill_input(const struct sac_plan *plan, char *arena)
{
    const struct sac_buffer *b = &plan->buffers[plan->input.buffer];
    uint16_t *values = room(b->bytes);
    for (size_t i = 0; i < b->bytes / 2; i++)
        values[i] = (uint16_t)(0x3400 | (check_random() & 0x07ff));
    cuda(cudaMemcpy(arena + b->offset, values, b->bytes, cudaMemcpyHostToDevice));
    free(values);
}

static void bench_model(const char *path, const int64_t shape[4])
{
    struct sac_plan *plan = plan_of(path, shape, 1);
    double start = (double)time(NULL), total = 0;
    struct sac_program *program = program_of(path, plan, 60, "");
    double *us = room((size_t)plan->layer_count * sizeof *us), took = (double)time(NULL) - start;
    struct whole whole = {program, NULL};
    cudaStream_t stream;
    cuda(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    cuda(cudaMalloc(&whole.arena, sac__program_arena_bytes(program)));
    cuda(cudaMemset(whole.arena, 0, sac__program_arena_bytes(program)));
    fill_input(plan, whole.arena);
    cuda(cudaDeviceSynchronize()); // the stream waits for no other
    int error = sac__program_measure(program, whole.arena, us);
    const struct timing timing = {launch, &whole, 10, 5, 0, stream};
    if (!error) error = sac__timing_run(&timing, &total);
    CHECK(!error, "%s: %s", path, sac_error_message());
    printf("%s %lldx%lldx%lld: %.1f us, tuned in %.0f s, arena %.1f MB, weights %.1f MB\n", path,
           (long long)plan->input_shape[0], (long long)plan->input_shape[2],
           (long long)plan->input_shape[3], total, took,
           (double)sac__program_arena_bytes(program) / 1e6,
           (double)sac__program_bytes(program) / 1e6);
    bench_layers(plan, program, us);
    cuda(cudaFree(whole.arena));
    cuda(cudaStreamDestroy(stream));
    free(us);
    sac__program_close(&program);
    sac__plan_close(&plan);
}

int main(int argc, char **argv)
{
    int benching = argc > 1 && !strcmp(argv[1], "--bench");
    int sized = argc > 1 && (benching || !strcmp(argv[1], "--at"));
    if (argc < (sized ? 6 : 2)) return 2;
    if (sized) tune_seconds = 0.3;
    check_seed(NULL);
    CHECK(mkdtemp(folder), "no folder for the plan cache");
    for (int k = sized ? 5 : 1; k < argc; k++) {
        const int64_t given[4] = {sized ? atoi(argv[2]) : 0, 0, sized ? atoi(argv[3]) : 0,
                                  sized ? atoi(argv[4]) : 0};
        if (benching)
            bench_model(argv[k], given);
        else if (sized)
            check_model(argv[k], given);
        for (size_t size = 0; !sized && size < sizeof sizes / sizeof *sizes; size++)
            check_model(argv[k], sizes[size]);
    }
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command) ? 1 : 0;
}
