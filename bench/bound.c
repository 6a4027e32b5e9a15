/*
 * bound: what a disk costs at least: the stream-optimised VMDK is read, checked and
 * inflated by the program's own parts, and nothing is written.
 *
 *   bench_bound URL-or-FILE     by HTTP, or from a file: the inflating alone
 */
#include "error.h"
#include "output.h"
#include "pipeline.h"
#include "source.h"
#include "vmdk.h"

#include <curl/curl.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct vic_source *source_new(const char *where, struct vic_error *err)
{
    struct vic_http_source_opts opts = { .url = where,
                                         .connect_timeout = 30,
                                         .idle_timeout = 60 };

    return strstr(where, "://") ? vic_http_source_new(&opts, err)
                                : vic_file_source_new(where, &(struct vic_window){ 0 });
}

static int read_disk(struct vic_source *source, struct vic_error *err)
{
    struct vic_pipeline *pipeline = vic_pipeline_new(&vic_nowhere, NULL);
    struct vic_vmdk *vmdk = vic_vmdk_new(vic_pipeline_batches(pipeline), 0);
    struct vic_sink *sink = vic_vmdk_sink(vmdk);
    int code = source->run(source, sink, err);

    if (code == 0)
        code = sink->end(sink, err);
    if (vic_pipeline_finish(pipeline, code == 0, err))
        code = -1;
    vic_pipeline_free(pipeline);
    vic_vmdk_free(vmdk);
    return code;
}

int main(int argc, char **argv)
{
    struct vic_error err;
    struct vic_source *source;
    int code = -1;

    if (argc != 2) {
        fprintf(stderr, "usage: bench_bound URL-or-FILE\n");
        return 2;
    }
    curl_global_init(CURL_GLOBAL_DEFAULT);
    source = source_new(argv[1], &err);
    if (source) {
        code = read_disk(source, &err);
        source->free(source);
    }
    if (code)
        fprintf(stderr, "bench_bound: %s\n", err.message);
    return code ? EXIT_FAILURE : EXIT_SUCCESS;
}
