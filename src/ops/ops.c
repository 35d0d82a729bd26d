// SPDX-License-Identifier: Apache-2.0
// The sets of kernels, and the public functions that bring their own scratch memory.
#include <string.h>

#include "c/c.h"
#include "error.h"
#if defined(SACCADE_X86)
#include <cpuid.h>

#include "x86/x86.h"
#endif

static int always(void)
{
    return 1;
}

static const struct sac_ops ops_c = {"c", always, sac__letterbox_c, sac__head_c, sac__maps_c,
                                    sac__nms_c};

#if defined(SACCADE_X86)
/// Not by __builtin_cpu_supports: clang 14 does not know the name.
static int has_f16c(void)
{
    unsigned a, b, c = 0, d;
    return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
}

static int has_avx2(void)
{
    return __builtin_cpu_supports("avx2") && has_f16c();
}

static int has_avx512(void)
{
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vbmi");
}

static const struct sac_ops ops_avx2 = {"avx2", has_avx2, sac__letterbox_avx2, sac__head_avx2,
                                        sac__maps_avx2, sac__nms_avx2};
static const struct sac_ops ops_avx512 = {"avx512", has_avx512, sac__letterbox_avx512,
                                          sac__head_avx2, sac__maps_avx2, sac__nms_avx2};
#endif

// Fastest first.
static const struct sac_ops *const sets[] = {
#if defined(SACCADE_X86)
    &ops_avx512,
    &ops_avx2,
#endif
    &ops_c,
};

const struct sac_ops *sac__ops_find(const char *name)
{
    const int automatic = !name || strcmp(name, "auto") == 0;
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        if ((automatic || strcmp(name, sets[i]->name) == 0) && sets[i]->usable()) return sets[i];
    }
    return NULL;
}

const char *sac__ops_name(const struct sac_ops *ops)
{
    return ops->name;
}

const char *sac_head_name(sac_head_family family)
{
#define NAME(name, value, text) text,
    static const char *const names[] = {SAC_HEADS(NAME)};
#undef NAME
    return (unsigned)family < SAC_HEAD_COUNT ? names[family] : "unknown";
}

int sac_letterbox_apply(sac_tensor *input_out, int64_t index, const sac_image *image,
                        const sac_letterbox *letterbox, const sac_pixels *pixels)
{
    sac_workspace *workspace;
    int error = sac__workspace_open(&workspace);
    if (error) return error;
    error = sac__ops_letterbox(sac__ops_find("auto"), workspace, input_out, index, image,
                               letterbox, pixels);
    sac__workspace_close(&workspace);
    return error;
}

int sac_head_read(sac_detections *detections_out, const sac_tensor *output, int64_t index,
                  const sac_head *head, const sac_letterbox *letterbox, const sac_nms *nms)
{
    if (!detections_out) return sac__fail(SAC_EINVAL, "detections_out is NULL");
    *detections_out = (sac_detections){0};
    sac_workspace *workspace;
    int error = sac__workspace_open(&workspace);
    if (error) return error;
    error = sac__ops_boxes(sac__ops_find("auto"), workspace, detections_out, output, index, head,
                           letterbox, nms);
    sac__workspace_close(&workspace);
    return error;
}
