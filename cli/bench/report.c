// SPDX-License-Identifier: Apache-2.0
#include "bench/report.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "output/values.h"
#include "print.h"

const char *bench_stage_key(enum bench_stage stage)
{
#define KEY(id, key, title) key,
    static const char *const keys[] = {BENCH_STAGES(KEY)};
#undef KEY
    return keys[stage];
}

const char *bench_stage_title(enum bench_stage stage)
{
#define TITLE(id, key, title) title,
    static const char *const titles[] = {BENCH_STAGES(TITLE)};
#undef TITLE
    return titles[stage];
}

void bench_processor(char *name_out, size_t size)
{
    struct utsname system;
    char line[512];
    snprintf(name_out, size, "%s", uname(&system) ? "unknown" : system.machine);
    FILE *file = fopen("/proc/cpuinfo", "r");
    while (file && fgets(line, sizeof line, file)) {
        char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) || !colon) continue;
        snprintf(name_out, size, "%.*s", (int)strcspn(colon + 2, "\n"), colon + 2);
        break;
    }
    if (file) fclose(file);
}

const char *bench_precision(const struct bench_report *report)
{
    static const char *const names[] = {"auto", "fp32", "bf16", "fp16"};
    unsigned precision = (unsigned)sac_engine_precision(report->engine);
    return precision < sizeof names / sizeof *names ? names[precision] : "unknown";
}

void bench_describe_pictures(const struct bench_report *report, char *text, size_t size)
{
    const struct bench_pictures *pictures = report->pictures;
    const struct bench_picture *least = &pictures->items[0], *most = least;
    for (size_t i = 0; i < pictures->count; i++) {
        const struct bench_picture *p = &pictures->items[i];
        if ((int64_t)p->width * p->height < (int64_t)least->width * least->height) least = p;
        if ((int64_t)p->width * p->height > (int64_t)most->width * most->height) most = p;
    }
    int used = snprintf(text, size, "%zu %s, %d\u00d7%d", pictures->count,
                        pictures->generated ? "generated" : "files", least->width, least->height);
    if (least != most && used > 0 && (size_t)used < size)
        snprintf(text + used, size - (size_t)used, " to %d\u00d7%d", most->width, most->height);
}

// --- table

void bench_print_heading(const struct bench_report *report)
{
    char pictures[128];
    bench_describe_pictures(report, pictures, sizeof pictures);
    printf("saccade    %s\nmodel      ", sac_version());
    print_clean(stdout, report->model_path);
    printf(": %s, %d\u00d7%d, batch %d, %d classes\nhash       %s (XXH3-128)\n",
           sac_head_name(report->model->head.family), report->input_width, report->input_height,
           report->batch, (int)report->model->head.classes, report->model->hash);
    printf("engine     %s: %s\n", sac_engine_backend(report->engine),
           sac_engine_where(report->engine));
    if (report->reads_maps)
        printf("network    without its decode tail: boxes are read from raw maps (--keep-head)\n");
    printf("machine    %s, %d core%s\npictures   %s", report->processor, report->cores,
           report->cores == 1 ? "" : "s", pictures);
    if (report->result && report->result->has_latency)
        printf("; %.3g boxes a picture", report->result->boxes);
    printf("\n\n");
}

static void print_number(char *text, size_t size, double value)
{
    if (value > 0)
        snprintf(text, size, value < 9.995 ? "%.2f" : "%.1f", value);
    else
        snprintf(text, size, "%s", "");
}

static void add_row(struct table *table, const struct bench_result *result, enum bench_stage stage)
{
    enum { NUMBERS = 5 };
    const struct bench_latency *ms = &result->latency[stage];
    const double values[NUMBERS] = {ms->mean, ms->p50, ms->p90, ms->p99, result->rate[stage]};
    char texts[NUMBERS][24];
    const char *cells[NUMBERS + 1] = {bench_stage_title(stage)};
    for (int i = 0; i < NUMBERS; i++) {
        print_number(texts[i], sizeof texts[i], values[i]);
        cells[i + 1] = texts[i];
    }
    table_row(table, cells);
}

