// SPDX-License-Identifier: Apache-2.0
#include "output/labels.h"

static int least(int a, int b)
{
    return a < b ? a : b;
}

static int most(int a, int b)
{
    return a > b ? a : b;
}

static double overlap(struct area a, struct area b)
{
    int w = least(a.x2, b.x2) - most(a.x1, b.x1), h = least(a.y2, b.y2) - most(a.y1, b.y1);
    return w > 0 && h > 0 ? (double)w * h : 0;
}

static double size_of(struct area a)
{
    return (double)(a.x2 - a.x1) * (a.y2 - a.y1);
}

static struct area moved_into(struct area a, struct area picture)
{
    int w = a.x2 - a.x1, h = a.y2 - a.y1;
    int x = most(least(a.x1, picture.x2 - w), picture.x1);
    int y = most(least(a.y1, picture.y2 - h), picture.y1);
    return (struct area){x, y, x + w, y + h};
}

// How bad a place is: what it hides of other labels counts most, then what it hides of its own
// object; earlier places win ties.
static double cost_of(struct area plate, struct area box, int rank, const struct area *placed,
                      size_t count)
{
    double hidden = 0;
    for (size_t i = 0; i < count; i++)
        hidden += overlap(plate, placed[i]);
    double inside = overlap(plate, box);
    return 4 * hidden / size_of(plate) + inside / size_of(box) + 0.2 * inside / size_of(plate) +
           0.02 * rank;
}

struct area label_place(struct area box, int width, int height, struct area picture,
                        const struct area *placed, size_t count)
{
    // Top-left corners of the plate, the best place first: above, inside, below; then at the right.
    const int left = box.x1, right = box.x2 - width;
    const int places[][2] = {
        {left, box.y1 - height}, {left, box.y1},  {left, box.y2},          {right, box.y1 - height},
        {right, box.y2},         {right, box.y1}, {left, box.y2 - height}, {right, box.y2 - height},
    };
    struct area best = {0, 0, width, height};
    double best_cost = -1;
    for (int i = 0; i < (int)(sizeof places / sizeof *places); i++) {
        const int x = places[i][0], y = places[i][1];
        struct area plate = moved_into((struct area){x, y, x + width, y + height}, picture);
        double cost = cost_of(plate, box, i, placed, count);
        if (best_cost >= 0 && cost >= best_cost) continue;
        best = plate;
        best_cost = cost;
    }
    return best;
}
