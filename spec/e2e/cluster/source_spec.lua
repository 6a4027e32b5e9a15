-- What a source says in a cluster: why it is not ready, whose certificate it takes, and
-- that it looks again when it is asked to.

local file = require "host.file"
local kinds = require "base.kinds"
local lab = require "support.lab"
local site_of = require "support.site"
local time = require "host.time"

local WITHIN = 60 -- seconds

local SCENARIO = { datacenters = { { path = "DC0" }, { path = "Region/DC1" } } }

describe("a source", function()
  local folder, site, sim, other, running, namespace

  lazy_setup(function()
    folder = lab.folder()
    site = site_of.open()
    local function simulator(name, flags)
      assert(file.mkdir(folder.path .. "/" .. name))
      return lab.simulator(folder.path .. "/" .. name, { scenario = SCENARIO,
        flags = flags, password = "right horse" })
    end
    sim, other = simulator("sim"), simulator("other", { "--leaf", "self" })
    running = site:controller()
  end)

  lazy_teardown(function()
    running:stop()
    getmetatable(sim).__close(sim)
    getmetatable(other).__close(other)
    site:close()
    getmetatable(folder).__close(folder)
  end)

  before_each(function()
    namespace = site:namespace()
  end)

  local function ready(name)
    return site:condition("VmwareSource", namespace, name or "vc", "Ready")
  end

  -- Until it says `reason`; its message.
  local function wait_reason(reason, name)
    local seen
    local ok = pcall(lab.wait_for, "", function()
      seen = ready(name)
      return seen.reason == reason
    end, WITHIN)
    assert(ok, ("not %s but %s: %s"):format(reason, seen.reason, seen.message))
    return seen.message, seen.status
  end

  local function assert_says(message, ...)
    for _, text in ipairs { ... } do
      assert(message:find(text, 1, true), ("%q lacks %q"):format(message, text))
    end
  end

  local function fingerprint(vsphere)
    return (vsphere.fingerprint:match("^%S+ (%S+)$"))
  end

  it("says that a name does not resolve, and which", function()
    site:source(namespace, "vc", sim, { spec = { endpoint = "https://vc.invalid/sdk" } })
    assert_says(wait_reason("NameNotResolved"), "vc.invalid")
    assert.equal("clusterNotReady", site:status("VmwareSource", namespace, "vc").status)
  end)

  it("says that nobody listens, and where", function()
    site:source(namespace, "vc", sim, { spec = { endpoint = "https://127.0.0.1:1/sdk" } })
    assert_says(wait_reason("NotReachable"), "127.0.0.1:1")
  end)

  it("says whose certificate it is that the Secret's CA does not vouch for", function()
    site:source(namespace, "vc", sim, { secret = { caCert = other.ca_pem } })
    assert_says(wait_reason("CertificateRefused"), "issuer", fingerprint(sim),
      "caCert of the Secret")
  end)

  it("says that the Secret's CA is none", function()
    site:source(namespace, "vc", sim, { secret = { caCert = "-----BEGIN CERTIFICATE-----\n"
      .. "...\n-----END CERTIFICATE-----\n" } })
    assert_says(wait_reason("CACertificateInvalid"), "caCert of the Secret", "PEM")
  end)

  it("says that the log-in was refused, and not with what", function()
    site:source(namespace, "vc", sim, { secret = { password = "wrong horse" } })
    local message, status = wait_reason("InvalidLogin")
    assert.equal("False", status)
    assert.is_nil(message:find("horse", 1, true))
  end)

  it("says which datacenters there are when dc is none of them", function()
    site:source(namespace, "vc", sim, { dc = "DCO" })
    assert_says(wait_reason("NotFound"), '"DCO"', "DC0", "Region/DC1")
  end)

  -- As a user does who has changed its Secret, and does not want to wait.
  local function look_again(text)
    site:kubectl({ "-n", namespace, "annotate", "--overwrite", "vmwaresource", "vc",
      "migration.harvesterhci.io/look-again=" .. text })
  end

  it("says that its Secret is missing, and goes on when it is there", function()
    site:source(namespace, "vc", sim)
    wait_reason("LoggedIn")
    site:kubectl({ "-n", namespace, "delete", "secret", "vc-creds" })
    look_again("1")
    assert_says(wait_reason("SecretNotFound"), namespace .. "/vc-creds")
    site:source(namespace, "vc", sim)
    wait_reason("LoggedIn")
  end)

  it("looks again at once when that is asked for, at its Secret too", function()
    site:source(namespace, "vc", sim)
    local _, status = wait_reason("LoggedIn")
    assert.equal("True", status)
    site:secret(namespace, "vc-creds", { password = "wrong horse" })
    look_again("1")
    wait_reason("InvalidLogin")
    assert.equal("clusterNotReady", site:status("VmwareSource", namespace, "vc").status)
    local changed = time.monotonic()
    site:secret(namespace, "vc-creds", { password = sim.password })
    look_again("2")
    wait_reason("LoggedIn")
    assert.truthy(time.monotonic() - changed < 25) -- not the next look, which is in 30 s
  end)

  describe("without a CA", function()
    local function pinned(name)
      site:source(namespace, name, other, { secret = { caCert = false } })
      wait_reason("LoggedIn", name)
      assert.equal(fingerprint(other),
        site:status("VmwareSource", namespace, name).certificateFingerprint)
    end

    after_each(function()
      other:post("/certificate", { server = "sdk", show = "right" })
    end)

    -- Anything that makes the controller look again.
    local function touch(name, spec)
      site:patch("VmwareSource", namespace, name, { spec = spec or { dc = "DC0 " } })
    end

    it("pins the certificate it meets first, refuses another, takes it when told", function()
      pinned("vc")
      other:post("/certificate", { server = "sdk", show = "other" })
      touch("vc")
      local message = wait_reason("CertificateChanged")
      assert_says(message, fingerprint(other), "spec.thumbprint")
      local new
      for print in message:gmatch("%x%x:[%x:]+") do
        new = print ~= fingerprint(other) and print or new
      end
      assert.equal(fingerprint(other),
        site:status("VmwareSource", namespace, "vc").certificateFingerprint)
      touch("vc", { thumbprint = new })
      wait_reason("LoggedIn")
      assert.equal(new, site:status("VmwareSource", namespace, "vc").certificateFingerprint)
    end)

    it("is refused at once where --strict-tls is set, with the field to set", function()
      running:stop()
      running = site:controller({ args = { "--strict-tls" } })
      site:source(namespace, "vc", other, { secret = { caCert = false } })
      assert_says(wait_reason("CertificateRefused"), "issuer", fingerprint(other),
        "spec.thumbprint")
      touch("vc", { thumbprint = fingerprint(other) })
      wait_reason("LoggedIn")
      running:stop()
      running = site:controller()
    end)
  end)

  it("is believed where --strict-tls is set if the system trusts its CA, and only then",
    function()
      running:stop()
      running = site:controller({ args = { "--strict-tls" },
        env = { SSL_CERT_FILE = sim.ca } })
      site:source(namespace, "known", sim, { secret = { caCert = false } })
      site:source(namespace, "unknown", other, { secret = { caCert = false } })
      wait_reason("LoggedIn", "known")
      assert.equal("False", site:condition("VmwareSource", namespace, "known",
        "CertificateUnverified").status)
      assert_says(wait_reason("CertificateRefused", "unknown"), fingerprint(other))
      running:stop()
      running = site:controller()
    end)

  it("that is an OVA nobody has says so, and names the field", function()
    site:apply(([[
apiVersion: %s
kind: OvaSource
metadata: {name: ova, namespace: %s}
spec: {url: "https://example.invalid/a.ova"}
]]):format(kinds.VmwareSource.api_version, namespace))
    lab.wait_for("it says so", function()
      return site:condition("OvaSource", namespace, "ova", "Stalled").status == "True"
    end)
    local condition = site:condition("OvaSource", namespace, "ova", "Ready")
    assert.equal("NameNotResolved", condition.reason)
    assert.matches("spec.url", condition.message, 1, true)
    assert.equal("clusterNotReady", site:status("OvaSource", namespace, "ova").status)
  end)
end)
