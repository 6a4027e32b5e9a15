-- What a program within the limits of host.process.run can do once it is somebody else's:
-- nothing. The program is spec/labs/confine/taken.c; on a kernel without Landlock, or seccomp,
-- everything runs under spec/labs/confine/without.c.

local disks = require "support.disks"
local env = require "host.env"
local file = require "host.file"
local lab = require "support.lab"
local process = require "host.process"

local PROGRAMS = env.get("VIC_BUILD") .. "/spec/"
local TAKEN, WITHOUT = PROGRAMS .. "taken", PROGRAMS .. "without"
local SIGSYS = 31
local FAR = 60 -- seconds, of what must not be waited for

local OWN = tostring(file.read("/proc/self/stat")):match("^%d+")

-- What it tries -> how it is refused. EPERM: by the filter of system calls; EACCES: by
-- Landlock; the parent's files besides by the parent itself.
local EXPECTED = { EPERM = [[
  socket socket_unix socketpair connect sendmsg recvmsg fork vfork clone execve execveat
  pidfd_open pidfd_getfd pidfd_send_signal kill tgkill tkill ptrace process_vm_readv
  process_vm_writev process_madvise kcmp prlimit_parent io_uring io_setup memfd_create mount
  umount pivot_root chroot unshare setns keyctl add_key request_key bpf perf_event_open
  userfaultfd open_by_handle_at name_to_handle_at inotify_init fanotify_init setsid chmod chown
  unlink rename link symlink mkdir mknod truncate utimensat setxattr shmget msgget mq_open splice
  vmsplice ioctl_terminal ioctl_no_inherit dumpable ptracer personality sched_setaffinity
  setpriority seccomp init_module syslog clock_settime reboot]],
  EACCES = [[token token_write create passwd own_proc]],
  PARENT = [[parent_environ parent_memory parent_maps parent_descriptor parent_root]],
  ENOSYS = "clone3",
  EBADF = "descriptor",
}

-- {[attempt] = error}, as `taken` prints it, with other errors for some of the groups.
local function expected(changes)
  local all, count = {}, 0
  for group, names in pairs(EXPECTED) do
    for name in names:gmatch("%S+") do
      all[name] = changes[group] or group
      count = count + 1
    end
  end
  return all, count
end

local function attempts(text)
  local found = {}
  for name, outcome in text:gmatch("(%S+) (%S+)\n") do
    found[name] = outcome
  end
  return found
end

