// SPDX-License-Identifier: Apache-2.0
// Every distinct convolution of yolov5 n to x at 640 and of n6 to x6 at 1280, as the plan has them,
// and those at the beginning that may run in one launch.
#include "conv_shapes.h"

struct row {
    int kernel, stride, in, outs[2], shrink; ///< channels of width 1; of the output: size / shrink
    int residual, coarse;
    int level; ///< 5: only at P5, 6: only at P6, 0: both
};

#define C3(c, shrink, level)                                                                       \
    {1, 1, c, {c / 2, c / 2}, shrink, 0, 0, level}, {1, 1, c / 2, {c / 2}, shrink, 0, 0, level},   \
        {3, 1, c / 2, {c / 2}, shrink, 1, 0, level}, {3, 1, c / 2, {c / 2}, shrink, 0, 0, level},  \
    {                                                                                              \
        1, 1, c, {c}, shrink, 0, 0, level                                                          \
    }

static const struct row rows[] = {
    {3, 1, 16, {64}, 2, 0, 0, 0}, // the stem, over 2x2 space to depth; 16 is not scaled
    {3, 2, 64, {128}, 4, 0, 0, 0},
    {3, 2, 128, {256}, 8, 0, 0, 0},
    {3, 2, 256, {512}, 16, 0, 0, 0},
    {3, 2, 512, {1024}, 32, 0, 0, 5},
    {3, 2, 512, {768}, 32, 0, 0, 6},
    {3, 2, 768, {1024}, 64, 0, 0, 6},
    C3(128, 4, 0),
    C3(256, 8, 0),
    C3(512, 16, 0),
    C3(1024, 32, 5),
    C3(768, 32, 6),
    C3(1024, 64, 6),
    {1, 1, 1024, {512}, 32, 0, 0, 5},
    {1, 1, 2048, {1024}, 32, 0, 0, 5},
    {1, 1, 512, {512}, 32, 0, 0, 5},
    {1, 1, 512, {256, 256}, 16, 0, 1, 0},
    {1, 1, 512, {256}, 16, 0, 0, 0},
    {1, 1, 256, {128, 128}, 8, 0, 1, 0},
    {3, 2, 256, {256}, 16, 0, 0, 0},
    {3, 2, 512, {512}, 32, 0, 0, 0},
    {1, 1, 256, {255}, 8, 0, 0, 0},
    {1, 1, 512, {255}, 16, 0, 0, 0},
    {1, 1, 1024, {255}, 32, 0, 0, 5},
    {1, 1, 1024, {768}, 64, 0, 0, 6},
    {1, 1, 768, {768}, 64, 0, 0, 6},
    {1, 1, 768, {384, 384}, 32, 0, 1, 6},
    {1, 1, 1024, {384, 384}, 32, 0, 0, 6},
    {1, 1, 1536, {512, 512}, 64, 0, 0, 6},
    {3, 2, 768, {768}, 64, 0, 0, 6},
    {1, 1, 768, {30}, 32, 0, 0, 6},
};

/// Those that run in one launch: the convolution before a C3 with its first two, and with the first
/// bottleneck's 1x1; those two with that; a bottleneck with the next one's 1x1; the last one with
/// the end of the C3.
struct chain {
    struct row first;
    int beside, kept; ///< kept: the first one's first part, which the second reads
    int outs[2];      ///< of the second
    int third;        ///< of one that reads outs[0], 0: none
};

static const struct chain chains[] = {
    {{3, 2, 64, {128}, 4, 0, 0, 0}, 0, 0, {64, 64}, 0},
    {{3, 2, 64, {128}, 4, 0, 0, 0}, 0, 0, {64, 64}, 64},
    {{1, 1, 128, {64, 64}, 4, 0, 0, 0}, 0, 1, {64}, 0},
    {{3, 1, 64, {64}, 4, 1, 0, 0}, 0, 1, {64}, 0},
    {{3, 1, 64, {64}, 4, 1, 0, 0}, 64, 0, {128}, 0},
    {{3, 2, 128, {256}, 8, 0, 0, 0}, 0, 0, {128, 128}, 0},
    {{3, 2, 128, {256}, 8, 0, 0, 0}, 0, 0, {128, 128}, 128},
    {{1, 1, 256, {128, 128}, 8, 0, 0, 0}, 0, 1, {128}, 0},
    {{3, 1, 128, {128}, 8, 1, 0, 0}, 0, 1, {128}, 0},
    {{3, 1, 128, {128}, 8, 1, 0, 0}, 128, 0, {256}, 0},
    {{3, 2, 256, {512}, 16, 0, 0, 0}, 0, 0, {256, 256}, 0},
    {{3, 2, 256, {512}, 16, 0, 0, 0}, 0, 0, {256, 256}, 256},
    {{1, 1, 512, {256, 256}, 16, 0, 0, 0}, 0, 1, {256}, 0},
    {{3, 1, 256, {256}, 16, 1, 0, 0}, 0, 1, {256}, 0},
    {{3, 1, 256, {256}, 16, 1, 0, 0}, 256, 0, {512}, 0},
};
enum { ROWS = sizeof rows / sizeof *rows, ALL = ROWS + sizeof chains / sizeof *chains };

static const double widths[] = {0.25, 0.5, 0.75, 1, 1.25};

static int scaled(int channels, double width)
{
    if (channels == 16 || channels == 255 || channels == 30) return (channels + 7) / 8 * 8;
    return ((int)(channels * width) + 7) / 8 * 8;
}

static struct conv_after_shape after_of(int depth, int kept, const int *outs, double width)
{
    struct conv_after_shape after = {.depth = depth, .kept = kept, .act = SAC__ACT_SILU};
    after.parts = outs[1] ? 2 : 1;
    for (int k = 0; k < after.parts; k++)
        after.outs[k] = scaled(outs[k], width);
    return after;
}

static void add_chain(struct conv_shape *s, const struct chain *chain, double width)
{
    const int third[2] = {chain->third, 0};
    s->beside = scaled(chain->beside, width);
    s->after[0] = after_of(s->outs[0], chain->kept, chain->outs, width);
    if (chain->third) s->after[1] = after_of(s->after[0].outs[0], 1, third, width);
}

int conv_shape_yolov5(int index, int batch, int shrink, struct conv_shape *shape_out)
{
    int width = index / ALL / 2, p6 = index / ALL % 2, at = index % ALL;
    if (width >= (int)(sizeof widths / sizeof *widths)) return -1;
    const struct row *row = at < ROWS ? &rows[at] : &chains[at - ROWS].first;
    if (row->level && row->level != (p6 ? 6 : 5)) return 0;
    int side = (p6 ? 1280 : 640) / row->shrink / shrink;
    if (side < 1) side = 1;
    struct conv_shape s = {.n = batch,
                           .height = side * row->stride,
                           .width = side * row->stride,
                           .channels = scaled(row->in, widths[width]),
                           .out_height = side,
                           .out_width = side,
                           .parts = row->outs[1] ? 2 : 1,
                           .kernel = {row->kernel, row->kernel},
                           .stride = {row->stride, row->stride},
                           .dilation = {1, 1},
                           .pad = {row->kernel / 2, row->kernel / 2},
                           .act = row->outs[0] % 8 ? SAC__ACT_NONE : SAC__ACT_SILU,
                           .residual = row->residual,
                           .coarse = row->coarse};
    for (int k = 0; k < s.parts; k++)
        s.outs[k] = scaled(row->outs[k], widths[width]);
    if (at >= ROWS) add_chain(&s, &chains[at - ROWS], widths[width]);
    *shape_out = s;
    return 1;
}
