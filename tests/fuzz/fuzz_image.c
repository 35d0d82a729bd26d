// SPDX-License-Identifier: Apache-2.0
// Picture bytes: whatever they are, an error with a message or pixels within the limit.
#include <stdlib.h>
#include <string.h>

#include "saccade/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const sac_image_options options = {.max_pixels = 1 << 16};
    sac_image image;
    const int error = sac_image_read(&image, data, size, &options);
    if (error) {
        static const sac_image none;
        if (memcmp(&image, &none, sizeof image) || sac_error_message()[0] == '\0') abort();
        return 0;
    }
    if (image.width < 1 || image.height < 1 || image.format != SAC_BGR8 ||
        (uint64_t)image.width * (uint64_t)image.height > options.max_pixels)
        abort();
    unsigned sum = 0; // memory checkers see each byte used
    for (int y = 0; y < image.height; y++)
        for (int x = 0; x < image.width * 3; x++)
            sum += image.data[y * image.stride + x];
    volatile unsigned used = sum;
    (void)used;
    sac_image_release(&image);
    return 0;
}
