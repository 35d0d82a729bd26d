// SPDX-License-Identifier: Apache-2.0
// Every convolution kernel against reference_conv.c: random layers with everything that a plan can
// ask for, alone and several in one launch.
//   check_conv [SEED [CASES [NAME]]]   random layers; NAME: only kernels whose name begins so
//   check_conv --small SEED CASES [NAME]   on small maps, for tools that watch every access; until
//                               all kernels ran
//   check_conv --shapes [SEED [PART OF]]   every convolution of yolov5 n to x at 640 and 1280,
//   against
//                               the plain kernel; of OF parts that PART; emulated: some, on small
//                               maps
//   check_conv --bench …        see bench_conv.c
// A wrong kernel does not end it: the last lines count the wrong runs of each. Allowed is a
// normalised mean square error of 2e-7 in fp16, where rounding the result alone makes about 4e-8,
// three times that for layers one after the other (twice the most seen), and 1e-12 in fp32.
#include "bench_conv.h"
#include "conv_case.h"
#include "conv_shapes.h"

#include "check/check.h"

enum { KERNELS = 256 };
static const double allowed[] = {0, 0, 2e-7, 0, 1e-12}, allowed_after = 6e-7;

#ifdef SAC_EMULATED
enum { CASES = 20, SCALE = 100, TRIED = 5, LARGE = 2, MORE = 20000, SHRINK = 20, EVERY = 9 };
#else
enum { CASES = 400, SCALE = 600, TRIED = 30, LARGE = 12, MORE = 40000, SHRINK = 1, EVERY = 1 };
#endif

/// What became of each kernel.
struct tally {
    int runs, wrong;
};
static struct tally tallies[KERNELS];
static const char *only = "";
static int scale = SCALE, depth = 8 * SCALE, tried = TRIED, more = MORE;

static struct tally *tally_of(const struct sac_conv_kernel *kernel)
{
    int k = 0;
    while (sac__conv_kernel_at(k) != kernel)
        k++;
    return &tallies[k];
}

/// The first few are told in full.
static void wrong(const struct sac_conv_choice *choice, const char *what, const char *why)
{
    if (tally_of(choice->kernel)->wrong++ < 3) printf("WRONG %s: %s\n", what, why);
}

/// Of each kernel that was wrong; returns how many were.
static int print_tallies(void)
{
    int all = 0, bad = 0;
    for (int k = 0; sac__conv_kernel_at(k); k++) {
        all += tallies[k].runs > 0;
        if (!tallies[k].wrong) continue;
        printf("%s: wrong in %d of %d runs\n", sac__conv_kernel_at(k)->name, tallies[k].wrong,
               tallies[k].runs);
        bad++;
    }
    printf("%d of %d kernels are wrong\n", bad, all);
    return bad;
}

static int is_asked(const struct sac_conv_kernel *kernel)
{
    return !strncmp(kernel->name, only, strlen(only));
}

/// Whether one that is asked for takes layers without others after them.
static int any_alone(void)
{
    const struct sac_conv_kernel *kernel;
    for (int k = 0; (kernel = sac__conv_kernel_at(k)); k++)
        if (is_asked(kernel) && !kernel->chain) return 1;
    return 0;
}

/// The usable kernels that are asked for; none for some layers when `only` is set.
static int candidates(const struct sac_conv *conv, const struct sac_conv_device *device,
                      struct sac_conv_choice *choices)
{
    int count = 0, all = sac__conv_candidates(conv, device, choices);
    CHECK(all > 0 || conv->after, "a layer without a kernel");
    for (int k = 0; k < all; k++)
        if (!strncmp(choices[k].kernel->name, only, strlen(only))) choices[count++] = choices[k];
    return count;
}

/// With small layers sometimes one that they fill.
static struct sac_conv_device any_device(void)
{
    struct sac_conv_device device = conv_device();
    if (scale < 600 && check_int(0, 1)) device.processors = 4;
    return device;
}

/// Launches and waits; whether the results may be looked at. What a device says after a fault is
/// the end: nothing runs there any more.
static int run_conv(const struct sac_conv_choice *choice, const struct sac_conv *convs, int count,
                    int overlap, const char *what)
{
    const struct sac_conv_launch how = {choice->split, overlap, NULL};
    tally_of(choice->kernel)->runs++;
    check_now(what);
    if (choice->kernel->launch(choice->kernel, convs, count, &how)) {
        wrong(choice, what, sac_error_message());
        return 0;
    }
    cudaError_t status = cudaDeviceSynchronize();
    if (status == cudaSuccess) return 1;
    wrong(choice, what, cudaGetErrorString(status));
    print_tallies();
    exit(1);
}

