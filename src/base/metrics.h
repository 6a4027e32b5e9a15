/*
 * metrics: counters, gauges and histograms of this process, and their text for
 * Prometheus.
 *
 * One registry per process; any thread. What is registered stays until the end. A metric
 * holds at most VIC_METRIC_SERIES combinations of label values: what comes beyond them is
 * dropped and counted, so that no mistake in a script can fill the memory.
 */
#ifndef VIC_METRICS_H
#define VIC_METRICS_H

#include <stdbool.h>
#include <stddef.h>

#define VIC_METRIC_SERIES 500
#define VIC_METRIC_LABELS 8
#define VIC_METRIC_BOUNDS 32
#define VIC_METRIC_VALUE  128 /* bytes of a label's value; the rest is cut off */

struct vic_error;
struct vic_metric;
struct vic_text;

enum vic_metric_kind { VIC_COUNTER, VIC_GAUGE, VIC_HISTOGRAM };

struct vic_metric_opts {
    enum vic_metric_kind kind;
    const char *name; /* a counter's ends in _total */
    const char *help;
    const char *labels[VIC_METRIC_LABELS];
    size_t label_count;
    double bounds[VIC_METRIC_BOUNDS]; /* of a histogram's buckets, ascending, no +Inf */
    size_t bound_count;
};

/* Everything is copied. The same definition again gives the same metric; NULL: *err says
 * what is wrong with the definition, or that the name has another one. One without labels
 * shows 0 from the start. */
struct vic_metric *vic_metric_register(const struct vic_metric_opts *opts,
                                       struct vic_error *err);

/* The labels' names, in the order of the values that the calls below take. */
size_t vic_metric_label_count(const struct vic_metric *m);
const char *vic_metric_label(const struct vic_metric *m, size_t i);

/* Of a counter or a gauge; a counter's `by` is not negative. */
void vic_metric_add(struct vic_metric *m, const char *const *values, double by);
/* Of a gauge. */
void vic_metric_set(struct vic_metric *m, const char *const *values, double value);
/* Of a histogram. */
void vic_metric_observe(struct vic_metric *m, const char *const *values, double value);

/* Forgets one combination, or all of them (NULL): what they stood for is gone. */
void vic_metric_remove(struct vic_metric *m, const char *const *values);

/* Adds all of it, text format 0.0.4: what is registered, then the process itself. */
void vic_metrics_text(struct vic_text *text);

#endif
