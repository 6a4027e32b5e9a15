--- targets.stream_options: what host.disk has to know to read a disk at its source.

--- stream_options(stream, disk, limits) -> options of disk.transfer and disk.stream
--
--   stream        as a provider's export:stream() returns it
--   disk          of the plan
--   limits        {idle_timeout, least_rate} as disk.transfer has them; nil: its own;
--                 the stream's own go first
return function(stream, disk, limits)
  return {
    source = {
      url = stream.url,
      file = stream.file,
      zeros = stream.zeros,
      headers = stream.headers,
      renewal = stream.renewal,
      tls = stream.tls,
      connect_to = stream.connect_to,
      resumable = stream.resumable,
      offset = stream.offset,
      length = stream.length,
    },
    format = stream.format,
    compression = stream.compression,
    size = stream.size,
    digest = stream.digest,
    capacity = disk.capacity_bytes,
    digests = stream.algorithms or {}, -- what the source may say it sent
    idle_timeout = stream.idle_timeout or limits.idle_timeout,
    least_rate = stream.least_rate or limits.least_rate,
  }
end