static const char *describe(const struct sac_conv_choice *choice, const struct conv_shape *shape,
                            int element_size)
{
    static char text[400];
    snprintf(text, sizeof text, "%s split %d fp%d, %s", choice->kernel->name, choice->split,
             element_size * 8, conv_shape_text(shape));
    return text;
}

static void compare(const struct conv_twin *t, const float *expected,
                    const struct sac_conv_choice *choice, const char *what)
{
    char why[160];
    float *found = conv_twin_read(t);
    double most = t->conv.after ? allowed_after : allowed[t->element_size];
    if (conv_case_error(t->of, expected, found, most, why, sizeof why)) wrong(choice, what, why);
    free(found);
}

static int run_choice(struct conv_twin *t, const struct sac_conv_choice *choice, const char *what)
{
    conv_twin_ready(t, choice);
    return run_conv(choice, &t->conv, 1, check_int(0, 1), what);
}

/// Twice: the second run finds the counters as the first one left them, and must give the same.
static void check_choice(struct conv_twin *t, const struct sac_conv_choice *choice,
                         const float *expected, const char *what)
{
    if (!run_choice(t, choice, what)) return;
    float *first = conv_twin_read(t);
    compare(t, expected, choice, what);
    conv_twin_reset(t);
    if (run_conv(choice, &t->conv, 1, check_int(0, 1), what)) {
        float *second = conv_twin_read(t);
        if (memcmp(first, second, t->of->elements * sizeof *first))
            wrong(choice, what, "not the same again");
        free(second);
    }
    free(first);
}

static int was_tried(const struct sac_conv_kernel *kernel)
{
    return tally_of(kernel)->runs > 0;
}

/// About `most` of the usable choices, and every kernel that was not tried yet.
static int check_shape(const struct conv_shape *shape, int element_size, int most)
{
    struct sac_conv_choice choices[SAC__CONV_CANDIDATES];
    struct sac_conv_device device = any_device();
    struct conv_case c;
    struct conv_twin t;
    conv_case_open(&c, shape, CASE_REFERENCE);
    conv_twin_open(&t, &c, element_size);
    int count = candidates(&t.conv, &device, choices);
    int runs = 0;
    for (int k = 0; k < count; k++) {
        if (was_tried(choices[k].kernel) && check_int(1, count) > most) continue;
        check_choice(&t, &choices[k], c.reference, describe(&choices[k], shape, element_size));
        runs++;
    }
    conv_twin_close(&t);
    conv_case_close(&c);
    return runs;
}

/// Layers of any shapes in one launch.
static void check_group(void)
{
    if (!any_alone()) return;
    struct sac_conv_choice choices[SAC__CONV_CANDIDATES];
    struct sac_conv_device device = any_device();
    struct conv_case c[SAC__CONV_GROUP];
    struct conv_twin t[SAC__CONV_GROUP];
    struct sac_conv convs[SAC__CONV_GROUP];
    int wanted = check_int(2, SAC__CONV_GROUP), count = 0;
    const struct sac_conv_choice *choice = NULL;
    while (count < wanted) {
        struct conv_shape shape = conv_shape_random(scale, depth);
        conv_case_open(&c[count], &shape, CASE_REFERENCE);
        conv_twin_open(&t[count], &c[count], 2);
        int usable = choice ? 1 : candidates(&t->conv, &device, choices);
        if (!choice && usable) {
            choice = &choices[check_int(0, usable - 1)];
            wanted = choice->kernel->group < wanted ? choice->kernel->group : wanted;
        }
        if (usable && sac__conv_usable(choice->kernel, &t[count].conv, &device, choice->split)) {
            conv_twin_ready(&t[count], choice);
            convs[count] = t[count].conv;
            count++;
        } else {
            conv_twin_close(&t[count]);
            conv_case_close(&c[count]);
        }
    }
    char what[64];
    snprintf(what, sizeof what, "%d layers, %s split %d", count, choice->kernel->name,
             choice->split);
    int ran = run_conv(choice, convs, count, 1, what);
    for (int k = 0; k < count; k++) {
        if (ran) compare(&t[k], c[k].reference, choice, what);
        conv_twin_close(&t[k]);
        conv_case_close(&c[k]);
    }
}