void bench_print_table(const struct bench_report *report)
{
    const struct bench_result *result = report->result;
    struct table table = {.columns = 6, .right = 0x3e};
    bench_print_heading(report);
    table_row(&table, (const char *[]){"", "mean ms", "p50", "p90", "p99", "pictures/s"});
    for (int i = 0; i < BENCH_STAGE_COUNT; i++)
        if (result->latency[i].count || result->rate[i] > 0) add_row(&table, result, i);
    table_print(&table, stdout);
    if (result->has_latency) printf("\nms: a picture, one after another");
    if (result->has_rate)
        printf("%spictures/s: each stage by itself on %d thread%s\n",
               result->has_latency ? "; " : "\n", result->workers, result->workers == 1 ? "" : "s");
    else
        printf("\n");
}

// --- JSON

json_t *bench_latency_json(const struct bench_latency *ms)
{
    return json_pack("{s:f, s:f, s:f, s:f, s:f, s:I}", "mean", rounded_to(ms->mean, 4), "p50",
                     rounded_to(ms->p50, 4), "p90", rounded_to(ms->p90, 4), "p99",
                     rounded_to(ms->p99, 4), "min", rounded_to(ms->least, 4), "count",
                     (json_int_t)ms->count);
}

static json_t *latencies_json(const struct bench_result *result)
{
    json_t *object = json_object();
    for (int i = 0; i < BENCH_STAGE_COUNT; i++)
        if (result->latency[i].count)
            json_object_set_new(object, bench_stage_key(i),
                                bench_latency_json(&result->latency[i]));
    return object;
}

static json_t *rates_json(const struct bench_result *result)
{
    json_t *object = json_object();
    for (int i = 0; i < BENCH_STAGE_COUNT; i++)
        if (result->rate[i] > 0)
            json_object_set_new(object, bench_stage_key(i),
                                json_real(rounded_to(result->rate[i], 3)));
    return object;
}

static json_t *model_json(const struct bench_report *report)
{
    return json_pack("{s:o, s:s, s:s, s:i, s:i, s:i, s:i, s:b}", "path",
                     json_text(report->model_path), "hash", report->model->hash, "head",
                     sac_head_name(report->model->head.family), "classes",
                     (int)report->model->head.classes, "width", report->input_width, "height",
                     report->input_height, "batch", report->batch, "raw_maps", report->reads_maps);
}

static json_t *pictures_json(const struct bench_report *report)
{
    const struct bench_pictures *pictures = report->pictures;
    json_t *sizes = json_array();
    for (size_t i = 0; i < pictures->count; i++)
        json_array_append_new(sizes, json_pack("[i,i]", pictures->items[i].width,
                                               pictures->items[i].height));
    return json_pack("{s:b, s:I, s:o}", "generated", pictures->generated, "count",
                     (json_int_t)pictures->count, "sizes", sizes);
}

json_t *bench_report_json(const struct bench_report *report)
{
    return json_pack(
        "{s:i, s:s, s:{s:o, s:i}, s:{s:s, s:o, s:s}, s:o, s:o}", "schema", 1, "saccade",
        sac_version(), "machine", "processor", json_text(report->processor), "cores",
        report->cores, "engine", "name", sac_engine_backend(report->engine), "where",
        json_text(sac_engine_where(report->engine)), "precision", bench_precision(report), "model",
        model_json(report), "pictures", pictures_json(report));
}

int bench_print_json(const struct bench_report *report)
{
    const struct bench_result *result = report->result;
    json_t *object = bench_report_json(report);
    if (object && result->has_latency) {
        json_object_set_new(object, "boxes_a_picture", json_real(rounded_to(result->boxes, 3)));
        json_object_set_new(object, "latency_ms", latencies_json(result));
    }
    if (object && result->has_rate) {
        json_object_set_new(object, "threads", json_integer(result->workers));
        json_object_set_new(object, "pictures_per_second", rates_json(result));
    }
    return print_json(object);
}
