local json = require "host.json"
local merge_patch = require "kube.merge_patch"

-- The examples of RFC 7396, appendix A, that tables can express.
local CASES = {
  { '{"a":"b"}', '{"a":"c"}', '{"a":"c"}' },
  { '{"a":"b"}', '{"b":"c"}', '{"a":"b","b":"c"}' },
  { '{"a":["b"]}', '{"a":"c"}', '{"a":"c"}' },
  { '{"a":"c"}', '{"a":["b"]}', '{"a":["b"]}' },
  { '{"a":[{"b":"c"}]}', '{"a":[1]}', '{"a":[1]}' },
  { '["a","b"]', '["c","d"]', '["c","d"]' },
  { '{"a":{"b":"c"}}', '{"a":{"b":"d"}}', '{"a":{"b":"d"}}' },
}

describe("merge_patch.apply", function()
  for _, case in ipairs(CASES) do
    it(("makes %s of %s and %s"):format(case[3], case[1], case[2]), function()
      local result = merge_patch.apply(json.decode(case[1]), json.decode(case[2]))
      assert.equal(case[3], json.encode(result))
    end)
  end

  it("deletes what json.null names, at any depth", function()
    local result = merge_patch.apply({ a = { b = 1, c = 2 } }, { a = { b = json.null } })
    assert.same({ a = { c = 2 } }, result)
  end)

  it("changes neither of its arguments", function()
    local target, patch = { a = { b = 1 } }, { a = { b = 2, c = json.null } }
    merge_patch.apply(target, patch)
    assert.same({ a = { b = 1 } }, target)
    assert.equal(json.null, patch.a.c)
  end)
end)

describe("merge_patch.changes", function()
  local there = json.decode('{"a":{"b":1},"list":[{"x":1},2],"text":"t","none":[]}')

  for _, patch in ipairs { '{}', '{"a":{"b":1}}', '{"list":[{"x":1},2],"none":[]}',
    '{"a":{}}' } do
    it("sees that nothing changes by " .. patch, function()
      assert.is_false(merge_patch.changes(there, json.decode(patch)))
    end)
  end

  for _, patch in ipairs { '{"a":{"b":2}}', '{"a":{"c":1}}', '{"list":[{"x":1}]}',
    '{"list":[{"x":1,"y":1},2]}', '{"new":[]}', '{"text":{}}', '{"a":"b"}' } do
    it("sees what changes by " .. patch, function()
      assert.is_true(merge_patch.changes(there, json.decode(patch)))
    end)
  end

  it("sees what json.null deletes, and that there was nothing to delete", function()
    assert.is_true(merge_patch.changes(there, { text = json.null }))
    assert.is_false(merge_patch.changes(there, { gone = json.null }))
  end)
end)

describe("merge_patch.replacing", function()
  local values = { '{"a":{"b":1,"c":[1]},"list":[{"x":1}],"t":"t"}', '{"a":{"c":[]}}',
    '{}', '{"a":"text","new":{"deep":{"er":1}}}', '{"a":null}' }
  for _, before in ipairs(values) do
    for _, after in ipairs(values) do
      it(("leads from %s to %s"):format(before, after), function()
        local patch = merge_patch.replacing(json.decode(before), json.decode(after))
        assert.same(merge_patch.apply(nil, json.decode(after)),
          merge_patch.apply(json.decode(before), patch))
      end)
    end
  end

  it("is the value where there was nothing", function()
    assert.same({ a = 1 }, merge_patch.replacing(nil, { a = 1 }))
    assert.equal("t", merge_patch.replacing({ a = 1 }, "t"))
  end)
end)
