local http = require "host.http"
local metrics = require "host.metrics"
local prometheus = require "support.prometheus"
local task = require "host.task"

-- The lines of one metric, in order, without the comments.
local function lines_of(name)
  local found = {}
  for line in metrics.text():gmatch("([^\n]*)\n") do
    if line:sub(1, #name) == name and line:find("^[_{ ]", #name + 1) then
      found[#found + 1] = line
    end
  end
  return found
end

describe("host.metrics", function()
  it("counts, from 0 where there are no labels", function()
    local plain = metrics.counter("spec_plain_total", "Things.")
    assert.same({ "spec_plain_total 0" }, lines_of("spec_plain_total"))
    plain:add()
    plain:add(2.5)
    assert.same({ "spec_plain_total 3.5" }, lines_of("spec_plain_total"))
    local labelled = metrics.counter("spec_requests_total", "Requests.", { "verb", "code" })
    assert.same({}, lines_of("spec_requests_total"))
    labelled:add(1, { verb = "get", code = 200 })
    labelled:add(1, { code = "200", verb = "get" })
    labelled:add(1, { verb = "put", code = 404 })
    assert.same({
      'spec_requests_total{verb="get",code="200"} 2',
      'spec_requests_total{verb="put",code="404"} 1',
    }, lines_of("spec_requests_total"))
  end)

  it("gauges go up, down and away", function()
    local gauge = metrics.gauge("spec_imports", "Imports.", { "state" })
    gauge:set(5, { state = "a" })
    gauge:add(-2, { state = "a" })
    gauge:set(1 / 0, { state = "b" })
    gauge:set(1 << 53, { state = "c" })
    assert.same({ 'spec_imports{state="a"} 3', 'spec_imports{state="b"} +Inf',
      'spec_imports{state="c"} 9007199254740992' }, lines_of("spec_imports"))
    gauge:remove({ state = "b" })
    gauge:remove({ state = "never" })
    assert.same({ 'spec_imports{state="a"} 3', 'spec_imports{state="c"} 9007199254740992' },
      lines_of("spec_imports"))
    gauge:remove()
    assert.same({}, lines_of("spec_imports"))
    assert.falsy(metrics.text():find("spec_imports", 1, true))
  end)

  it("histograms add up what is below each bound", function()
    local histogram = metrics.histogram("spec_seconds", "Time.", { "kind" }, { 0.1, 1, 10 })
    for _, value in ipairs { 0.05, 0.1, 0.5, 1.5, 100 } do
      histogram:observe(value, { kind = "x" })
    end
    assert.same({
      'spec_seconds_bucket{kind="x",le="0.1"} 2',
      'spec_seconds_bucket{kind="x",le="1"} 3',
      'spec_seconds_bucket{kind="x",le="10"} 4',
      'spec_seconds_bucket{kind="x",le="+Inf"} 5',
      'spec_seconds_sum{kind="x"} 102.15',
      'spec_seconds_count{kind="x"} 5',
    }, lines_of("spec_seconds"))
    metrics.histogram("spec_bare_seconds", "Time.", nil, { 1 }):observe(1)
    assert.equal('spec_bare_seconds_bucket{le="1"} 1', lines_of("spec_bare_seconds")[1])
  end)

  it("writes labels so that nothing in them can break the text", function()
    local gauge = metrics.gauge("spec_odd", "Odd.", { "a" })
    for _, value in ipairs { 'say "hi"', "a\\b", "two\nlines", "\\", '"', "", "Bürö", "\xff\xc3",
      ("x"):rep(1000), "}", "a,b=c", "\r\t" } do
      gauge:set(1, { a = value })
    end
    local families = prometheus.read(metrics.text())
    assert.equal(12, #families.spec_odd.samples)
    assert.equal([[spec_odd{a="say \"hi\""} 1]], lines_of("spec_odd")[1])
    assert.equal([[spec_odd{a="two\nlines"} 1]], lines_of("spec_odd")[3])
    for _, sample in ipairs(families.spec_odd.samples) do
      assert.is_true(#sample.labels.a <= 128 + #"…")
    end
    gauge:remove({ a = 'say "hi"' })
    assert.equal(11, #prometheus.read(metrics.text()).spec_odd.samples)
  end)

  it("keeps a metric within its series, and counts what it drops", function()
    local counter = metrics.counter("spec_many_total", "Many.", { "i" })
    for i = 1, 510 do
      counter:add(1, { i = i })
    end
    counter:add(1, { i = 1 })
    assert.equal(500, #lines_of("spec_many_total"))
    assert.same({ 'vm_import_metrics_dropped_total{metric="spec_many_total"} 10' },
      lines_of("vm_import_metrics_dropped_total"))
    counter:remove()
    counter:add(1, { i = 600 })
    assert.same({ 'spec_many_total{i="600"} 1' }, lines_of("spec_many_total"))
  end)

  it("is the same metric when it is defined the same again", function()
    metrics.counter("spec_again_total", "Again.", { "a" }):add(1, { a = 1 })
    metrics.counter("spec_again_total", "Again.", { "a" }):add(1, { a = 1 })
    assert.same({ 'spec_again_total{a="1"} 2' }, lines_of("spec_again_total"))
    for _, other in ipairs { { "Other.", { "a" } }, { "Again.", { "b" } }, { "Again." },
      { "Again.", { "a", "b" } } } do
      assert.has_error(function()
        metrics.counter("spec_again_total", table.unpack(other))
      end, "metric spec_again_total: is defined otherwise elsewhere")
    end
  end)

  it("refuses definitions that Prometheus would", function()
    local function refused(kind, ...)
      assert.is_false(pcall(metrics[kind], ...))
    end
    for _, name in ipairs { "", "1a", "a-b", "a b", "ä", "process_x", ("x"):rep(200), "a_total",
      "a_sum", "a_count", "a_bucket" } do
      refused("gauge", name, "Help.")
    end
    refused("counter", "spec_no", "Help.")
    refused("gauge", "spec_no", "")
    refused("gauge", "spec_no", "two\nlines")
    refused("gauge", "spec_no", "back\\slash")
    refused("gauge", "spec_no", "\xff")
    for _, labels in ipairs { { "" }, { "1" }, { "__a" }, { "a-b" }, { "a", "a" }, { 1 },
      { "a", "b", "c", "d", "e", "f", "g", "h", "i" }, "a" } do
      refused("gauge", "spec_no", "Help.", labels)
    end
    refused("histogram", "spec_no", "Help.", { "le" }, { 1 })
    for _, buckets in ipairs { {}, { 1, 1 }, { 2, 1 }, { 0 / 0 }, { 1 / 0 }, { "x" } } do
      refused("histogram", "spec_no", "Help.", nil, buckets)
    end
    refused("histogram", "spec_no", "Help.")
    assert.same({}, lines_of("spec_no"))
  end)

  it("refuses wrong use", function()
    local counter = metrics.counter("spec_use_total", "Use.", { "a" })
    local gauge = metrics.gauge("spec_use", "Use.")
    local histogram = metrics.histogram("spec_useful_seconds", "Use.", nil, { 1 })
    for _, call in ipairs {
      function() counter:add(-1, { a = 1 }) end,
      function() counter:add(0 / 0, { a = 1 }) end,
      function() counter:add(1 / 0, { a = 1 }) end,
      function() counter:add(1) end,
      function() counter:add(1, {}) end,
      function() counter:add(1, { b = 1 }) end,
      function() counter:add(1, { a = 1, b = 1 }) end,
      function() counter:set(1, { a = 1 }) end,
      function() counter:observe(1, { a = 1 }) end,
      function() gauge:observe(1) end,
      function() gauge:set("x") end,
      function() gauge:set(1, { a = 1 }) end,
      function() histogram:add(1) end,
      function() histogram:set(1) end,
    } do
      assert.is_false(pcall(call))
    end
    assert.same({}, lines_of("spec_use_total"))
    assert.same({ "spec_use 0" }, lines_of("spec_use"))
  end)

  it("tells of the process what Prometheus' client libraries tell", function()
    local families = prometheus.read(metrics.text())
    local function value(name)
      return families[name].samples[1].value
    end
    assert.is_true(value("process_resident_memory_bytes") > 1 << 20)
    assert.is_true(value("process_virtual_memory_bytes") > value("process_resident_memory_bytes"))
    assert.is_true(value("process_open_fds") >= 3)
    assert.is_true(value("process_max_fds") >= value("process_open_fds"))
    assert.is_true(value("process_cpu_seconds_total") >= 0)
    assert.is_true(math.abs(value("process_start_time_seconds") - os.time()) < 3600)
    local handle <close> = assert(io.open("/proc/self/stat"))
    assert(handle)
    local more = prometheus.read(metrics.text()).process_open_fds.samples[1].value
    assert.equal(value("process_open_fds") + 1, more)
  end)
end)

describe("host.metrics.serve", function()
  local server, pool

  before_each(function()
    server = assert(metrics.serve({ host = "127.0.0.1" }))
    pool = assert(http.pool())
  end)

  after_each(function()
    server:close()
    pool:close()
  end)

  local function get(path, method)
    return assert(pool:request({ url = "http://" .. server:address() .. path, method = method }))
  end

  it("shows what the registry holds", function()
    metrics.gauge("spec_shown", "Shown."):set(42)
    local answer = get("/metrics")
    assert.equal(200, answer.status)
    assert.equal("text/plain; version=0.0.4; charset=utf-8", answer.headers["content-type"])
    assert.equal(42, prometheus.read(answer.body).spec_shown.samples[1].value)
  end)

  it("is ready when it is told so, and says why not", function()
    local answer = get("/readyz")
    assert.equal(503, answer.status)
    assert.equal("starting\n", answer.body)
    server:ready(true)
    assert.equal(200, get("/readyz").status)
    server:ready(false, "the lease is lost")
    answer = get("/readyz")
    assert.equal(503, answer.status)
    assert.equal("the lease is lost\n", answer.body)
    server:ready(false)
    assert.equal("not ready\n", get("/readyz").body)
  end)

  it("answers while Lua does not, and says that the loop stands still", function()
    local own <close> = assert(metrics.serve({ host = "127.0.0.1", stall = 0.2 }))
    own:ready(true)
    task.sleep(0.05)
    local url = "http://" .. own:address()
    local function blocking(script)
      local handle = assert(io.popen(script:gsub("URL", url), "r"))
      local text = handle:read("a")
      handle:close()
      return text
    end
    local ask = "curl -s -o /dev/null -w '%{http_code} ' "
    assert.equal("503 200 200 ", blocking("sleep 0.4; " .. ask .. "URL/healthz; "
      .. ask .. "URL/readyz; " .. ask .. "URL/metrics"))
    assert.truthy(blocking("curl -s URL/healthz"):find("stood still", 1, true))
    for _ = 1, 20 do
      task.sleep(0.02)
    end
    assert.equal(200, assert(pool:request({ url = url .. "/healthz" })).status)
  end)

  it("answers HEAD, refuses the rest", function()
    assert.equal(200, get("/healthz", "HEAD").status)
    assert.equal(404, get("/").status)
    assert.equal(404, get("/metrics/").status)
    for _, method in ipairs { "POST", "PUT", "DELETE" } do
      local answer = get("/metrics", method)
      assert.equal(405, answer.status)
      assert.equal("GET, HEAD", answer.headers.allow)
    end
  end)

  it("says why it cannot listen", function()
    local got, err = metrics.serve({ host = "127.0.0.1", port = server:port() })
    assert.is_nil(got)
    assert.truthy(err.message:find("Address already in use", 1, true))
  end)

  it("does not mind values that change while they are read", function()
    local gauge = metrics.gauge("spec_busy", "Busy.", { "i" })
    local changer <close> = task.spawn(function()
      while true do
        for i = 1, 50 do
          gauge:set(i, { i = i })
        end
        gauge:remove()
        task.sleep(0)
      end
    end)
    local readers = {}
    for i = 1, 5 do
      readers[i] = task.spawn(function()
        for _ = 1, 20 do
          prometheus.read(get("/metrics").body)
        end
      end)
    end
    for i = 1, 5 do
      local ok, err = readers[i]:join(30)
      assert(ok, err)
    end
    changer:cancel()
  end)
end)
