/*
 * job: see job.h.
 */
#include "job.h"

#include "fail.h"

/* On a worker thread: no Lua, nothing but *job. */
static void job_run(uv_work_t *work)
{
    struct vic_job *job = work->data;

    job->failed = job->run(job) < 0;
}

static void job_after(uv_work_t *work, int status)
{
    struct vic_job *job = work->data;

    if (status == UV_ECANCELED) {
        job->failed = true;
        vic_error_set(&job->err, VIC_CANCELLED, "cancelled");
    }
    vic_wait_done(&job->wait);
}

static void job_cancel(struct vic_wait *wait)
{
    struct vic_job *job = (struct vic_job *)wait;

    atomic_store(&job->stop, true);
    uv_cancel((uv_req_t *)&job->work); /* only if still queued; else `stop` ends it */
}

static void job_free(struct vic_wait *wait)
{
    struct vic_job *job = (struct vic_job *)wait;

    job->free(job);
}

static int job_result(lua_State *L, int status, lua_KContext ctx)
{
    struct vic_job *job = (struct vic_job *)ctx;

    (void)status;
    if (job->failed)
        return vic_fail_error(L, &job->err);
    if (job->push)
        return job->push(L, job);
    lua_pushboolean(L, 1);
    return 1;
}

void vic_job_box(struct vic_wait **box, struct vic_job *job)
{
    *box = &job->wait;
    job->wait.cancel = job_cancel;
    job->wait.free = job_free;
    job->work.data = job;
}

int vic_job_start(lua_State *L, struct vic_wait **box)
{
    struct vic_job *job = (struct vic_job *)*box;

    uv_queue_work(uv_default_loop(), &job->work, job_run, job_after);
    return vic_wait_for(L, box, job_result);
}
