// SPDX-License-Identifier: Apache-2.0
// The plugin's one exported symbol, and the table behind it.
#include "openvino.h"

#include <stdio.h>

const struct sac_host *sac__openvino_host;

static const struct sac_backend backend = {
    .abi = SAC_BACKEND_ABI,
    .name = "openvino",
    .memory = SAC_HOST,
    .devices = sac__openvino_devices,
    .open = sac__openvino_open,
    .close = sac__openvino_close,
    .context_open = sac__openvino_context_open,
    .context_close = sac__openvino_context_close,
    .bind = sac__openvino_bind,
    .enqueue = sac__openvino_enqueue,
    .wait = sac__openvino_wait,
    .tensor = sac__openvino_tensor,
    .context_done = sac__openvino_done,
};

// The name carries the version of this handshake; the ABI inside covers the structures.
#if defined(__GNUC__)
__attribute__((visibility("default")))
#endif
const struct sac_backend *
sac_backend_entry_v1(const struct sac_host *host);

const struct sac_backend *sac_backend_entry_v1(const struct sac_host *host)
{
    if (host->abi != SAC_BACKEND_ABI) {
        host->fail(SAC_EDEVICE, "the openvino plugin speaks version %d, the library %u",
                   SAC_BACKEND_ABI, (unsigned)host->abi);
        return NULL;
    }
    sac__openvino_host = host;
    return &backend;
}

static void describe(sac_device *device, const struct openvino_processor *processor)
{
    char version[128];
    sac__openvino_version(version, sizeof version);
    for (char *c = version; *c; c++) // the number alone, without the build
        if (*c == '-')
            *c = 0;
    device->available = 1;
    snprintf(device->name, sizeof device->name, "%s", processor->name);
    snprintf(device->details, sizeof device->details, "OpenVINO %s, fp32%s%s, %d thread%s", version,
             processor->bf16 ? " bf16" : "", processor->fp16 ? " fp16" : "", processor->threads,
             processor->threads == 1 ? "" : "s");
}

size_t sac__openvino_devices(sac_device *devices_out, size_t capacity)
{
    if (capacity == 0)
        return 1;
    sac_device *device = devices_out;
    *device = (sac_device){.device = "cpu", .backend = "openvino"};
    ov_core_t *core = NULL;
    struct openvino_processor processor;
    const ov_status_e status = ov_core_create(&core);
    if (status != OK)
        sac__openvino_message(device->details, sizeof device->details, status);
    else if (sac__openvino_processor(&processor, core) == 0)
        describe(device, &processor);
    else
        snprintf(device->details, sizeof device->details, "OpenVINO's CPU plugin does not load");
    ov_core_free(core);
    return 1;
}
