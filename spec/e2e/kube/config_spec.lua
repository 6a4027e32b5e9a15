-- Every way to say where the API server is and who asks, tried on a real one: does it know
-- us?

local client = require "kube.client"
local config = require "kube.config"
local digest = require "host.digest"
local file = require "host.file"
local json = require "host.json"
local kinds = require "base.kinds"
local kube = require "support.kube"
local yaml = require "host.yaml"

describe("kube.config, on a real API server,", function()
  local cluster, folder
  local cluster_part, admin, limited, token -- of the kubeconfigs of the API server

  local function read_config(path)
    return assert(yaml.parse(assert(file.read(path))))[1]
  end

  setup(function()
    cluster = kube.start()
    local of_admin = read_config(cluster.env.KUBECONFIG)
    cluster_part = of_admin.clusters[1].cluster
    admin = of_admin.users[1].user
    limited = read_config(cluster.env.KUBE_LIMITED).users[1].user
    token = cluster.env.KUBE_TOKEN
  end)

  teardown(function()
    cluster:close()
  end)

  before_each(function()
    folder = ("%s/%s"):format(cluster.folder, digest.random(4))
    assert(file.mkdir(folder))
  end)

  local function write(name, text)
    assert(file.write(folder .. "/" .. name, text, { mode = 448 }))
    return folder .. "/" .. name
  end

  -- A kubeconfig of this user, in the folder.
  local function write_config(name, user, cluster_of_it)
    return write(name, yaml.dump({
      apiVersion = "v1", kind = "Config", ["current-context"] = "c",
      contexts = { { name = "c", context = { cluster = "k", user = "u" } } },
      clusters = { { name = "k", cluster = cluster_of_it or cluster_part } },
      users = { { name = "u", user = user } },
    }))
  end

  -- Who the server says we are.
  local function who(list)
    local loaded = assert(config.load({ env = function(name)
      return name == "KUBECONFIG" and list or nil
    end }))
    local api <close> = assert(client.new({ config = loaded, kinds = kinds }))
    local review = assert(api:request("POST",
      "/apis/authentication.k8s.io/v1/selfsubjectreviews", {
        body = json.encode({ apiVersion = "authentication.k8s.io/v1",
          kind = "SelfSubjectReview" }),
      }))
    return review.status.userInfo.username
  end

  it("takes a client certificate from the kubeconfig", function()
    assert.equal("e2e-admin", who(write_config("config", admin)))
  end)

  it("takes certificates from files beside the kubeconfig", function()
    write("ca.pem", digest.base64_decode(cluster_part["certificate-authority-data"]))
    write("me.crt", digest.base64_decode(admin["client-certificate-data"]))
    write("me.key", digest.base64_decode(admin["client-key-data"]))
    assert.equal("e2e-admin", who(write_config("config",
      { ["client-certificate"] = "me.crt", ["client-key"] = folder .. "/me.key" },
      { server = cluster_part.server .. "/", ["certificate-authority"] = "ca.pem" })))
  end)

  it("takes a token, and one from a file beside the kubeconfig first", function()
    assert.equal("limited", who(write_config("config", limited)))
    write("token", token .. "\n")
    assert.equal("e2e-admin-token", who(write_config("config",
      { tokenFile = "token", token = limited.token })))
  end)

  it("asks a plugin for a token", function()
    write("plugin", ([[#!/bin/sh
test "$SECRET_NAME" = "$1" || exit 9
case $KUBERNETES_EXEC_INFO in *'"server":"https://'*) ;; *) exit 8 ;; esac
echo '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential",
"status":{"token":"%s"}}'
]]):format(token))
    assert.equal("e2e-admin-token", who(write_config("config", { exec = {
      apiVersion = "client.authentication.k8s.io/v1", command = "./plugin",
      args = { "x y" }, env = { { name = "SECRET_NAME", value = "x y" } },
      provideClusterInfo = true, interactiveMode = "IfAvailable",
    } })))
  end)

  it("asks a plugin for a certificate", function()
    local credential = json.encode({
      apiVersion = "client.authentication.k8s.io/v1", kind = "ExecCredential",
      status = {
        clientCertificateData = digest.base64_decode(admin["client-certificate-data"]),
        clientKeyData = digest.base64_decode(admin["client-key-data"]),
      },
    })
    write("credential", credential)
    assert.equal("e2e-admin", who(write_config("config", { exec = {
      apiVersion = "client.authentication.k8s.io/v1", command = "cat",
      args = { folder .. "/credential" },
    } })))
  end)

  it("asks the plugin again when the server refuses what it gave", function()
    write("plugin", ([[#!/bin/sh
if test -e "$0.again"; then token=%s; else token=old; touch "$0.again"; fi
echo '{"kind":"ExecCredential","status":{"token":"'$token'"}}'
]]):format(token))
    assert.equal("e2e-admin-token", who(write_config("config", { exec = {
      apiVersion = "client.authentication.k8s.io/v1", command = folder .. "/plugin",
    } })))
  end)

  it("acts as somebody else when the kubeconfig says so", function()
    local as = { as = "limited" }
    for name, value in pairs(admin) do
      as[name] = value
    end
    assert.equal("limited", who(write_config("config", as)))
  end)

  it("merges several files: each name counts where it comes first", function()
    local context = write("contexts", yaml.dump({
      ["current-context"] = "c",
      contexts = { { name = "c", context = { cluster = "k", user = "u" } } },
    }))
    local user = write("users", yaml.dump({ users = { { name = "u", user = limited } } }))
    local whole = write_config("whole", admin)
    assert.equal("e2e-admin", who(context .. ":" .. whole))
    assert.equal("limited", who(("%s::%s/none:%s:%s"):format(context, folder, user, whole)))
  end)

  it("is a pod's ServiceAccount where there is no kubeconfig", function()
    local namespace = cluster:namespace()
    local path = cluster:service_account(namespace, "me")
    write("token", read_config(path).users[1].user.token)
    write("ca.crt", digest.base64_decode(cluster_part["certificate-authority-data"]))
    write("namespace", namespace)
    local host, port = cluster_part.server:match("//(.-):(%d+)")
    local loaded = assert(config.load({ account = folder, env = function(name)
      return ({ KUBERNETES_SERVICE_HOST = host, KUBERNETES_SERVICE_PORT = port })[name]
    end }))
    assert.equal(namespace, loaded.namespace)
    local api <close> = assert(client.new({ config = loaded, kinds = kinds }))
    local got, err = api:list("Secret", namespace)
    assert.is_nil(got)
    assert.truthy(err.message:find(("system:serviceaccount:%s:me"):format(namespace), 1,
      true), err.message)
  end)

  it("trusts nobody else's certificate, until the right CA is there", function()
    local made = read_config(cluster.env.KUBECONFIG).clusters[1].cluster
    local right = digest.base64_decode(made["certificate-authority-data"])
    write("ca.pem", digest.base64_decode(admin["client-certificate-data"]))
    local path = write_config("config", admin,
      { server = made.server, ["certificate-authority"] = "ca.pem" })
    local loaded = assert(config.load({ env = function(name)
      return name == "KUBECONFIG" and path or nil
    end }))
    local api <close> = assert(client.new({ config = loaded, kinds = kinds }))
    local got, err = api:list("ConfigMap", "default")
    assert.is_nil(got)
    assert.equal("tls", err.kind, err.message)
    write("ca.pem", right) -- rotated
    assert(api:list("ConfigMap", "default"))
  end)
end)
