/*
 * request_log: at DEBUG, a line of the log for each request that has ended. No query, no
 * credentials, no header and no body is in it. Any thread.
 */
#ifndef VIC_REQUEST_LOG_H
#define VIC_REQUEST_LOG_H

struct vic_request_log {
    const char *task; /* for whom it is, or NULL */
    const char *method;
    const char *url;
    int status;          /* 0: no answer */
    double began;        /* vic_now() then */
    const char *problem; /* why it failed, a whole message, or NULL */
};

void vic_request_log(const struct vic_request_log *request);

#endif
