local answer = require "providers.openstack.answer"
local rest = require "support.rest"
local shape = require "providers.shape"

local function failure(status, body, headers)
  return answer.failure(rest.answer(status, body, headers), "POST https://x/volumes")
end

describe("answer.failure", function()
  it("quotes the service, whichever way it says it", function()
    for _, body in ipairs {
      { itemNotFound = { code = 404, message = "Instance x could not be found." } },
      { error = { code = 404, message = "Instance x could not be found.", title = "N" } },
      { NeutronError = { type = "N", message = "Instance x could not be found.",
        detail = "" } },
      "<html><head><title>404</title></head><body>Instance x could not be found."
        .. "</body></html>",
    } do
      local err = failure(404, body)
      assert.equal("notfound", err.kind)
      assert.equal("POST https://x/volumes: 404: Instance x could not be found.",
        err.message)
    end
  end)

  for status, kind in pairs { [400] = "invalid", [401] = "denied", [403] = "denied",
    [404] = "notfound", [409] = "conflict", [410] = "gone", [429] = "busy", [500] = "busy",
    [502] = "busy", [503] = "busy", [504] = "busy" } do
    it(("takes %d for %s"):format(status, kind), function()
      assert.equal(kind, failure(status, "").kind)
    end)
  end

  it("knows a quota by its words", function()
    for status, text in pairs {
      [413] = "VolumeLimitExceeded: Maximum number of volumes allowed (10) exceeded",
      [403] = "Quota exceeded for instances: Requested 1, but already used 10",
    } do
      local err = failure(status, { overLimit = { code = status, message = text } })
      assert.equal("nospace", err.kind)
      assert.equal("QuotaExceeded", err.code)
    end
    assert.equal("denied", failure(403, { forbidden = { message = "Policy" } }).kind)
  end)

  it("tells too many requests from a quota, which old services call by one number",
    function()
      local limited = { overLimit = { code = 413, message = "This request was rate-limited." } }
      local err = failure(413, limited, { ["retry-after"] = "12" })
      assert.equal("busy", err.kind)
      assert.equal(12, err.after)
      assert.is_nil(err.code)
      assert.equal("nospace", failure(413, limited, { ["retry-after"] = "0" }).kind)
      assert.equal("busy", failure(429, limited).kind)
    end)

  it("takes Retry-After, within reason", function()
    assert.equal(7, failure(503, "", { ["retry-after"] = "7" }).after)
    assert.equal(300, failure(503, "", { ["retry-after"] = "999999" }).after)
    assert.is_nil(failure(503, "", { ["retry-after"] = "Wed, 21 Oct" }).after)
  end)

  it("says what kind of answer it is where that has no words", function()
    assert.equal("POST https://x/volumes: 404: no reason given", failure(404, "").message)
    assert.equal("POST https://x/volumes: 404: no reason given", failure(404, {}).message)
    assert.truthy(failure(302, "", { location = "https://y/" }).message
      :find("it redirects to https://y/", 1, true))
  end)

  it("quotes no more than 400 bytes, and says that there is more", function()
    assert.equal(("x"):rep(400), failure(500, ("x"):rep(400)).message:match("x+%.*$"))
    assert.equal(("x"):rep(400) .. "...", failure(500, ("x"):rep(401)).message:match("x+%.*$"))
  end)

  it("takes a refused quota of 400 for one, too", function()
    assert.equal("QuotaExceeded", failure(400, { badRequest = {
      message = "SnapshotLimitExceeded: no more" } }).code)
    assert.is_nil(failure(401, { error = { message = "Quota" } }).code)
  end)

  it("keeps a hostile answer short and on one line", function()
    local err = failure(500, { error = { message = ("a\n\27[31m"):rep(1000) } })
    assert.truthy(#err.message < 500)
    assert.is_nil(err.message:find("%c"))
  end)
end)

describe("answer.document", function()
  it("is empty where there is no body", function()
    assert.same({}, answer.document({}, "GET x"))
    assert.same({}, answer.document({ body = "" }, "GET x"))
  end)

  it("says why it is none", function()
    local _, err = answer.document({ body = "1" }, "GET x")
    assert.equal("GET x: not the JSON of an OpenStack service (no object)", err.message)
    _, err = answer.document({ body = "[" }, "GET x")
    assert.falsy(err.message:find("no object", 1, true), err.message)
  end)

  it("refuses what is no object", function()
    for _, body in ipairs { "[", "\"x\"", "<html>", "1" } do
      local document, err = answer.document({ body = body }, "GET x")
      assert.is_nil(document)
      assert.equal("format", err.kind)
    end
  end)

  it("is of a shape, and nobody sees one that nobody looks at", function()
    local shaped = shape.object { a = shape.number }
    assert.same({ a = 1 }, answer.document({ body = '{"a": 1}' }, "GET x", shaped))
    assert.same({}, answer.document({ body = '{"a": 1}' }, "GET x"))
    local document, err = answer.document({ body = '{"a": "1"}' }, "GET x", shaped)
    assert.is_nil(document)
    assert.equal("format", err.kind)
    assert.equal("GET x: not the answer of an OpenStack service: a is text, not a number",
      err.message)
  end)
end)
