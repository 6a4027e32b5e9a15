local address = require "providers.address"

-- What answers in an API's stead, and what is said of it.
local ANSWERS = {
  ["it redirects to https://vc.example.com/ui/ (302)"] = {
    status = 302, headers = { location = "https://vc.example.com/ui/?token=s3cret#x" } },
  ["it redirects to https://vc.example.com/ (301)"] = {
    status = 301, headers = { location = "https://me:s3cret@vc.example.com/" } },
  ["it redirects to /ui/ (307)"] = { status = 307, headers = { location = "/ui/" } },
  ["it redirects to nowhere (308)"] = { status = 308, headers = {} },
  ["it answers with a web page (\"VMware vSphere\") (200)"] = { status = 200,
    body = "<!DOCTYPE html>\n<html><head><title> VMware\n vSphere</title></head></html>" },
  ["it answers with a web page (404)"] = { status = 404, body = "<html><h1>no</h1></html>" },
  ["HTTP status 404"] = { status = 404, body = "nothing here" },
  ["HTTP status 300"] = { status = 300, body = "{}" },
  ["HTTP status 304"] = { status = 304, headers = { location = "/ui/" } },
  ["HTTP status 309"] = { status = 309, headers = { location = "/ui/" } },
}

describe("address.answered", function()
  for wanted, response in pairs(ANSWERS) do
    it("says: " .. wanted, function()
      assert.equal(wanted, address.answered(response))
    end)
  end

  it("lets no page write to a terminal, nor at length", function()
    local text = address.answered({ status = 200,
      body = "<html><title>\27[2J" .. ("x"):rep(5000) .. "</title>" })
    assert.falsy(text:find("%c"))
    assert.truthy(#text < 150)
  end)
end)

describe("address.said", function()
  it("knows by the status alone what offers versions, or leads elsewhere", function()
    assert.equal("several versions are offered, and the URL names none",
      address.said { status = 300 })
    assert.equal("it redirects to /v3 (301)",
      address.said { status = 301, headers = { location = "/v3" } })
    assert.equal("HTTP status 399", address.said { status = 399 })
  end)

  it("has nothing to say of any other", function()
    for _, status in ipairs { 200, 299, 400, 503 } do
      assert.is_nil(address.said { status = status })
    end
  end)
end)

describe("address.parse", function()
  local function parse(text)
    return address.parse(text, "spec.endpoint", "the URL of the API")
  end

  -- Scheme, authority, host and path; with `in_clear`, that it is http to another machine.
  for text, wanted in pairs {
    ["vc.example.com"] = { "https", "vc.example.com", "vc.example.com", "" },
    ["\t HTTPS://vc.example.com/ \n"] = { "https", "vc.example.com", "vc.example.com", "" },
    ["http://h:1//a//b/?x#y"] = { "http", "h:1", "h", "/a/b", in_clear = true },
    ["https://h:65535/a?/b"] = { "https", "h:65535", "h", "/a" },
    ["[2001:db8::1]:443#x"] = { "https", "[2001:db8::1]:443", "[2001:db8::1]", "" },
    ["localhost:80"] = { "https", "localhost:80", "localhost", "" },
    ["http://[::1]/"] = { "http", "[::1]", "[::1]", "" },
    ["http://127.1.2.3/"] = { "http", "127.1.2.3", "127.1.2.3", "" },
    ["http://10.127.0.1/"] = { "http", "10.127.0.1", "10.127.0.1", "", in_clear = true },
    ["http://127.0.0.1.example"] = { "http", "127.0.0.1.example", "127.0.0.1.example", "",
      in_clear = true },
    ["http://[::2]/"] = { "http", "[::2]", "[::2]", "", in_clear = true },
  } do
    it(("reads %q"):format(text), function()
      local got = assert(parse(text))
      assert.same({ wanted[1], wanted[2], wanted[3], wanted[4] },
        { got.scheme, got.authority, got.host, got.path })
      assert.equal(wanted.in_clear or false, got.in_clear)
    end)
  end

  for text, problem in pairs {
    [""] = "spec.endpoint is empty; it is the URL of the API",
    [" "] = "spec.endpoint is empty; it is the URL of the API",
    ["https://me:s3cret@h/"] = "spec.endpoint holds a user name; take it out (a source's "
      .. "belongs into its Secret)",
    ["@h"] = "spec.endpoint holds a user name; take it out (a source's belongs into its Secret)",
    ["a b"] = "spec.endpoint holds a blank or a line's end; it is the URL of the API",
    ["ftp://h"] = 'spec.endpoint "ftp://h": ftp:// is not spoken; it is the URL of the API',
    ["https:/h"] = 'spec.endpoint "https:/h": no URL; it is the URL of the API',
    ["https:///a"] = 'spec.endpoint "https:///a": there is no host in it; it is the URL of '
      .. "the API",
    ["h:0"] = 'spec.endpoint "h:0": there is no port 0 (1 to 65535); it is the URL of the API',
    ["h:65536"] = 'spec.endpoint "h:65536": there is no port 65536 (1 to 65535); it is the '
      .. "URL of the API",
    ["h:http"] = 'spec.endpoint "h:http": "http" is no port; it is the URL of the API',
    ["a:b:1"] = 'spec.endpoint "a:b:1": an IPv6 address stands in brackets; it is the URL of '
      .. "the API",
  } do
    it(("refuses %q, and says why"):format(text), function()
      local got, why = parse(text)
      assert.is_nil(got)
      assert.equal(problem, why)
    end)
  end

  it("takes nothing for empty", function()
    local got, why = parse(nil)
    assert.is_nil(got)
    assert.equal("spec.endpoint is empty; it is the URL of the API", why)
  end)
end)
