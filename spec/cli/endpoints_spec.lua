local endpoints = require "cli.endpoints"
local http = require "host.http"

describe("cli.endpoints", function()
  after_each(function()
    assert(http.deny({}))
  end)

  it("takes addresses, ranges, words, and none", function()
    assert.same({ { range = "loopback" }, { range = "10.52.0.0/16" }, { range = "fd00::1" } },
      endpoints.list("loopback, 10.52.0.0/16,fd00::1", {}))
    assert.same({}, endpoints.list("none", {}))
  end)

  it("knows the cluster by the API server's URL, and its Services by the pod's", function()
    assert.same({ { host = "api.example", name = "the API server" } },
      endpoints.list("cluster", { url = "https://api.example:6443" }))
    assert.same({ { host = "10.53.0.1", name = "the API server" },
      { range = "10.53.0.1/16", name = "the cluster's Services" } },
      endpoints.list("cluster", { url = "https://10.53.0.1:443", service = "10.53.0.1" }))
    assert.same({ { host = "fd00:1::1", name = "the API server" },
      { range = "fd00:1::1/112", name = "the cluster's Services" } },
      endpoints.list("cluster", { url = "https://[fd00:1::1]:443", service = "fd00:1::1" }))
  end)

  local function code(host)
    local _, err = http.request({ url = ("http://%s:1/"):format(host), total_timeout = 0.05 })
    return err.code
  end

  it("keeps sources of a controller from this machine, link-local and the cluster", function()
    endpoints.deny(nil, { url = "https://10.53.0.1:443", service = "10.53.0.1" })
    for _, host in ipairs { "127.0.0.1", "169.254.169.254", "10.53.0.1", "10.53.255.9" } do
      assert.equal("EndpointDenied", code(host), host)
    end
    assert.is_nil(code("192.0.2.1"))
  end)

  it("keeps those of a command at a shell from link-local alone", function()
    endpoints.standalone()
    assert.equal("EndpointDenied", code("169.254.169.254"))
    assert.is_nil(code("127.0.0.1"))
  end)

  it("names the flag of a list that is none", function()
    for _, text in ipairs { "", " , ", "cluster,nonsense", "10.0.0.0/40" } do
      local ok, err = pcall(endpoints.deny, text, {})
      assert.is_false(ok, text)
      assert.truthy(err.message:find("^%-%-deny%-endpoints: "), err.message)
    end
  end)
end)
