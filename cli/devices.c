// SPDX-License-Identifier: Apache-2.0
// saccade devices: what models can run on, and what is missing.
#include <stdio.h>
#include <stdlib.h>

#include "exit.h"
#include "message.h"
#include "print.h"
#include "verbs.h"

enum { MOST = 64 };

static int print_devices_json(const sac_device *devices, size_t count)
{
    json_t *array = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(
            array, json_pack("{s:s, s:s, s:b, s:o, s:o}", "device", devices[i].device, "backend",
                             devices[i].backend, "available", devices[i].available, "name",
                             json_text(devices[i].name), "details", json_text(devices[i].details)));
    return print_json(json_pack("{s:i, s:o}", "schema", 1, "devices", array));
}

static void print_devices(const sac_device *devices, size_t count)
{
    struct table table = {.columns = 5};
    table_row(&table, (const char *[]){"device", "backend", "", "name", "details"});
    for (size_t i = 0; i < count; i++)
        table_row(&table, (const char *[]){devices[i].device, devices[i].backend,
                                           devices[i].available ? "ready" : "missing",
                                           devices[i].name, devices[i].details});
    table_print(&table, stdout);
}

int devices_run(const struct options *options)
{
    static sac_device devices[MOST];
    size_t count = 0;
    if (options->operands.count)
        return usage_fail(verb_find("devices"), "devices takes no operand");
    if (sac_devices_list(devices, MOST, &count)) {
        message_print("%s", sac_error_message());
        return CLI_DEVICE;
    }
    if (count > MOST) count = MOST;
    if (options->as_json) return print_devices_json(devices, count);
    print_devices(devices, count);
    return CLI_DONE;
}
