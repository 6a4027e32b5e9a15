local input = require "cli.input"
local errors = require "host.error"
local file = require "host.file"
local secrets = require "controller.secrets"

-- Values as a Secret may hold them, with an end that nobody meant, and as they are meant.
local VALUES = {
  ["s3cret"] = "s3cret",
  ["s3cret\n"] = "s3cret",
  ["s3cret\r\n"] = "s3cret",
  ["s3cret\n\n"] = "s3cret\n", -- one line's end is that of echo; more were typed
  ["s3cret "] = "s3cret ",
  ["\ns3cret"] = "\ns3cret",
  ["\n"] = "",
  [""] = "",
}

local function base64(text)
  return require("host.digest").base64_encode(text)
end

describe("secrets.text", function()
  for written, meant in pairs(VALUES) do
    it(("takes %q without the line's end of echo"):format(written), function()
      assert.equal(meant, secrets.text(written))
    end)
  end
end)

describe("a Secret that may not be read", function()
  it("is waited for, and the message says who can change that", function()
    local read = secrets.reader({ get = function()
      return nil, errors.new("denied", "secrets is forbidden", { status = 403 })
    end })
    local secret, err = read({ name = "s", namespace = "team" }, "default")
    assert.is_nil(secret)
    assert.equal("SecretNotReadable", err.waits)
    assert.equal("SecretNotReadable", err.reason)
    assert.equal("Secret team/s may not be read (secrets is forbidden); list namespace team "
      .. "in the chart's secretNamespaces, or grant get on it", err.message)
  end)
end)

describe("a Secret with a line's end", function()
  it("is read the same from a cluster and from a file", function()
    local read = secrets.reader({ get = function()
      return { metadata = {}, data = { password = base64("s3cret\n") } }
    end })
    assert.equal("s3cret", read({ name = "s" }, "default").data.password)

    local path = os.tmpname()
    assert(file.write(path, table.concat {
      "kind: Secret\nmetadata: {name: s}\ndata: {password: ", base64("s3cret\n"),
      "}\nstringData: {username: \"u\\n\"}\n---\n",
      "apiVersion: migration.harvesterhci.io/v1beta1\nkind: VirtualMachineImport\n",
      "metadata: {name: vm}\nspec: {}\n",
    }))
    local found = input.read(path)
    os.remove(path)
    assert.same({ password = "s3cret", username = "u" }, found.secrets["default/s"])
  end)
end)
