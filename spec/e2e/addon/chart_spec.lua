-- The chart, without a cluster: what it renders, and what it refuses to.

local file = require "host.file"
local helm = require "support.helm"
local lab = require "support.lab"
local yaml = require "host.yaml"

local GOLDEN = "spec/deploy/golden/"

-- The object of a kind in rendered text; `name`: its end.
local function object(text, kind, name)
  for _, document in ipairs(assert(yaml.parse(text, { what = "rendered" }))) do
    if document.kind == kind and (not name or document.metadata.name:find(name .. "$")) then
      return document
    end
  end
end

local function render(...)
  return helm.run({ "template", "r", helm.chart, "--namespace", "harvester-system", ... })
end

describe("the chart", function()
  it("passes helm lint", function()
    helm.run({ "lint", "--strict", helm.chart })
  end)

  it("renders what is written down in spec/deploy/golden", function()
    local folder <close> = lab.folder()
    local names = helm.render(folder.path)
    assert.same({ "addon.yaml", "controller.yaml", "earlier.yaml", "everything.yaml",
      "streaming.yaml" }, names)
    for _, name in ipairs(names) do
      local golden = name == "controller.yaml" and "deploy/" or GOLDEN
      assert.equal(assert(file.read(golden .. name)),
        assert(file.read(folder.path .. "/" .. name)),
        name .. " is not as rendered: see spec/deploy/render")
    end
  end)

  it("gives the rules of deploy/role.yaml, and no others", function()
    local rendered, plain = render(), assert(file.read("deploy/role.yaml"))
    for _, kind in ipairs { "ClusterRole", "Role" } do
      assert.same(object(plain, kind).rules, object(rendered, kind).rules)
      assert.is_true(#object(rendered, kind).rules > 1)
    end
  end)

  it("brings the policy of deploy/policy.yaml, where it is asked for and known", function()
    local KIND = "ValidatingAdmissionPolicy"
    local rendered, plain = render(), assert(file.read("deploy/policy.yaml"))
    for _, kind in ipairs { KIND, KIND .. "Binding" } do
      local ours = object(plain, kind)
      assert.same(ours.spec, object(rendered, kind).spec)
      assert.equal(ours.metadata.name, object(rendered, kind).metadata.name)
    end
    assert.is_table(object(render("--set", "crossNamespace=deny"), KIND))
    assert.is_nil(object(render("--set", "crossNamespace=allow"), KIND))
    assert.is_nil(object(render("--set", "admissionPolicy.create=false"), KIND))
    assert.is_nil(object(render("--kube-version", "1.29.9"), KIND))
  end)

  it("gives rights on Secrets in the namespaces it is told, and then nowhere else", function()
    local function of_secrets(rules)
      for _, rule in ipairs(rules) do
        if rule.resources[1] == "secrets" then
          return rule
        end
      end
    end
    assert.same({ "get" }, of_secrets(object(render(), "ClusterRole").rules).verbs)
    local told = render("--set", "secretNamespaces={vcenters,team}")
    assert.is_nil(of_secrets(object(told, "ClusterRole").rules))
    assert.equal(#object(render(), "ClusterRole").rules - 1,
      #object(told, "ClusterRole").rules)
    local namespaces = {}
    for _, document in ipairs(assert(yaml.parse(told, { what = "rendered" }))) do
      if document.kind == "Role" and document.metadata.name:find("secrets$") then
        namespaces[#namespaces + 1] = document.metadata.namespace
        assert.same({ { apiGroups = { "" }, resources = { "secrets" }, verbs = { "get" } } },
          document.rules)
      end
    end
    assert.same({ "vcenters", "team" }, namespaces)
  end)

  it("ships the CustomResourceDefinitions beside the templates, never as one", function()
    local shipped = helm.run({ "show", "crds", helm.chart })
    for _, name in ipairs(lab.files("crds")) do
      local crd = assert(yaml.parse(assert(file.read("crds/" .. name))))[1]
      assert.truthy(shipped:find("name: " .. crd.metadata.name, 1, true), name)
    end
    assert.is_nil(object(render(), "CustomResourceDefinition"))
  end)

  it("takes the class of the claim under both of its names", function()
    local function class(...)
      local claim = object(render("--set", "pvcClaim.enabled=true", ...),
        "PersistentVolumeClaim")
      assert.equal("harvester-vm-import-controller",
        claim.metadata.labels["app.kubernetes.io/name"])
      return claim.spec.storageClassName
    end
    assert.is_nil(class())
    assert.equal("fast", class("--set", "pvcClaim.storageClass=fast"))
    assert.equal("fast", class("--set", "pvcClaim.storageClassName=fast"))
    assert.equal("", class("--set", "pvcClaim.storageClass=-"))
  end)

  it("runs as root only where that was asked for", function()
    local function contexts(...)
      local pod = object(render(...), "Deployment").spec.template.spec
      return pod.securityContext, pod.containers[1].securityContext
    end
    local pod, container = contexts()
    assert.is_true(pod.runAsNonRoot)
    assert.is_true(container.readOnlyRootFilesystem)
    pod, container = contexts("--set", "securityContext.runAsUser=0")
    assert.is_false(pod.runAsNonRoot)
    assert.equal(0, container.runAsUser)
    assert.same({ "ALL" }, container.capabilities.drop)
    assert.is_false((contexts("--set", "podSecurityContext.runAsUser=0")).runAsNonRoot)
  end)

  local REFUSED = {
    ["several replicas on an emptyDir"] = { "replicaCount=2", "several replicas" },
    ["several replicas on a ReadWriteOnce claim"] =
      { "replicaCount=2,pvcClaim.enabled=true", "several replicas" },
    ["a claim and no volume"] =
      { "pvcClaim.enabled=true,storage.enabled=false", "for none" },
    ["two classes"] =
      { "pvcClaim.storageClass=a,pvcClaim.storageClassName=b", "different classes" },
    ["a value that is misspelt"] = { "pvcClaim.sise=1Gi", "'sise' not allowed" },
    ["a value of another type"] = { "strictTLS=maybe", "want boolean" },
    ["a misspelt resource"] = { "resources.limit.cpu=1", "'limit' not allowed" },
    ["a quantity that is none"] = { "resources.limits.memory=much", "/resources/limits/memory" },
    ["a misspelt field of the pod's security context"] =
      { "podSecurityContext.fsGruop=1", "'fsGruop' not allowed" },
    ["a misspelt field of the container's security context"] =
      { "securityContext.runAsUsr=1", "'runAsUsr' not allowed" },
    ["a size that is none"] = { "storage.sizeLimit=much", "/storage/sizeLimit" },
    ["a misspelt peer of the NetworkPolicy"] =
      { "networkPolicy.imagePullers[0].podSelektor.matchLabels.app=x",
        "'podSelektor' not allowed" },
    ["a misspelt toleration"] = { "tolerations[0].efect=NoExecute", "'efect' not allowed" },
    ["a misspelt affinity"] = { "affinity.nodeAfinity.x=1", "'nodeAfinity' not allowed" },
    ["a mode that there is not"] = { "crossNamespace=maybe", "crossNamespace" },
    ["no replica by mistake"] = { "replicaCount=-1", "replicaCount" },
  }
  for what, case in pairs(REFUSED) do
    it("refuses " .. what, function()
      local result = helm.try({ "template", "r", helm.chart, "--set", case[1] })
      assert.not_equal(0, result.status)
      assert.truthy(result.stderr:find(case[2], 1, true), result.stderr)
    end)
  end
end)
