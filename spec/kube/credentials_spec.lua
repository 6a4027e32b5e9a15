local credentials = require "kube.credentials"
local digest = require "host.digest"
local errors = require "host.error"
local file = require "host.file"
local new_folder = require("support.folder").new

describe("kube.credentials", function()
  local home, folder, clock

  before_each(function()
    home = new_folder()
    folder = home.path
    clock = 1000
  end)

  after_each(function()
    home:remove()
  end)

  local function write(name, text)
    return home:write(name, text)
  end

  local function of(user, more)
    local opts = { folder = folder, now = function() return 1.8e9 end,
      boottime = function() return clock end }
    for key, value in pairs(more or {}) do
      opts[key] = value
    end
    return credentials.of(user, opts)
  end

  local function headers(user, more)
    return of(user, more)().headers
  end

  local function refused(kind, words, f, ...)
    local ok, problem = pcall(f, ...)
    assert.is_false(ok)
    local err = errors.of(problem)
    assert.equal(kind, err.kind)
    assert.truthy(err.message:find(words, 1, true), err.message)
  end

  it("reads a text as data, from a file, or from one beside the kubeconfig", function()
    local path = write("ca", "PEM")
    local data = digest.base64_encode("DATA")
    assert.equal("DATA", credentials.text({ ["ca-data"] = data, ca = path }, "ca", folder))
    assert.equal("PEM", credentials.text({ ["ca-data"] = "", ca = path }, "ca", "/nowhere"))
    assert.equal("PEM", credentials.text({ ca = "ca" }, "ca", folder))
    assert.is_nil(credentials.text({ ca = "" }, "ca", folder))
    assert.is_nil(credentials.text({}, "ca", folder))
    refused("invalid", "ca-data is not base64", credentials.text, { ["ca-data"] = "%" }, "ca",
      folder)
    refused("notfound", "none", credentials.text, { ca = "none" }, "ca", folder)
  end)

  it("are the first of those that a user has", function()
    write("token", "from file\n")
    assert.equal("Bearer from file", headers({ tokenFile = "token", token = "t" }).Authorization)
    assert.equal("Bearer from file",
      headers({ tokenFile = folder .. "/token" }, { folder = "/nowhere" }).Authorization)
    assert.equal("Bearer t", headers({ tokenFile = "", token = "t", username = "u" })
      .Authorization)
    assert.equal("Basic " .. digest.base64_encode("u:p"),
      headers({ token = "", username = "u", password = "p" }).Authorization)
    assert.equal("Basic " .. digest.base64_encode("u:"), headers({ username = "u" })
      .Authorization)
    assert.same({}, headers({ username = "" }))
  end)

  it("act for another where that is asked for", function()
    assert.same({ Authorization = "Bearer t", ["Impersonate-User"] = "jane" },
      headers({ token = "t", as = "jane" }))
    assert.is_nil(headers({ token = "t", as = "" })["Impersonate-User"])
  end)

  for _, field in ipairs { "auth-provider", "as-uid", "as-groups", "as-user-extra" } do
    it("are refused with what is not supported: " .. field, function()
      refused("invalid", ("a user's %s is not supported"):format(field), of, { [field] = "x" })
    end)
  end

  describe("of a token file", function()
    it("are read again when asked to, and kept while it is away", function()
      local path = write("token", "one\n\n")
      local token = credentials.token_file(path)
      assert.equal("Bearer one", token().headers.Authorization)
      write("token", "two")
      assert.equal("Bearer one", token().headers.Authorization)
      assert.equal("Bearer two", token(true).headers.Authorization)
      assert(file.remove(path))
      assert.equal("Bearer two", token(true).headers.Authorization)
      refused("notfound", "token", credentials.token_file(path))
    end)
  end)

  describe("of a plugin", function()
    local function exec(text, more)
      local result = { apiVersion = "client.authentication.k8s.io/v1",
        command = write("plugin", "#!/bin/sh\n" .. text) }
      for key, value in pairs(more or {}) do
        result[key] = value
      end
      return { exec = result }
    end

    local function prints(status, more)
      return exec(("echo x >>'%s/runs'\ncat <<'END'\n{\"kind\":\"ExecCredential\",\"status\":%s}"
        .. "\nEND\n"):format(folder, status), more)
    end

    local function runs()
      local text = file.read(folder .. "/runs") or ""
      return #text // 2
    end

    it("are a token, or a certificate and its key", function()
      local credential = of(prints('{"token":"t","clientCertificateData":"C",'
        .. '"clientKeyData":"K"}'))()
      assert.same({ headers = { Authorization = "Bearer t" }, cert = "C", key = "K" }, credential)
      credential = of(prints('{"clientCertificateData":"C","clientKeyData":"K"}'))()
      assert.same({ headers = {}, cert = "C", key = "K" }, credential)
      local user = prints('{"clientCertificateData":"C","clientKeyData":"K"}')
      user.as = "jane"
      assert.same({ headers = { ["Impersonate-User"] = "jane" }, cert = "C", key = "K" },
        of(user)())
    end)

    it("are got again ten seconds before they end, by the clock that nobody sets", function()
      local credential = of(prints('{"token":"t","expirationTimestamp":"2027-01-15T08:01:40Z"}'))
      credential() -- they end at 1.8e9 + 100
      clock = 1090
      credential()
      assert.equal(1, runs())
      clock = 1091
      credential()
      assert.equal(2, runs())
      clock = 1092 -- the wall says the same, so they end at 1191 now
      credential()
      assert.equal(2, runs())
    end)

    it("are kept where they have no end", function()
      local credential = of(prints('{"token":"t"}'))
      credential()
      clock = clock + 1e6
      credential()
      assert.equal(1, runs())
      credential(true)
      assert.equal(2, runs())
    end)

    it("know what the cluster is, where the plugin asks for it, and its variables", function()
      local text = "echo '{\"kind\":\"ExecCredential\",\"status\":{\"token\":\"'$(echo "
        .. "\"$KUBERNETES_EXEC_INFO\" | tr -d '\"')$MORE-$1'\"}}'"
      local cluster = { cluster = { server = "s" } }
      local more = { env = { { name = "MORE", value = "yes" } }, args = { "arg" } }
      local without = headers(exec(text, more), cluster).Authorization
      assert.truthy(without:find("interactive:false", 1, true), without)
      assert.truthy(without:find("apiVersion:client.authentication.k8s.io/v1", 1, true))
      assert.truthy(without:find("kind:ExecCredential", 1, true))
      assert.is_nil(without:find("server", 1, true))
      assert.truthy(without:find("yes-arg", 1, true))
      more.provideClusterInfo = true
      local with = headers(exec(text, more), cluster).Authorization
      assert.truthy(with:find("cluster:{server:s}", 1, true), with)
    end)

    it("is found beside the kubeconfig, or in PATH", function()
      local user = prints('{"token":"t"}', { command = "./plugin" })
      assert.equal("Bearer t", headers(user).Authorization)
      refused("notfound", "credential plugin no-such-plugin (ask the shop)", of(prints("{}", {
        command = "no-such-plugin", installHint = "ask the shop" })))
      refused("notfound", "credential plugin no-such-plugin:", of(prints("{}", {
        command = "no-such-plugin" })))
    end)

    it("say what it said last when it fails", function()
      local command = folder .. "/plugin"
      refused("denied", "credential plugin " .. command .. ": exit code 3: log in; ask the shop",
        of(exec("echo a >&2; echo log in >&2; exit 3", { installHint = "ask the shop" })))
      local ok, err = pcall(of(exec("exit 4")))
      assert.is_false(ok)
      assert.equal("credential plugin " .. command .. ": exit code 4", err.message)
      refused("denied", "ended by signal 9", of(exec("kill -9 $$")))
      ok, err = pcall(of(exec("head -c 300 /dev/zero | tr '\\0' x >&2; exit 1")))
      assert.is_false(ok)
      assert.equal(": " .. ("x"):rep(200), err.message:match("exit code 1(.*)$"))
    end)

    for _, status in ipairs { "{}", '"x"', "7" } do
      it("are none where it prints " .. status, function()
        refused("denied", "it printed no ExecCredential with a token or a certificate",
          of(prints(status)))
      end)
    end

    it("are none where it prints something else", function()
      for _, text in ipairs { "echo '{\"kind\":\"X\",\"status\":{\"token\":\"t\"}}'", "echo '7'",
        "echo hello" } do
        refused("denied", "it printed no ExecCredential", of(exec(text)))
      end
    end)

    it("are refused where somebody would have to answer", function()
      refused("invalid", "nobody is here to answer", of, exec("", { interactiveMode = "Always" }))
      assert(of(exec("", { interactiveMode = "IfAvailable" })))
    end)
  end)
end)
