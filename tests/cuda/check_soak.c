// SPDX-License-Identifier: Apache-2.0
// Many frames through one detector, several on their way at once: memory of the process and of the
// device stay what they were, and so do the boxes.
//   check_soak FOLDER [FRAMES [boxes]]
// FOLDER: of the tiny models; boxes: memory is not judged, for tools that have memory of their own.
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "check/check.h"
#include "engine_case.h"

enum { JOBS = 4 };
// A page here and there is the allocator's own affair.
static const double most_growth = 4 << 20;
static int boxes_only;

/// AddressSanitizer asks for this: freed memory is not kept, or it would look lost.
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "quarantine_size_mb=0:thread_local_quarantine_size_kb=0";
}

/// Bytes of the process in memory, and bytes that the device has left.
struct memory {
    double resident, unused;
};

static struct memory look(void)
{
    struct memory memory;
    size_t unused, total;
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file && fscanf(file, "%*s %ld", &pages) == 1, "/proc/self/statm cannot be read");
    fclose(file);
    CHECK(cudaMemGetInfo(&unused, &total) == cudaSuccess, "no memory information");
    memory.resident = (double)pages * (double)sysconf(_SC_PAGESIZE);
    memory.unused = (double)unused;
    return memory;
}

static void end_job(sac_job **job, const sac_detections *wanted)
{
    sac_detections found;
    if (!*job) return;
    CHECK(!sac_job_wait(*job, &found), "%s", sac_error_message());
    CHECK(found.count == wanted->count &&
              (!found.count ||
               !memcmp(found.items, wanted->items, found.count * sizeof *found.items)),
          "%zu boxes instead of %zu, or others", found.count, wanted->count);
    sac_detections_free(&found);
    sac_job_close(job);
}

static void soak(const char *path, sac_feed feed, long frames)
{
    sac_detector_options options = case_options(feed, SAC_PRECISION_FP16);
    sac_detections wanted[CASE_PICTURES];
    sac_job *jobs[JOBS] = {NULL};
    struct memory first = {0, 0};
    options.contexts = JOBS;
    sac_detector *detector = case_open(path, &options);
    for (int p = 0; p < CASE_PICTURES; p++)
        case_run(detector, &case_images[p], 1, &wanted[p]);
    for (long k = 0; k < frames + JOBS; k++) {
        if (k >= JOBS) end_job(&jobs[k % JOBS], &wanted[(k - JOBS) % CASE_PICTURES]);
        if (k == frames / 10) first = look(); // all is allocated
        if (k < frames)
            CHECK(!sac_detector_enqueue(&jobs[k % JOBS], detector, &case_images[k % CASE_PICTURES],
                                        1, NULL),
                  "%s", sac_error_message());
    }
    const struct memory last = look();
    const double host = last.resident - first.resident, device = first.unused - last.unused;
    printf("%s, %ld frames: the process grew by %.0f KiB, the device's memory by %.0f KiB\n",
           feed == SAC_FEED_STAGED ? "staged" : "resident", frames, host / 1024, device / 1024);
    CHECK(boxes_only || (host <= most_growth && device <= 0), "memory is lost");
    sac_detector_close(&detector);
    case_free(wanted, CASE_PICTURES);
}

int main(int argc, char **argv)
{
    const long frames = argc > 2 ? atol(argv[2]) : 400;
    boxes_only = argc > 3 && !strcmp(argv[3], "boxes");
    if (argc < 2) return 2;
    check_seed(NULL);
    case_setup(argc, argv);
    check_now("frames through the resident feed");
    soak(case_v5, SAC_FEED_RESIDENT, frames);
    check_now("frames through the staged feed");
    soak(case_v5, SAC_FEED_STAGED, frames);
    return 0;
}
