/*
 * metrics_text: how metrics are kept and written. Between the metrics*.c files only.
 */
#ifndef VIC_METRICS_TEXT_H
#define VIC_METRICS_TEXT_H

#include "metrics.h"

#include <stdint.h>

struct vic_series {
    struct vic_series *next;
    char *labels;       /* as written: `verb="get",code="200"` */
    double value;       /* a histogram's sum */
    uint64_t count;     /* observations */
    uint64_t buckets[]; /* a histogram's, each without those below it */
};

struct vic_metric {
    struct vic_metric *next;
    enum vic_metric_kind kind;
    char *name, *help;
    char *labels[VIC_METRIC_LABELS];
    size_t label_count;
    double bounds[VIC_METRIC_BOUNDS];
    size_t bound_count;
    struct vic_series *series;
    size_t series_count;
    uint64_t dropped; /* changes for which there was no series */
};

/* The lines of one metric; none while it has no series. */
void vic_metric_text(struct vic_text *text, const struct vic_metric *m);

/* How many values each of them has dropped, as a metric of its own. */
void vic_metrics_dropped_text(struct vic_text *text, const struct vic_metric *first);

/* process_*: memory, CPU time, descriptors, start time, as all of Prometheus' own client
 * libraries name them. Source: proc(5). */
void vic_metrics_process_text(struct vic_text *text);

/* "# HELP" and "# TYPE". */
void vic_metrics_head(struct vic_text *text, const char *name, const char *help,
                      const char *type);

/* "name_suffix{labels,le} value". `labels` and `le` may be NULL or empty. */
void vic_metrics_line(struct vic_text *text, const char *name, const char *suffix,
                      const char *labels, const char *le, double value);

#endif