/// The plain kernel, layer by layer.
static void run_plain(struct conv_twin *t, const char *what)
{
    struct sac_conv_choice plain = {.split = 1};
    for (int k = 0; (plain.kernel = sac__conv_kernel_at(k)); k++)
        if (!strcmp(plain.kernel->name, "plain")) break;
    CHECK(plain.kernel, "the plain kernel is not there");
    conv_twin_ready(t, &plain);
    struct sac_conv conv = t->conv;
    conv.after = NULL;
    for (int k = 0; k <= t->of->afters; k++) {
        if (k) conv = conv_twin_after(t, k - 1);
        CHECK(run_conv(&plain, &conv, 1, 0, what), "%s", sac_error_message());
    }
}

/// Full-size layers have no time for the reference: the plain kernel, which the random layers
/// check, stands in. Whether there was a kernel for it.
static int check_large(const struct conv_shape *shape)
{
    struct sac_conv_choice choices[SAC__CONV_CANDIDATES];
    struct sac_conv_device device = conv_device();
    struct conv_case c;
    struct conv_twin t;
    conv_case_open(&c, shape, CASE_DATA);
    conv_twin_open(&t, &c, 2);
    int count = sac__conv_candidates(&t.conv, &device, choices);
    float *expected = NULL;
    if (count) {
        run_plain(&t, conv_shape_text(shape));
        expected = conv_twin_read(&t);
    }
    for (int k = 0; k < count && k < LARGE; k++) {
        const char *what = describe(&choices[k], shape, 2);
        if (run_choice(&t, &choices[k], what)) compare(&t, expected, &choices[k], what);
    }
    free(expected);
    conv_twin_close(&t);
    conv_case_close(&c);
    return count > 0;
}

static int check_shapes(int part, int of)
{
    struct conv_shape shape;
    int there, checked = 0;
    for (int k = EVERY > 1 ? check_int(0, EVERY - 1) : part;; k += EVERY * of) {
        there = conv_shape_yolov5(k, check_int(0, 1) ? 1 : 3, SHRINK, &shape);
        if (there < 0) break;
        if (there) checked += check_large(&shape);
    }
    printf("%d shapes\n", checked);
    return print_tallies() > 0;
}

/// Whether a kernel can run this layer that ran none yet.
static int is_new(const struct conv_shape *shape)
{
    struct sac_conv_choice choices[SAC__CONV_CANDIDATES];
    struct sac_conv_device device = any_device();
    struct sac_conv_after after[CASE_AFTERS];
    struct sac_conv conv;
    struct conv_case c;
    int found = 0;
    conv_case_open(&c, shape, CASE_PLAN);
    conv_case_describe(&c, 2, &conv, after);
    for (int k = candidates(&conv, &device, choices) - 1; k >= 0; k--)
        found |= !was_tried(choices[k].kernel);
    conv_case_close(&c);
    return found;
}

static int any_left(void)
{
    for (int k = 0; sac__conv_kernel_at(k); k++)
        if (is_asked(sac__conv_kernel_at(k)) && !tallies[k].runs) return 1;
    return 0;
}

/// Every other layer with others after it.
static void check_layers(int cases)
{
    int runs = 0;
    for (int k = 0; k < cases; k++) {
        struct conv_shape shape = conv_shape_random_chain(scale);
        runs += check_shape(&shape, 2, tried);
        shape = conv_shape_random(scale, depth);
        runs += check_shape(&shape, 2, tried);
        if (k % 4 == 0) runs += check_shape(&shape, 4, tried);
        if (k % 4 == 1) check_group();
    }
    for (int k = 0; k < more * cases / CASES && any_left(); k++) {
        struct conv_shape shape =
            k % 2 ? conv_shape_random(scale, depth) : conv_shape_random_chain(scale);
        if (is_new(&shape)) runs += check_shape(&shape, 2, 0);
    }
    printf("%d layers and more, %d runs; not tried:", cases, runs);
    for (int k = 0; sac__conv_kernel_at(k); k++)
        if (!tallies[k].runs && is_asked(sac__conv_kernel_at(k)))
            printf(" %s,", sac__conv_kernel_at(k)->name);
    printf("\n");
}

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "--bench")) return bench_conv(argc - 2, argv + 2);
    int small = argc > 1 && !strcmp(argv[1], "--small");
    if (small) {
        scale = 100, depth = 9 * 256, tried = 4, more = 6000 * CASES;
        argc--, argv++;
    }
    int shapes = argc > 1 && !strcmp(argv[1], "--shapes");
    check_seed(argc > 1 + shapes ? argv[1 + shapes] : NULL);
    conv_case_seed(check_state);
    if (shapes) return check_shapes(argc > 4 ? atoi(argv[3]) : 0, argc > 4 ? atoi(argv[4]) : 1);
    if (argc > 3) only = argv[3];
    check_layers(argc > 2 ? atoi(argv[2]) : CASES);
    return print_tallies() > 0;
}
