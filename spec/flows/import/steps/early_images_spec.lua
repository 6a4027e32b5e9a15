local early_images = require "flows.import.steps.early_images"
local errors = require "host.error"
local steps = require "support.steps"

describe("flows.import.steps.early_images", function()
  local function world(...)
    local w = steps.world({ status = { diskImportStatus = steps.entries(...) } })
    w.target.disks.coming = true
    return w, w.import.status.plan.disks
  end

  local function comes(position)
    return { progress = function() return { position = position } end }
  end

  describe("serve", function()
    it("gives what has come to whoever asks, and holds it when the fetch ends", function()
      local w, disks = world()
      do
        local served <close> = early_images.serve(w.import, w.ctx, disks[1])
        assert.same({ "publish web-0 /r0" }, w.asked)
        assert.is_true(served.is_published)
      end
      assert.same({ "publish web-0 /r0", "hold web-0 /r0" }, w.asked)
    end)

    it("goes on giving a disk that is whole", function()
      local w, disks = world()
      do
        local served <close> = early_images.serve(w.import, w.ctx, disks[1])
        served.whole = true
      end
      assert.same({ "publish web-0 /r0" }, w.asked)
    end)

    it("gives nothing of a disk that cannot be read while it comes", function()
      local w, disks = world()
      w.target.disks.coming = false
      do
        local _ <close> = early_images.serve(w.import, w.ctx, disks[1])
      end
      w.target.disks.coming, w.target.can.images = true, false
      do
        local _ <close> = early_images.serve(w.import, w.ctx, disks[1])
      end
      assert.same({}, w.asked)
    end)
  end)

  describe("submit", function()
    it("makes images of disks that have begun to come, or are whole", function()
      local w = world()
      w.target.disks.whole = { ["2001"] = true }
      early_images.submit(w.import, w.ctx, { ["2000"] = comes(1) })
      assert.same({ "put VirtualMachineImage web-0-img", "put VirtualMachineImage web-1-img" },
        w:asked_for("^put"))
      assert.equal("web-0-img", w:status().diskImportStatus[1].VirtualMachineImage)
      assert.equal("web-1-img", w:status().diskImportStatus[2].VirtualMachineImage)
    end)

    it("makes none of disks of which nothing has come", function()
      local w = world()
      w.target.disks.whole = { ["2000"] = true } -- of an earlier run: it is fetched again
      early_images.submit(w.import, w.ctx, { ["2000"] = comes(0) })
      assert.same({}, w.asked)
    end)

    it("makes none twice", function()
      local w = world({ VirtualMachineImage = "web-0-img" }, { VirtualMachineImage = "" })
      early_images.submit(w.import, w.ctx, { ["2000"] = comes(1), ["2001"] = comes(1) })
      assert.same({ "put VirtualMachineImage web-1-img" }, w:asked_for("^put"))
    end)

    it("makes none of disks that cannot be read while they come", function()
      local w = world()
      w.target.disks.coming = false
      early_images.submit(w.import, w.ctx, { ["2000"] = comes(1) })
      assert.same({}, w.asked)
    end)

    it("makes the others when one cannot be made, and throws why", function()
      local w = world()
      local put = w.target.put
      function w.target:put(manifest)
        if manifest.metadata.name == "web-0-img" then
          return nil, errors.new("busy", "no webhook")
        end
        return put(self, manifest)
      end
      local err = w:fails(early_images.submit, { ["2000"] = comes(1), ["2001"] = comes(1) })
      assert.equal("no webhook", err.message)
      assert.is_nil(w:status().diskImportStatus[1].VirtualMachineImage)
      assert.equal("web-1-img", w:status().diskImportStatus[2].VirtualMachineImage)
    end)

    it("throws what was wrong with the first", function()
      local w = world()
      local tried = 0
      function w.target.put()
        tried = tried + 1
        return nil, errors.new("busy", "number " .. tried)
      end
      local err = w:fails(early_images.submit, { ["2000"] = comes(1), ["2001"] = comes(1) })
      assert.equal("number 1", err.message)
      assert.equal(2, tried)
    end)
  end)
end)
