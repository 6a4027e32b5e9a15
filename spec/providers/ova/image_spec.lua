--- providers.ova.image: what the first bytes of a disk's file say.

local disks = require "support.disks"
local image = require "providers.ova.image"

local SIZE = 5 << 20

describe("the head of a disk's file", function()
  local folder, remove = disks.folder()
  teardown(remove)

  local function head_of(format, options)
    local path = folder .. "/disk"
    disks.run(("qemu-img create -q -f %s %s '%s' %d"):format(format, options or "", path,
      SIZE))
    local handle <close> = assert(io.open(path, "rb"))
    return handle:read(image.HEAD_BYTES) or ""
  end

  local CASES = {
    { "vmdk", "-o subformat=streamOptimized", { format = "vmdk", direct = true,
      capacity = SIZE } },
    { "vmdk", "", { format = "auto", direct = false, capacity = SIZE } },
    { "qcow2", "", { format = "auto", direct = false, capacity = SIZE } },
    { "vdi", "", { format = "auto", direct = false, capacity = SIZE } },
    { "vhdx", "", { format = "auto", direct = false } },
    { "vpc", "-o force_size", { format = "auto", direct = false, capacity = SIZE } },
    { "raw", "", { format = "raw", direct = true, capacity = SIZE } },
  }
  for _, case in ipairs(CASES) do
    it(("of a %s %s says what it is, and of which size"):format(case[1], case[2]), function()
      local stated = case[1] == "raw" and "raw" or "vmdk"
      assert.same(case[3], image.look(head_of(case[1], case[2]), { format = stated,
        size = SIZE }))
    end)
  end

  it("of what is no image leaves the word to the OVF", function()
    local text = "<html>" .. (" "):rep(4096)
    assert.same({ format = "vmdk", direct = true }, image.look(text, { format = "vmdk" }))
    assert.same({ format = "auto", direct = false }, image.look(text, { format = "auto" }))
  end)

  it("is not believed beyond reason", function()
    local head = head_of "qcow2"
    for _, size in ipairs { 0, 1 << 62, -1 } do
      local odd = head:sub(1, 24) .. string.pack(">i8", size) .. head:sub(33)
      assert.is_nil(image.look(odd, { format = "qcow2" }).capacity)
    end
    assert.is_nil(image.look(head:sub(1, 20), { format = "qcow2" }).capacity)
  end)

  it("of a compressed file says nothing of the disk", function()
    for format, direct in pairs { vmdk = true, raw = true, qcow2 = false, auto = false } do
      assert.same({ format = format, direct = direct }, image.look("\x1f\x8b\8" ..
        ("z"):rep(600), { format = format, compression = "gzip" }))
    end
  end)
end)
