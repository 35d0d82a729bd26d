// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE // sched_getaffinity
#include "setup.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "exit.h"
#include "message.h"
#include "verbs.h"

int setup_cores(void)
{
#ifdef CPU_COUNT
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0) return CPU_COUNT(&set);
#endif
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (int)online : 1;
}

static void log_line(void *user, const char *line)
{
    (void)user;
    message_print("%s", line);
}

static void set_engine(sac_engine_options *engine, const struct options *options, sac_mode mode)
{
    engine->device = options->device;
    engine->backend = options->backend;
    engine->precision = (sac_precision)options->precision;
    engine->mode = mode;
    engine->threads = options->threads;
    engine->streams = options->streams;
    engine->cache_dir = options->no_cache ? "" : options->cache_dir;
    engine->log = options->quiet ? NULL : log_line;
}

void setup_options(sac_detector_options *options_out, const struct options *options, sac_mode mode)
{
    static const char *const ops[] = {"auto", "c"};
    static const sac_fit fits[] = {SAC_FIT_PAD, SAC_FIT_AUTO, SAC_FIT_STRETCH};
    static const sac_compat compats[] = {SAC_COMPAT_EXACT, SAC_COMPAT_YOLOV5};
    sac_detector_options_init(options_out);
    set_engine(&options_out->engine, options, mode);
    options_out->nms.conf = (float)options->conf;
    options_out->nms.iou = (float)options->iou;
    options_out->nms.max_det = options->max_det;
    options_out->nms.agnostic = options->agnostic;
    options_out->nms.multi_label = options->multi_label;
    options_out->nms.compat = compats[options->compat];
    if (options->layout)
        options_out->layout = sac_head_name((sac_head_family)(options->layout - 1));
    options_out->input_width = options->imgsz[0];
    options_out->input_height = options->imgsz[1];
    options_out->batch = options->batch;
    options_out->letterbox.fit = fits[options->letterbox];
    options_out->letterbox.no_upscale = options->no_upscale;
    options_out->pad = options->pad;
    options_out->ops = ops[options->ops];
    options_out->keep_head = options->keep_head;
    options_out->feed = (sac_feed)options->feed;
    options_out->time_stages = 1; // as told with each picture
}

// --- classes

static void list_names(const sac_model_info *info, char *text, size_t size)
{
    size_t used = 0;
    text[0] = 0;
    for (int i = 0; i < info->head.classes; i++) {
        int n = snprintf(text + used, size - used, "%s%s", i ? ", " : "", info->names[i]);
        if (n < 0 || (size_t)n >= size - used - 8) {
            snprintf(text + used, size - used, ", …");
            return;
        }
        used += (size_t)n;
    }
}

// A name, or else a number.
static int find_class(const sac_model_info *info, const char *word, int32_t *class_out)
{
    for (int i = 0; i < info->head.classes; i++) {
        if (strcmp(info->names[i], word)) continue;
        *class_out = i;
        return 0;
    }
    char names[512];
    char *end;
    errno = 0;
    long number = strtol(word, &end, 10);
    if (end != word && !*end && errno == 0) {
        *class_out = (int32_t)number;
        if (number >= 0 && number < info->head.classes) return 0;
        return message_set("--classes: no class %ld; the model has 0 to %d", number,
                           info->head.classes - 1);
    }
    list_names(info, names, sizeof names);
    return message_set("--classes: no class named '%s'; the model has: %s", word, names);
}

static int find_classes(const sac_model_info *info, char *words, int32_t *classes, size_t *count)
{
    *count = 0;
    for (char *word = words; word;) {
        char *comma = strchr(word, ',');
        if (comma) *comma++ = 0;
        word += strspn(word, " ");
        for (size_t n = strlen(word); n && word[n - 1] == ' '; n--)
            word[n - 1] = 0;
        if (find_class(info, word, &classes[(*count)++])) return -1;
        word = comma;
    }
    return 0;
}

// The class filter, once the model's names are known: 0, or -1 after message_set.
static int set_classes(sac_detector *detector, const char *list, sac_nms *nms)
{
    if (!list) return 0;
    char *words = strdup(list);
    int32_t *classes = calloc(strlen(list) + 1, sizeof *classes);
    int failed = words && classes ? 0 : message_set("out of memory");
    if (!failed)
        failed = find_classes(sac_detector_info(detector), words, classes, &nms->class_count);
    nms->classes = classes;
    if (!failed && sac_detector_set_nms(detector, nms))
        failed = message_set("--classes: %s", sac_error_message());
    free(classes);
    free(words);
    return failed;
}

int setup_detector(sac_detector **detector_out, const char *model, const struct options *options,
                   sac_mode mode)
{
    sac_detector_options detector;
    setup_options(&detector, options, mode);
    int error = sac_detector_open(detector_out, model, &detector);
    if (error) return open_fail(error);
    if (!set_classes(*detector_out, options->classes, &detector.nms)) return 0;
    sac_detector_close(detector_out);
    return usage_fail(verb_find("detect"), message_last());
}
