// SPDX-License-Identifier: Apache-2.0
// What the processor is and which arithmetic it has of its own.
#if defined(__linux__)
#define _GNU_SOURCE // sched_getaffinity, CPU_COUNT
#include <sched.h>
#endif
#include "openvino.h"
#include "quota.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#if defined(__x86_64__)
// Bits of CPUID leaf 7 (Intel SDM volume 2A, CPUID): sub-leaf 0 EDX, sub-leaf 1 EAX.
enum { AVX512_FP16 = 1 << 23, AMX_BF16 = 1 << 22, AVX512_BF16 = 1 << 5, AMX_FP16 = 1 << 21 };

static void ask_instructions(struct openvino_processor *processor)
{
    unsigned model = 0, a = 0, b = 0, c = 0, d = 0, a1 = 0, unused;
    __get_cpuid(1, &model, &unused, &unused, &unused);
    __get_cpuid_count(7, 0, &a, &b, &c, &d);
    if (a >= 1)
        __get_cpuid_count(7, 1, &a1, &unused, &unused, &unused);
    snprintf(processor->isa, sizeof processor->isa, "%x-%x-%x-%x-%x", model, b, c, d, a1);
    processor->bf16 = (a1 & AVX512_BF16) || (d & AMX_BF16);
    processor->fp16 = (d & AVX512_FP16) || (a1 & AMX_FP16);
}
#elif defined(__aarch64__)
static void ask_instructions(struct openvino_processor *processor)
{
    // OpenVINO lists a type here only where the processor computes in it.
    processor->bf16 = processor->fp16 = 1;
}
#else
static void ask_instructions(struct openvino_processor *processor)
{
    (void)processor;
}
#endif

static int count_allowed(void)
{
#if defined(__linux__)
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        return CPU_COUNT(&set);
#endif
    const long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (int)online : 1;
}

static int count_processors(void)
{
    const int allowed = count_allowed();
    const int quota = sac__openvino_quota("/sys/fs/cgroup", "/proc/self/cgroup");
    return quota > 0 && quota < allowed ? quota : allowed;
}

static int ask(char *text_out, size_t size, const ov_core_t *core, const char *key)
{
    char *value = NULL;
    const ov_status_e status = ov_core_get_property(core, "CPU", key, &value);
    if (status != OK)
        return sac__openvino_fail(SAC_EDEVICE, status, "OpenVINO's CPU plugin");
    snprintf(text_out, size, "%s", value);
    ov_free(value);
    for (size_t n = strlen(text_out); n > 0 && text_out[n - 1] == ' '; n--)
        text_out[n - 1] = 0;
    return 0;
}

static int has_word(const char *list, const char *word)
{
    const size_t length = strlen(word);
    for (const char *at = list; (at = strstr(at, word)); at += length)
        if ((at == list || at[-1] == ' ') && (at[length] == ' ' || at[length] == 0))
            return 1;
    return 0;
}

int sac__openvino_processor(struct openvino_processor *processor_out, const ov_core_t *core)
{
    struct openvino_processor *p = processor_out;
    *p = (struct openvino_processor){.threads = count_processors()};
    p->limited = p->threads < count_allowed();
    int error = ask(p->name, sizeof p->name, core, ov_property_key_device_full_name);
    if (!error)
        error = ask(p->capabilities, sizeof p->capabilities, core,
                    ov_property_key_device_capabilities);
    if (error)
        return error;
    // OpenVINO may list a type that it emulates, and a processor may have one that it does not use.
    ask_instructions(p);
    p->bf16 = p->bf16 && has_word(p->capabilities, "BF16");
    p->fp16 = p->fp16 && has_word(p->capabilities, "FP16");
    return 0;
}

const char *sac__openvino_precision_name(sac_precision precision)
{
    return precision == SAC_PRECISION_BF16   ? "bf16"
           : precision == SAC_PRECISION_FP16 ? "fp16"
                                             : "fp32";
}

int sac__openvino_precision(sac_precision *chosen_out, sac_precision asked,
                            const struct openvino_processor *processor)
{
    *chosen_out = asked;
    if (asked == SAC_PRECISION_AUTO)
        *chosen_out = processor->bf16 ? SAC_PRECISION_BF16 : SAC_PRECISION_FP32;
    else if ((asked == SAC_PRECISION_BF16 && !processor->bf16) ||
             (asked == SAC_PRECISION_FP16 && !processor->fp16))
        return FAIL(SAC_EUNSUPPORTED,
                    "precision %s: %s has no native %s arithmetic; precision auto or fp32 would do",
                    sac__openvino_precision_name(asked), processor->name,
                    sac__openvino_precision_name(asked));
    return 0;
}

void sac__openvino_version(char *text_out, size_t size)
{
    ov_version_t version = {0};
    snprintf(text_out, size, "unknown");
    if (ov_get_openvino_version(&version) == OK && version.buildNumber)
        snprintf(text_out, size, "%s", version.buildNumber);
    ov_version_free(&version);
}
