#include "image.h"

struct vic_image *vic_image_ref(struct vic_image *image)
{
    atomic_fetch_add(&image->refs, 1);
    return image;
}

void vic_image_unref(struct vic_image *image)
{
    if (image && atomic_fetch_sub(&image->refs, 1) == 1)
        image->free(image);
}
