/*
 * magic: those formats that qemu and others probe for.
 */
#include "magic.h"

#include <stdbool.h>
#include <string.h>

static const struct {
    const char *name;
    size_t at;
    const char *bytes;
    size_t size;
} MAGICS[] = {
    { "qcow2", 0, "QFI\xfb", 4 },
    { "VMDK", 0, "KDMV", 4 },
    { "VMDK", 0, "COWD", 4 },
    { "VHDX", 0, "vhdxfile", 8 },
    { "VHD", 0, "conectix", 8 },
    { "VDI", 64, "\x7f\x10\xda\xbe", 4 },
    { "QED", 0, "QED\0", 4 },
    { "Parallels", 0, "WithoutFreeSpace", 16 },
    { "Parallels", 0, "WithouFreSpacExt", 16 },
    { "Bochs", 0, "Bochs Virtual HD Image", 22 },
};

/* A text descriptor of a VMDK names other files. qemu takes any text for one whose
 * first line that is no comment begins with "version=". */
static bool is_descriptor(const unsigned char *data, size_t size)
{
    const char *p = (const char *)data;
    const char *end = p + size;

    while (p < end && (*p == '#' || *p == '\n' || *p == ' ' || *p == '\r')) {
        const char *eol = *p == '#' ? memchr(p, '\n', (size_t)(end - p)) : p;

        if (!eol)
            return false;
        p = eol + 1;
    }
    return end - p >= 8 && memcmp(p, "version=", 8) == 0;
}

const char *vic_magic_name(const unsigned char *data, size_t size)
{
    size_t i;

    for (i = 0; i < sizeof(MAGICS) / sizeof(MAGICS[0]); i++)
        if (size >= MAGICS[i].at + MAGICS[i].size &&
            memcmp(data + MAGICS[i].at, MAGICS[i].bytes, MAGICS[i].size) == 0)
            return MAGICS[i].name;
    return is_descriptor(data, size) ? "VMDK" : NULL;
}

int vic_magic_refuse(const unsigned char *data, size_t size, struct vic_error *err)
{
    const char *name = vic_magic_name(data, size);

    if (!name)
        return 0;
    return vic_error_set(err, VIC_UNSUPPORTED,
                         "the raw disk begins with the header of another image format "
                         "(%s), which others would follow; it is refused",
                         name);
}
