local cloud_init = require "policy.cloud_init"

describe("policy.cloud_init", function()
  it("tells an imported guest nothing", function()
    assert.is_nil(cloud_init.decide())
  end)

  it("takes user and network data, and forgets what is empty", function()
    assert.same({ user_data = "#cloud-config" },
      (cloud_init.check({ user_data = "#cloud-config", network_data = "" })))
    for _, nothing in ipairs({ "", { user_data = "" }, {} }) do
      local value, message = cloud_init.check(nothing)
      assert.is_nil(value)
      assert.is_nil(message)
    end
  end)

  it("refuses what KubeVirt would refuse", function()
    for _, wrong in ipairs({ 3, { user_data = 3 }, { network_data = "\xff" },
      { user_data = ("x"):rep(2049) } }) do
      local value, message = cloud_init.check(wrong)
      assert.is_nil(value)
      assert.is_string(message)
    end
    assert.is_not_nil(cloud_init.check({ user_data = ("x"):rep(2048) }))
  end)
end)
