local file = require "host.file"
local task = require "host.task"

describe("host.file", function()
  local dir

  before_each(function()
    dir = os.tmpname()
    os.remove(dir)
    assert(file.mkdir(dir))
  end)

  after_each(function()
    assert(file.remove(dir, { recursive = true, missing_ok = true }))
  end)

  describe("read", function()
    it("gives back what write was given, zero bytes and all", function()
      local text = ("\0\255line\n"):rep(50000)
      assert.is_true(file.write(dir .. "/a", text))
      assert.is_true(text == file.read(dir .. "/a"))
    end)

    it("reads an empty file as an empty text", function()
      assert(file.write(dir .. "/a", ""))
      assert.equal("", file.read(dir .. "/a"))
    end)

    it("refuses what is larger than max, and takes what is just as large", function()
      assert(file.write(dir .. "/a", "12345"))
      assert.equal("12345", file.read(dir .. "/a", { max = 5 }))
      local text, err = file.read(dir .. "/a", { max = 4 })
      assert.is_nil(text)
      assert.equal("invalid", err.kind)
      assert.truthy(err.message:find("larger than 4 bytes", 1, true))
    end)

    it("reads the first bytes alone of a file of any size", function()
      assert(file.write(dir .. "/a", "12345"))
      assert.equal("123", file.read(dir .. "/a", { first = 3, max = 1 }))
      assert.equal("12345", file.read(dir .. "/a", { first = 9 }))
      assert.equal("notfound", select(2, file.read(dir .. "/none", { first = 9 })).kind)
    end)

    it("says what is wrong and with which file", function()
      local _, err = file.read(dir .. "/none")
      assert.equal("notfound", err.kind)
      assert.equal("reading " .. dir .. "/none: No such file or directory", err.message)
      _, err = file.read(dir)
      assert.equal("io", err.kind)
    end)

    it("can be cancelled while a pipe stays silent", function()
      assert.is_true(os.execute("mkfifo " .. dir .. "/pipe"))
      local writer = assert(io.open(dir .. "/pipe", "r+"))
      local reading = task.spawn(file.read, dir .. "/pipe")
      task.sleep(0.005)
      assert.is_false(reading:done())
      assert.is_true(reading:cancel(5))
      writer:close()
    end)

    it("throws for a path that holds a zero byte", function()
      assert.has_error(function()
        file.read(dir .. "/a\0b")
      end)
    end)
  end)

  describe("write", function()
    it("replaces the file and leaves nothing else in the folder", function()
      assert(file.write(dir .. "/a", "old"))
      assert(file.write(dir .. "/a", "new"))
      assert.equal("new", file.read(dir .. "/a"))
      assert.same({ "a" }, file.list(dir))
    end)

    it("sets exactly the mode it is given, 0600 if none", function()
      assert(file.write(dir .. "/a", ""))
      assert(file.write(dir .. "/b", "", { mode = tonumber("666", 8) }))
      assert.equal(tonumber("600", 8), file.stat(dir .. "/a").mode)
      assert.equal(tonumber("666", 8), file.stat(dir .. "/b").mode)
    end)

    it("replaces a link, not what it points to", function()
      assert(file.write(dir .. "/a", "kept"))
      assert.is_true(os.execute("ln -s a " .. dir .. "/link"))
      assert(file.write(dir .. "/link", "new"))
      assert.equal("kept", file.read(dir .. "/a"))
      assert.equal("file", file.stat(dir .. "/link").kind)
    end)

    it("leaves the old file and no other when it fails", function()
      assert(file.mkdir(dir .. "/a"))
      assert(file.write(dir .. "/a/inside", "x"))
      local _, err = file.write(dir .. "/a", "new")
      assert.equal("io", err.kind)
      assert.same({ "a" }, file.list(dir))
      _, err = file.write(dir .. "/none/a", "new")
      assert.equal("notfound", err.kind)
    end)

    it("leaves the whole old or the whole new file, and no other, when cancelled", function()
      local old, new = "old", ("n"):rep(8 * 1024 * 1024)
      for i = 0, 10 do
        assert(file.write(dir .. "/a", old))
        local writing = task.spawn(file.write, dir .. "/a", new)
        task.sleep(i * 0.0004)
        assert.is_true(writing:cancel(5))
        -- The worker may be at it still: wait until it has let go.
        local text
        repeat
          text = file.read(dir .. "/a")
          assert.is_true(text == old or text == new)
        until #file.list(dir) == 1
      end
    end)
  end)

  describe("mkdir", function()
    it("makes parents only when asked", function()
      local _, err = file.mkdir(dir .. "/a/b/c")
      assert.equal("notfound", err.kind)
      assert.is_true(file.mkdir(dir .. "/a//b/c/", { parents = true }))
      assert.equal("directory", file.stat(dir .. "/a/b/c").kind)
    end)

    it("is content with a folder that is there, not with a file", function()
      assert.is_true(file.mkdir(dir))
      assert(file.write(dir .. "/a", ""))
      local done, err = file.mkdir(dir .. "/a")
      assert.is_nil(done)
      assert.equal("io", err.kind)
      assert.truthy(err.message:find("Not a directory", 1, true))
    end)
  end)

  describe("mkdir for us alone", function()
    local function private(path)
      return file.mkdir(path, { parents = true, private = true })
    end

    it("makes what nobody else may look into", function()
      assert(private(dir .. "/a/b"))
      assert.equal(7 * 64, file.stat(dir .. "/a/b").mode)
    end)

    it("takes ours, and the rights of others from it", function()
      assert(file.mkdir(dir .. "/a"))
      os.execute(("chmod 2775 '%s/a'"):format(dir)) -- as a volume's fsGroup leaves it
      assert(private(dir .. "/a"))
      assert.equal(7 * 64, file.stat(dir .. "/a").mode)
    end)

    it("refuses a link, a file, what all may write, and what is another's", function()
      local made = { link = "ln -s /var/tmp '%s'", file = "touch '%s'",
        all = "mkdir -m 777 '%s'", other = "mkdir -m 700 '%s' && chown 12345 '%s'" }
      local said = { link = "is a link or a file", file = "", all = "everybody may write",
        other = "belongs to user 12345, not to us" }
      for name, command in pairs(made) do
        local path = dir .. "/" .. name
        if os.execute(command:format(path, path)) then -- no chown without root
          local ok, err = private(path)
          assert.is_nil(ok, name)
          assert.truthy(err.message:find(said[name], 1, true), err.message)
          assert.truthy(err.message:find(path, 1, true), err.message)
        end
      end
    end)
  end)

  describe("remove", function()
    it("removes a file, an empty folder, and a link but not its target", function()
      assert(file.write(dir .. "/a", "kept"))
      assert(file.mkdir(dir .. "/b"))
      assert.is_true(os.execute("ln -s a " .. dir .. "/link"))
      assert.is_true(file.remove(dir .. "/link"))
      assert.is_true(file.remove(dir .. "/b"))
      assert.same({ "a" }, file.list(dir))
      assert.is_true(file.remove(dir .. "/a"))
      assert.same({}, file.list(dir))
    end)

    it("refuses a folder that is not empty unless it is recursive", function()
      assert(file.mkdir(dir .. "/a/b/c", { parents = true }))
      assert(file.write(dir .. "/a/b/x", ""))
      local done, err = file.remove(dir .. "/a")
      assert.is_nil(done)
      assert.equal("io", err.kind)
      assert.is_true(file.remove(dir .. "/a", { recursive = true }))
      assert.same({}, file.list(dir))
    end)

    it("never follows a link out of the folder", function()
      assert(file.mkdir(dir .. "/out"))
      assert(file.write(dir .. "/out/kept", ""))
      assert(file.mkdir(dir .. "/a"))
      assert.is_true(os.execute("ln -s ../out " .. dir .. "/a/link"))
      assert.is_true(file.remove(dir .. "/a", { recursive = true }))
      assert.same({ "kept" }, file.list(dir .. "/out"))
      assert.is_true(os.execute("ln -s out " .. dir .. "/link"))
      assert.is_true(file.remove(dir .. "/link", { recursive = true }))
      assert.same({ "kept" }, file.list(dir .. "/out"))
    end)

    it("minds a missing name unless told not to", function()
      local _, err = file.remove(dir .. "/none")
      assert.equal("notfound", err.kind)
      _, err = file.remove(dir .. "/none", { recursive = true })
      assert.equal("notfound", err.kind)
      assert.is_true(file.remove(dir .. "/none", { missing_ok = true }))
      assert.is_true(file.remove(dir .. "/none", { missing_ok = true, recursive = true }))
    end)

    it("refuses to empty the root or the folder it stands in", function()
      for _, path in ipairs({ "/", "//", dir .. "/.", dir .. "/.." }) do
        local done, err = file.remove(path, { recursive = true })
        assert.is_nil(done)
        assert.equal("invalid", err.kind)
      end
    end)
  end)

  it("rename replaces what was there", function()
    assert(file.write(dir .. "/a", "new"))
    assert(file.write(dir .. "/b", "old"))
    assert.is_true(file.rename(dir .. "/a", dir .. "/b"))
    assert.same({ "b" }, file.list(dir))
    assert.equal("new", file.read(dir .. "/b"))
    local _, err = file.rename(dir .. "/a", dir .. "/b")
    assert.equal("notfound", err.kind)
  end)

  it("list sorts by bytes and shows hidden names", function()
    for _, name in ipairs({ "b", "a", "B", ".c", "ä" }) do
      assert(file.write(dir .. "/" .. name, ""))
    end
    assert.same({ ".c", "B", "a", "b", "ä" }, file.list(dir))
    local _, err = file.list(dir .. "/a")
    assert.equal("io", err.kind)
  end)

  describe("stat", function()
    it("tells a sparse file's length from what it takes on the disk", function()
      assert.is_true(os.execute("truncate -s 10M " .. dir .. "/a"))
      local stat = file.stat(dir .. "/a")
      assert.equal(10 * 1024 * 1024, stat.size)
      assert.is_true(stat.blocks_bytes < 1024 * 1024)
      assert.equal("file", stat.kind)
      assert.is_true(math.abs(stat.mtime - os.time()) < 60)
    end)

    it("sees a link itself unless it follows", function()
      assert.is_true(os.execute("ln -s . " .. dir .. "/link"))
      assert.equal("link", file.stat(dir .. "/link").kind)
      assert.equal("directory", file.stat(dir .. "/link", { follow = true }).kind)
    end)
  end)

  it("statfs tells the space of a file system", function()
    local space = assert(file.statfs(dir))
    assert.is_true(space.total_bytes > 0)
    assert.is_true(space.free_bytes <= space.total_bytes)
    local _, err = file.statfs(dir .. "/none")
    assert.equal("notfound", err.kind)
  end)

  describe("lock", function()
    it("is held by one until closed, by a folder as well as by a file", function()
      for _, path in ipairs({ dir .. "/lock", dir }) do
        local lock = assert(file.lock(path))
        local second, err = file.lock(path)
        assert.is_nil(second)
        assert.equal("busy", err.kind)
        lock:close()
        local third <close> = assert(file.lock(path))
        assert(third)
      end
    end)

    it("is given back when its holder fails", function()
      task.spawn(function()
        local lock <close> = assert(file.lock(dir .. "/lock"))
        assert(lock)
        error("stop")
      end):join()
      local lock <close> = assert(file.lock(dir .. "/lock"))
      assert(lock)
    end)
  end)
end)