-- A script of this program's own in a process of its own, started by `before`.
local function script(before, text)
  local folder <close> = lab.folder()
  local path = folder.path .. "/script.lua"
  assert(file.write(path, text))
  local argv = { table.unpack(before) }
  table.move({ env.get("VIC_PROGRAM"), "script", path }, 1, 3, #argv + 1, argv)
  return assert(process.run({ argv = argv, inherit = true, timeout = FAR }))
end

-- As a script: runs `taken` within limits, and prints what it could do.
local function taken_over(token, first)
  return ([[
local process = require "host.process"
%s
local own = require("host.file").read("/proc/self/stat"):match("^%%d+")
local result, err = process.run({ argv = { %q, %q, own }, limits = {} })
require("host.env").stdout(result and result.stdout or err.kind .. ": " .. err.message)
]]):format(first or "", TAKEN, token)
end

describe("a converter that is taken over", function()
  local folder, remove = disks.folder()
  local token = folder .. "/token"

  setup(function()
    assert(file.write(token, "secret"))
  end)
  teardown(remove)

  it("reaches nothing of what it tries", function()
    local all, count = expected({ PARENT = "EACCES" })
    assert.is_true(count >= 80)
    local result = assert(process.run({ argv = { TAKEN, token, OWN }, limits = {} }))
    assert.same(all, attempts(result.stdout))
  end)

  it("may use the files that it was given, and those alone", function()
    local other = folder .. "/other"
    assert(file.write(other, "other"))
    local function copied(from, to)
      return assert(process.run({ argv = { "dd", "if=" .. from, "of=" .. to },
        limits = { read = { token }, write = { other } } })).status == 0
    end
    assert.is_true(copied(token, other))
    assert.equal("secret", file.read(other))
    assert.is_false(copied(other, token))
    assert.is_false(copied("/etc/passwd", other))
    assert.is_false(copied(token, folder .. "/new"))
    assert.is_nil(file.stat(folder .. "/new"))
  end)

  it("does not live on by the numbers of another architecture", function()
    local result = assert(process.run({ argv = { TAKEN, token, OWN, "old_numbers" }, limits = {} }))
    assert.same({ SIGSYS, "" }, { result.signal, result.stdout })
  end)

  it("reaches files by name, and nothing else, where there is no Landlock", function()
    local all = expected({ PARENT = "EACCES", EACCES = "REACHED" })
    local result = script({ WITHOUT, "landlock" }, taken_over(token))
    assert.same(all, attempts(result.stdout))
    os.remove(token .. ".new")
    assert.truthy(result.stderr:find("runs less confined: .* offers no Landlock"), result.stderr)
  end)

  it("is not started where the kernel lacks what is required, which says what to do", function()
    local first = "process.require_confinement({ seccomp = true, landlock = %s })"
    local result = script({ WITHOUT, "landlock" }, taken_over(token, first:format(true)))
    assert.truthy(result.stdout:find("^unsupported: .*taken is not started: "
      .. "%-%-require%-confinement: .*Landlock.*requireConfinement: seccomp"), result.stdout)
    result = script({ WITHOUT, "landlock" }, taken_over(token, first:format(false)))
    assert.equal("EPERM", attempts(result.stdout).socket)
    result = script({ WITHOUT, "seccomp" }, taken_over(token, first:format(false)))
    assert.truthy(result.stdout:find("^unsupported: .*seccomp.*requireConfinement: none"),
      result.stdout)
  end)
end)

describe("this program", function()
  it("hides its memory, environment and descriptors from who is the same user", function()
    local pipe = "for f in environ maps mem fd/1; do "
      .. "cat /proc/$PPID/$f >/dev/null 2>&1 && echo $f; done"
    local text = ([[
local result = require("host.process").run({ argv = { "sh", "-c", %q } })
require("host.env").stdout("read:" .. result.stdout)
]]):format(pipe)
    -- A root without capabilities is a user like others.
    local result = script({ "setpriv", "--bounding-set=-all", "--inh-caps=-all" }, text)
    assert.equal("read:", result.stdout)
  end)
end)

describe("the process of site scripts, taken over", function()
  it("is ended by whatever it tries", function()
    local all = expected({})
    all.old_numbers = "EPERM"
    for name in pairs(all) do
      local result = assert(process.run({ argv = { TAKEN, "--sandbox", "/none", OWN, name } }))
      assert.same({ name, SIGSYS, "" }, { name, result.signal, result.stdout })
    end
  end)

  it("is not started without a filter where one is required", function()
    local result = script({ WITHOUT, "seccomp" }, [[
require("host.process").require_confinement({ seccomp = true })
local child, err = require("host.sandbox").start()
require("host.env").stdout(child and "started" or err.message)
]])
    assert.truthy(result.stdout:find("^the process of site scripts is not started"),
      result.stdout)
  end)

  it("answers without a filter where none is required, with a warning", function()
    local result = script({ WITHOUT, "seccomp" }, [[
local child <close> = assert(require("host.sandbox").start())
local request = '{"script":"a","text":"return {}","deadline":60}'
require("host.env").stdout(assert(child:call(request, 60)))
]])
    assert.truthy(result.stdout:find('"hooks":[]', 1, true), result.stdout)
    assert.truthy(result.stderr:find("runs less confined", 1, true), result.stderr)
  end)
end)
