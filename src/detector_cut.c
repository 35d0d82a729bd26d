// SPDX-License-Identifier: Apache-2.0
// Opens a detector whose engine stops before the decode tail. Whatever stands against that, down to
// an engine that does not take the rest, only means that the whole network is run.
#include "detector.h"

#include <string.h>

#include "engine.h"

// The head that the whole network would be read with, which must be the one that was cut off.
static int recognise(sac_detector *detector, const struct sac_cut *cut,
                     const struct sac_source *source)
{
    sac_binding bindings[2] = {{.is_input = 1, .dtype = SAC_F32, .ndim = 4}, cut->replaced};
    memcpy(bindings[0].shape, source->input_shape, sizeof bindings[0].shape);
    sac_model_info *info = &detector->info;
    size_t output;
    return !sac__head_recognise(&info->head, &output, &info->head_source, detector->model, bindings,
                                2, detector->options.layout) &&
           info->head.family == cut->maps.head.family &&
           info->head.classes == cut->maps.head.classes;
}

// Whether the engine gives the raw maps, all of one type.
static int outputs_fit(const sac_engine *engine, const struct sac_cut *cut, int64_t batch)
{
    const int count = sac__cut_outputs(cut);
    sac_dtype dtype = SAC_F32;
    if (sac_engine_binding_count(engine) != (size_t)count + 1) return 0;
    for (int i = 0; i < count; i++) {
        sac_binding binding;
        int64_t shape[4] = {batch};
        sac__cut_shape(cut, i, shape + 1);
        if (sac_engine_binding(engine, (size_t)i + 1, &binding)) return 0;
        if (i == 0) dtype = binding.dtype;
        if (binding.ndim != 4 || memcmp(binding.shape, shape, sizeof shape)) return 0;
        if (binding.dtype != dtype || (dtype != SAC_F32 && dtype != SAC_F16)) return 0;
    }
    return 1;
}

static int open_rest(sac_detector *detector, const struct sac_cut *cut,
                     const struct sac_source *source)
{
    struct sac_source rest = *source;
    rest.bytes = cut->bytes;
    rest.size = cut->size;
    rest.hash = cut->hash;
    if (sac__engine_open(&detector->engine, &rest, &detector->options.engine)) return 0;
    if (outputs_fit(detector->engine, cut, source->input_shape[0])) return 1;
    sac_engine_close(&detector->engine);
    return 0;
}

// Each picture of a batch is read alike: one is enough to learn the head from.
static int take_shape(const sac_detector *detector, const struct sac_source *source,
                      int64_t shape[4])
{
    if (detector->options.keep_head || source->input_ndim != 4) return 0;
    for (int i = 0; i < 4; i++)
        if ((shape[i] = source->input_shape[i]) < 1) return 0;
    if (detector->model->input_shape[0] < 0) shape[0] = 1;
    return 1;
}

void sac__detector_cut(sac_detector *detector, const struct sac_source *source)
{
    int64_t shape[4];
    struct sac_cut *cut = NULL;
    if (!take_shape(detector, source, shape)) return;
    if (sac__cut_open(&cut, detector->model, shape) || !cut) return;
    if (recognise(detector, cut, source) && open_rest(detector, cut, source)) {
        detector->cut = cut;
        detector->output = 1;
        detector->output_count = sac__cut_outputs(cut);
        return;
    }
    sac__cut_close(&cut);
}
