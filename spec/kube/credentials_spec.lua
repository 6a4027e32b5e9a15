-- Whose credential it is, and until when, however the clock is set meanwhile.

local credentials = require "kube.credentials"
local disks = require "support.disks"
local file = require "host.file"
local time = require "host.time"

describe("the credential of a plugin", function()
  local folder, remove = disks.folder()

  teardown(remove)

  -- A plugin that counts how often it is run; what it gives ends ten minutes after `now`.
  local function plugin(clock)
    local path = folder .. "/plugin"
    assert(file.write(path, ([[#!/bin/sh
      echo x >>"$0.runs"
      echo '{"kind":"ExecCredential","status":{"token":"'$(wc -l <"$0.runs")'",
        "expirationTimestamp":"%s"}}']]):format(time.rfc3339(clock.now() + 600)),
      { mode = 448 }))
    assert(file.remove(path .. ".runs", { missing_ok = true }))
    return credentials.of({ exec = { command = path } }, { folder = folder,
      now = clock.now, boottime = clock.boottime })
  end

  local function clock_at(now)
    local clock = { wall = now, up = 1000 }
    function clock.now() return clock.wall end
    function clock.boottime() return clock.up end
    return clock
  end

  it("is had again shortly before its end", function()
    local clock = clock_at(2 ^ 30)
    local credential = plugin(clock)
    assert.equal("Bearer 1", credential().headers.Authorization)
    clock.up = clock.up + 580
    assert.equal("Bearer 1", credential().headers.Authorization)
    clock.up = clock.up + 11
    assert.equal("Bearer 2", credential().headers.Authorization)
  end)

  for what, jump in pairs { ["an hour ahead"] = 3600, ["an hour back"] = -3600 } do
    it("ends when it ends, though the clock is set " .. what, function()
      local clock = clock_at(2 ^ 30)
      local credential = plugin(clock)
      assert.equal("Bearer 1", credential().headers.Authorization)
      clock.wall = clock.wall + jump
      assert.equal("Bearer 1", credential().headers.Authorization)
      clock.up, clock.wall = clock.up + 595, clock.wall + 595
      assert.equal("Bearer 2", credential().headers.Authorization)
    end)
  end
end)
