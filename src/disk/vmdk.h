/*
 * vmdk: a sink that decodes a stream-optimised VMDK as it passes.
 *
 * It cuts the stream into batches of grains, and checks everything but the grains'
 * own zlib data, which the worker checks that inflates them. Only a stream that is
 * whole passes end(). Memory does not depend on the disk but for 24 bytes for each
 * 32 MiB that hold data.
 *
 * Two layouts: tables, directory and footer after ascending grains (VMware and most
 * others); directory and tables in the head, grains in any order, no footer, and
 * perhaps no end mark (qemu-img, open-vmdk).
 */
#ifndef VIC_VMDK_H
#define VIC_VMDK_H

#include "batch.h"
#include "sink.h"

struct vic_vmdk;

/* Decodes into `batches`. `capacity` is what the disk must have, in bytes, or 0. */
struct vic_vmdk *vic_vmdk_new(struct vic_batches *batches, uint64_t capacity);
void vic_vmdk_free(struct vic_vmdk *vmdk);

struct vic_sink *vic_vmdk_sink(struct vic_vmdk *vmdk);

#endif
