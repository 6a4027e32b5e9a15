-- Machines from a folder of a web server: for each a description, web.yaml, and the raw
-- images of its disks beside it. A disk's id is the name of its file.
--
--   cpu: {sockets: 1, cores: 2}
--   memory_bytes: 2147483648
--   disks:
--   - {id: web-0.raw, capacity_bytes: 10737418240, bus: virtio}

local errors = require "host.error"
local files = require "providers.files"
local http = require "host.http"
local yaml = require "host.yaml"

local function get(source, name)
  local answer, err = source.pool:request({ url = source.url .. name })
  if answer and answer.status ~= 200 then
    err = errors.new(answer.status == 404 and "notfound" or "http",
      ("GET %s%s: status %d"):format(source.url, name, answer.status))
  end
  return not err and answer.body or nil, err
end

return files.provider("DirectorySource", {
  open = function(spec, secret)
    local tls = { ca = secret.caCert, thumbprint = spec.thumbprint }
    local pool, err = http.pool({ tls = tls })
    return pool and { url = spec.endpoint:gsub("/*$", "/"), tls = tls, pool = pool }, err
  end,

  close = function(source)
    source.pool:close()
  end,

  find = function(source, ref)
    local text, err = get(source, ref.name .. ".yaml")
    return text and ref.name, err
  end,

  inspect = function(source, name)
    local text, err = get(source, name .. ".yaml")
    local documents = text
    if text then
      documents, err = yaml.parse(text, { what = name .. ".yaml" })
    end
    return documents and documents[1], err
  end,

  stream = function(source, disk)
    return { url = source.url .. disk.id, tls = source.tls, format = "raw",
      size = disk.capacity_bytes, capacity = disk.capacity_bytes, resumable = true }
  end,
})
