local config = require "kube.config"
local digest = require "host.digest"
local file = require "host.file"
local new_folder = require("support.folder").new
local task = require "host.task"
local yaml = require "host.yaml"

describe("kube.config", function()
  local home, folder

  before_each(function()
    home = new_folder()
    folder = home.path
  end)

  after_each(function()
    home:remove()
  end)

  local function write(name, text)
    return home:write(name, text)
  end

  local function load(variables)
    return config.load({ account = folder, env = function(name)
      return variables[name]
    end })
  end

  local function kubeconfig(changes)
    local whole = {
      ["current-context"] = "c",
      contexts = { { name = "c", context = { cluster = "k", user = "u" } } },
      clusters = { { name = "k", cluster = { server = "https://k.example:6443/" } } },
      users = { { name = "u", user = { token = "t" } } },
    }
    for key, value in pairs(changes or {}) do
      whole[key] = value
    end
    return write("config", yaml.dump(whole))
  end

  local function with_user(user)
    return kubeconfig({ users = { { name = "u", user = user } } })
  end

  local function refused(kind, text, got, err)
    assert.is_nil(got)
    assert.equal(kind, err.kind, err.message)
    assert.truthy(err.message:find(text, 1, true), err.message)
  end

  it("is the context's cluster, user and namespace", function()
    local loaded = assert(load({ KUBECONFIG = kubeconfig() }))
    assert.equal("https://k.example:6443", loaded.url)
    assert.equal("default", loaded.namespace)
    assert.same({ Authorization = "Bearer t" }, loaded.headers())
    loaded = assert(load({ KUBECONFIG = kubeconfig({ contexts = {
      { name = "c", context = { cluster = "k", namespace = "ours" } },
    } }) }))
    assert.equal("ours", loaded.namespace)
    assert.same({}, loaded.headers())
  end)

  it("knows Basic authentication", function()
    local loaded = assert(load({ KUBECONFIG = with_user({ username = "me", password = "p" }) }))
    assert.same({ Authorization = "Basic " .. digest.base64_encode("me:p") }, loaded.headers())
  end)

  it("says what is missing or not supported", function()
    refused("invalid", "no such file", load({ KUBECONFIG = folder .. "/none" }))
    refused("invalid", "this is not a pod", load({ HOME = folder }))
    refused("invalid", 'no context is called "other"',
      load({ KUBECONFIG = kubeconfig({ ["current-context"] = "other" }) }))
    refused("invalid", 'no user is called "u"', load({ KUBECONFIG = kubeconfig({ users = {} }) }))
    refused("invalid", "give certificate-authority-data", load({ KUBECONFIG = kubeconfig({
      clusters = { { name = "k", cluster = { server = "https://k",
        ["insecure-skip-tls-verify"] = true } } },
    }) }))
    refused("invalid", "auth-provider is not supported",
      load({ KUBECONFIG = with_user({ ["auth-provider"] = { name = "gcp" } }) }))
    refused("notfound", "none.pem",
      load({ KUBECONFIG = with_user({ ["client-certificate"] = "none.pem" }) }))
    refused("invalid", "is not base64",
      load({ KUBECONFIG = with_user({ ["client-certificate-data"] = "%%%" }) }))
    for text, changes in pairs {
      ["clusters: must be of type array"] = { clusters = "x" },
      ["users[0]: must be of type object"] = { users = { 7 } },
      ["users[0].user.token: must be of type string, and is of type integer"] = {
        users = { { name = "u", user = { token = 12345 } } } },
      ["clusters[0].cluster.server: must be of type string"] = {
        clusters = { { name = "k", cluster = { server = { "a" } } } } },
      ["users[0].user.exec.command: is missing"] = {
        users = { { name = "u", user = { exec = { apiVersion = "v1" } } } } },
      ["current-context: must be of type string"] = { ["current-context"] = 7 },
    } do
      refused("invalid", text, load({ KUBECONFIG = kubeconfig(changes) }))
    end
    refused("format", "config:", load({ KUBECONFIG = write("config", "a: [") }))
  end)

  it("is ~/.kube/config without KUBECONFIG, but not in a pod", function()
    assert(file.mkdir(folder .. "/.kube"))
    local path = kubeconfig()
    assert(file.rename(path, folder .. "/.kube/config"))
    assert.equal("https://k.example:6443", assert(load({ HOME = folder })).url)
    write("token", "pod")
    write("ca.crt", "PEM")
    local pod = assert(load({ HOME = folder, KUBERNETES_SERVICE_HOST = "fd00::1",
      KUBERNETES_SERVICE_PORT = "443", POD_NAMESPACE = "ours" }))
    assert.equal("https://[fd00::1]:443", pod.url)
    assert.equal("ours", pod.namespace)
    assert.equal("PEM", pod.tls.ca)
    assert.same({ Authorization = "Bearer pod" }, pod.headers())
  end)

  it("has an err, not an exception, for a pod without its files", function()
    refused("notfound", "token", load({ KUBERNETES_SERVICE_HOST = "10.0.0.1",
      KUBERNETES_SERVICE_PORT = "443" }))
  end)

  it("reads token and CA again when asked to, and keeps them when they are away", function()
    write("token", "one\n")
    write("ca.crt", "CA 1")
    local pod = assert(load({ KUBERNETES_SERVICE_HOST = "10.0.0.1",
      KUBERNETES_SERVICE_PORT = "443" }))
    write("token", "two\n")
    write("ca.crt", "CA 2")
    local before = pod.tls
    assert.equal("Bearer one", pod.headers().Authorization)
    assert.equal("Bearer two", pod.headers(true).Authorization)
    assert.equal("CA 2", pod.tls.ca)
    assert.is_false(before == pod.tls)
    before = pod.tls
    assert(pod.headers(true))
    assert.is_true(before == pod.tls) -- nothing has changed: no new connections
    assert(file.remove(folder .. "/token"))
    assert.equal("Bearer two", pod.headers(true).Authorization)
    assert(file.remove(folder .. "/ca.crt"))
    refused("notfound", "ca.crt", pod.headers(true))
    assert.equal("Bearer two", pod.headers().Authorization)
  end)

  describe("with a plugin", function()
    local function plugin(text, more)
      local exec = { apiVersion = "client.authentication.k8s.io/v1",
        command = write("plugin", "#!/bin/sh\n" .. text) }
      for key, value in pairs(more or {}) do
        exec[key] = value
      end
      return load({ KUBECONFIG = with_user({ exec = exec }) })
    end

    it("says what the plugin said when it fails", function()
      refused("denied", "exit code 3: log in first; get it from the shop",
        plugin("echo no >&2; echo log in first >&2; exit 3",
          { installHint = "get it from the shop" }))
      refused("denied", "printed no ExecCredential", plugin("echo hello"))
      refused("denied", "its answer.status.token: must be of type string",
        plugin("echo '{\"kind\":\"ExecCredential\",\"status\":{\"token\":7}}'"))
      refused("denied", "printed no ExecCredential",
        plugin([[echo '{"kind":"ExecCredential","status":{}}']]))
      refused("invalid", "nobody is here to answer",
        plugin("exit 0", { interactiveMode = "Always" }))
      refused("notfound", "get it from the shop",
        plugin("", { command = folder .. "/none", installHint = "get it from the shop" }))
    end)

    it("runs it once for all who ask at the same time", function()
      local loaded = assert(plugin([[echo x >>"$0.runs"
        echo '{"kind":"ExecCredential","status":{"token":"'$(wc -l <"$0.runs")'"}}']]))
      local tasks = {}
      for i = 1, 5 do
        tasks[i] = task.spawn(loaded.headers, true)
      end
      for _, t in ipairs(tasks) do
        local ok, headers = t:join()
        assert.is_true(ok)
        assert.equal("Bearer 2", headers.Authorization)
      end
    end)

    it("shows the certificate that it has given last", function()
      local loaded = assert(plugin([[echo x >>"$0.runs"
        n=$(wc -l <"$0.runs"); [ "$n" -gt 2 ] && n=2
        echo '{"kind":"ExecCredential","status":{"clientCertificateData":"C'$n'",
          "clientKeyData":"K","expirationTimestamp":"2001-01-01T00:00:00Z"}}']]))
      local first = loaded.tls
      assert.same({ "C1", "K" }, { first.cert, first.key })
      assert(loaded.headers())
      local second = loaded.tls
      assert.same({ "C2", "K" }, { second.cert, second.key })
      assert(loaded.headers())
      assert.equal(second, loaded.tls) -- the same again is no new table
    end)

    it("runs it once until what it gave expires", function()
      local count = [[echo x >>"$0.runs"
        echo '{"kind":"ExecCredential","status":{"token":"'$(wc -l <"$0.runs")'",]]
      local loaded = assert(plugin(count
        .. [["expirationTimestamp":"2999-01-01T00:00:00Z"}}']]))
      assert.equal("Bearer 1", loaded.headers().Authorization)
      assert.equal("Bearer 2", loaded.headers(true).Authorization)
      assert(file.remove(folder .. "/plugin.runs"))
      loaded = assert(plugin(count .. [["expirationTimestamp":"2001-01-01T00:00:00Z"}}']]))
      assert.equal("Bearer 2", loaded.headers().Authorization)
    end)
  end)
end)

describe("kube.config in a pod", function()
  local home, folder

  before_each(function()
    home = new_folder()
    folder = home.path
    home:write("token", "t")
    home:write("ca.crt", "CA")
  end)

  after_each(function()
    home:remove()
  end)

  local function load(host, port, namespace)
    return config.load({ account = folder, env = function(name)
      return ({ KUBERNETES_SERVICE_HOST = host, KUBERNETES_SERVICE_PORT = port,
        POD_NAMESPACE = namespace })[name]
    end })
  end

  it("is where its variables say, in its own namespace", function()
    assert.equal("https://10.0.0.1:443", load("10.0.0.1", "443").url)
    assert.equal("https://[fd00::1]:443", load("fd00::1", "443").url)
    assert.equal("default", load("h", "1").namespace)
    assert.equal("ours", load("h", "1", "ours").namespace)
    assert.equal("default", load("h", "1", "").namespace)
    assert(file.write(folder .. "/namespace", "theirs\n"))
    assert.equal("theirs", load("h", "1").namespace)
    assert.equal("ours", load("h", "1", "ours").namespace)
  end)

  it("is nowhere where one of them is missing", function()
    for _, case in ipairs { { "h" }, { nil, "1" }, {} } do
      local none, err = load(case[1], case[2])
      assert.is_nil(none)
      assert.equal("invalid", err.kind)
      assert.truthy(err.message:find("no Kubernetes API to talk to", 1, true))
    end
  end)
end)
