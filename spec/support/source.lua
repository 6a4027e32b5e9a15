--- support.source: a provider's source without a network, for specs of the steps.

local new_machine = require("support.machine").new

local M = {}

--- source.new(opts) -> source
-- A provider's source whose machine can be told to misbehave.
function M.new(opts)
  local source = {
    power = opts.power or "off", exports = 0, completed = 0, aborted = 0,
    asked = 0, cut = 0, epoch = "1", -- the stamp: another one after the guest wrote
  }
  function source:find()
    if opts.find_error then
      return nil, opts.find_error
    end
    return "vm-1"
  end
  function source:inspect()
    return new_machine(opts.machine)
  end
  function source:preflight()
    return opts.findings or {}
  end
  function source:networks()
    return { { name = "VM Network", id = "network-7", path = "/DC0/network/VM Network" } }
  end
  function source:power_state()
    if opts.state_errors and #opts.state_errors > 0 then
      return nil, table.remove(opts.state_errors, 1)
    end
    return self.power
  end
  function source:stamp()
    return opts.stamp_error and nil or self.epoch, opts.stamp_error
  end
  function source:shutdown_guest()
    self.asked = self.asked + 1
    if opts.shutdown_errors and #opts.shutdown_errors > 0 then
      local err = opts.shutdown_errors[1]
      if not opts.same_always then
        table.remove(opts.shutdown_errors, 1)
      end
      return nil, err
    end
    if not opts.deaf then
      self.power = "off"
    end
    return true
  end
  function source:power_off()
    if opts.power_off_errors and #opts.power_off_errors > 0 then
      return nil, table.remove(opts.power_off_errors, 1)
    end
    self.cut = self.cut + 1
    self.power = "off"
    return true
  end
  function source:export(_, callbacks)
    self.exports = self.exports + 1
    if opts.export_error then
      return nil, opts.export_error
    end
    source.found_recorded = #callbacks.recorded
    callbacks.record({ kind = "HttpNfcLease", name = "lease-1" })
    local export = setmetatable({}, { __close = function(export)
      if not export.done then
        source.aborted = source.aborted + 1
      end
    end })
    function export.stream(_, id)
      return { url = "https://host/" .. id, format = "vmdk" }
    end
    function export.progress() end
    function export.lost() end
    function export.complete(export_)
      if opts.complete_errors and #opts.complete_errors > 0 then
        return nil, table.remove(opts.complete_errors, 1)
      end
      export_.done = true
      source.completed = source.completed + 1
      callbacks.record({ kind = "HttpNfcLease", name = "lease-1", gone = true })
      return opts.sent or {}
    end
    return export
  end
  function source:cleanup()
    return {}
  end
  return setmetatable(source, { __close = function() end })
end

return M
