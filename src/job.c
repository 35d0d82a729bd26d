// SPDX-License-Identifier: Apache-2.0
// Slots and who holds them: a call of sac_detector_run for as long as it lasts, a job until it is
// closed.
#include "detector.h"

#include <string.h>

#include "engine.h"
#include "error.h"

int sac__slot_take(sac_job **slot_out, sac_detector *detector, int for_job)
{
    pthread_mutex_lock(&detector->lock);
    while (!detector->free_slots && detector->jobs < detector->slot_count)
        pthread_cond_wait(&detector->freed, &detector->lock);
    sac_job *slot = detector->free_slots;
    if (slot) detector->free_slots = slot->next;
    detector->jobs += slot && for_job;
    // Who waits for a slot must learn that jobs hold all of them now.
    if (for_job && detector->jobs == detector->slot_count) pthread_cond_broadcast(&detector->freed);
    pthread_mutex_unlock(&detector->lock);
    *slot_out = slot;
    if (slot) return 0;
    return sac__fail(SAC_EBUSY, "%d jobs are on their way: wait for one and close it, or open the "
                                "detector with more contexts", detector->slot_count);
}

void sac__slot_give(sac_job *slot, int for_job)
{
    sac_detector *detector = slot->detector;
    pthread_mutex_lock(&detector->lock);
    slot->next = detector->free_slots;
    detector->free_slots = slot;
    detector->jobs -= for_job;
    pthread_cond_signal(&detector->freed);
    pthread_mutex_unlock(&detector->lock);
}

int sac_detector_enqueue(sac_job **job_out, sac_detector *detector, const sac_image *images,
                         size_t count, void *stream)
{
    if (!job_out) return sac__fail(SAC_EINVAL, "job_out is NULL");
    *job_out = NULL;
    if (!detector || !images) return sac__fail(SAC_EINVAL, "detector or images is NULL");
    if (count < 1 || count > (size_t)detector->batch)
        return sac__fail(SAC_EINVAL, "a job of %zu pictures: this detector takes 1 to %d", count,
                         detector->batch);
    sac_job *job = NULL;
    int error = sac__slot_take(&job, detector, 1);
    if (error) return error;
    job->images = images;
    job->count = count;
    error = sac__slot_start(job, images, count, stream);
    if (error) sac__slot_give(job, 1);
    else *job_out = job;
    return error;
}

int sac_job_done(sac_job *job)
{
    if (!job) return sac__fail(SAC_EINVAL, "job is NULL");
    if (!job->running) return 1;
    if (job->frame) return job->detector->engine->backend->frame_done(job->frame);
    return sac_context_done(job->context);
}

int sac_job_wait(sac_job *job, sac_detections *detections_out)
{
    if (!job || !detections_out) return sac__fail(SAC_EINVAL, "job or detections_out is NULL");
    memset(detections_out, 0, job->count * sizeof *detections_out);
    if (!job->running) return sac__fail(SAC_EINVAL, "the job's boxes have been given already");
    int error = sac__slot_finish(job, detections_out);
    if (error)
        for (size_t i = 0; i < job->count; i++) sac_detections_free(&detections_out[i]);
    return error;
}

// Leaves the slot ready for the next run, whatever became of this one.
static void drain(sac_job *job)
{
    if (!job->running) return;
    if (job->frame) job->detector->engine->backend->frame_wait(job->frame, NULL, NULL);
    else sac_context_wait(job->context);
    job->running = 0;
}

void sac_job_close(sac_job **job)
{
    if (!job || !*job) return;
    drain(*job);
    sac__slot_give(*job, 1);
    *job = NULL;
}
