// SPDX-License-Identifier: Apache-2.0
// OpenVINO's exception texts, cut down to what a user can act on.
#include "openvino.h"

#include <stdio.h>
#include <string.h>

int sac__openvino_fail(int error, ov_status_e status, const char *what)
{
    char reason[512];
    sac__openvino_message(reason, sizeof reason, status);
    if (strstr(reason, "bad_alloc"))
        return FAIL(SAC_ENOMEM, "%s: out of memory", what);
    return FAIL(error, "%s: %s", what, reason);
}

void sac__openvino_message(char *line_out, size_t size, ov_status_e status)
{
    const char *text = ov_get_last_err_msg();
    snprintf(line_out, size, "%s", text && *text ? text : ov_get_error_info(status));
}
