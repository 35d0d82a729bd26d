// SPDX-License-Identifier: Apache-2.0
#include "output/palette.h"

#include <math.h>

static const double pi = 3.14159265358979323846;

static double srgb_of_linear(double v)
{
    return v <= 0.0031308 ? 12.92 * v : 1.055 * pow(v, 1 / 2.4) - 0.055;
}

static double linear_of_srgb(double v)
{
    return v <= 0.04045 ? v / 12.92 : pow((v + 0.055) / 1.055, 2.4);
}

// OKLCH to linear sRGB, which may lie outside 0–1. Matrices: Björn Ottosson, "A perceptual color
// space for image processing", 2020 (public domain).
static struct rgb linear_of_oklch(double light, double chroma, double hue)
{
    double a = chroma * cos(hue), b = chroma * sin(hue);
    double l = pow(light + 0.3963377774 * a + 0.2158037573 * b, 3);
    double m = pow(light - 0.1055613458 * a - 0.0638541728 * b, 3);
    double s = pow(light - 0.0894841775 * a - 1.2914855480 * b, 3);
    return (struct rgb){4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
                        -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
                        -0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s};
}

static int in_gamut(struct rgb c)
{
    return fmin(c.r, fmin(c.g, c.b)) >= 0 && fmax(c.r, fmax(c.g, c.b)) <= 1;
}

// The golden angle keeps any number of hues apart; lightness in three steps parts those that come
// near one another again.
struct rgb palette_color(int32_t class_id)
{
    static const double lights[] = {0.72, 0.60, 0.82};
    uint32_t id = (uint32_t)class_id;
    double hue = fmod(145 + id * 137.50776405, 360) * pi / 180, light = lights[id % 3];
    double chroma = 0.23;
    struct rgb color = linear_of_oklch(light, chroma, hue);
    while (chroma > 0 && !in_gamut(color)) {
        chroma -= 0.005;
        color = linear_of_oklch(light, chroma, hue);
    }
    return (struct rgb){srgb_of_linear(color.r), srgb_of_linear(color.g), srgb_of_linear(color.b)};
}

// WCAG 2's ratio would put black on saturated blues and greens, where white reads better; below
// this luminance white still has a ratio of 3, which is what it asks of bold letters.
struct rgb palette_text_on(struct rgb background)
{
    double luminance = 0.2126 * linear_of_srgb(background.r) +
                       0.7152 * linear_of_srgb(background.g) +
                       0.0722 * linear_of_srgb(background.b);
    return luminance < 0.3 ? (struct rgb){1, 1, 1} : (struct rgb){0, 0, 0};
}
