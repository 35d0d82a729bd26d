// SPDX-License-Identifier: Apache-2.0
// Stacked bars under a heading: what the charts of bench are drawn with.
#ifndef SAC_CLI_BENCH_CHART_H
#define SAC_CLI_BENCH_CHART_H

#include <stdint.h>

enum { CHART_PARTS = 8, CHART_BARS = 32 };

/// A part of all bars, by its place.
struct chart_part {
    const char *name;
    uint32_t color; ///< 0xrrggbb
};

struct chart_bar {
    char name[48];
    double parts[CHART_PARTS]; ///< lengths, all in one unit
    char total[64], detail[96]; ///< beside the bar, above and below
};

struct chart {
    const char *title, *lines[2]; ///< heading
    struct chart_part parts[CHART_PARTS];
    int part_count, legend_count; ///< the legend shows the first of them
    struct chart_bar bars[CHART_BARS];
    int bar_count;
};

// Okabe and Ito's colours, which the colour-blind tell apart.
enum {
    CHART_SKY = 0x56b4e9,
    CHART_GREEN = 0x009e73,
    CHART_BLUE = 0x0072b2,
    CHART_ORANGE = 0xe69f00,
    CHART_RED = 0xd55e00
};

/// Draws to a file whose name ends in .svg or .png. Returns 0, or -1 after message_set.
int chart_draw(const struct chart *chart, const char *path);

#endif
