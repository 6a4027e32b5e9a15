local ovf = require "providers.ova.ovf"
local nodes = require "providers.ova.ovf.nodes"
local support = require "support.ovf"
local xml = require "host.xml"

local V1 = "http://schemas.dmtf.org/ovf/envelope/1"

describe("nodes", function()
  it("knows names by their namespace, not by their prefix", function()
    local node = xml.parse(('<E xmlns:ovf="urn:other" xmlns:x="%s" ovf:id="a" x:id="b"/>')
      :format(V1))
    assert.equal("b", nodes.attr(node, "id"))
    node = xml.parse(('<E xmlns="%s"><x:Disk xmlns:x="urn:other"/><Disk a="1"/></E>')
      :format(V1))
    assert.equal(1, #nodes.all(node, "Disk"))
    assert.equal("1", nodes.attr(nodes.first(node, "Disk"), "a"))
  end)

  it("reads OVF 0.9, 1 and 2, whatever its namespace is called", function()
    for _, uri in ipairs { V1 .. "/", "http://schemas.dmtf.org/ovf/envelope/2",
      "http://www.vmware.com/schema/ovf/1/envelope" } do
      local text = support.text("vmware"):gsub(V1:gsub("%p", "%%%0"), uri)
      assert.equal(2, #assert(ovf.read(text)).disks, uri)
    end
  end)

  it("reads sections as types of a Section", function()
    local text = support.text("vmware"):gsub("<(%u%l+Section)",
      '<Section xsi:type="ovf:%1_Type"'):gsub("</%u%l+Section>", "</Section>")
      :gsub("<VirtualHardwareSection", '<Section xsi:type="ovf:VirtualHardwareSection_Type"')
      :gsub("<OperatingSystemSection", '<Section xsi:type="ovf:OperatingSystemSection_Type"')
      :gsub("</VirtualHardwareSection>", "</Section>")
      :gsub("</OperatingSystemSection>", "</Section>")
    local machine = assert(ovf.read(text))
    assert.equal(2, #machine.disks)
    assert.equal("ubuntu64Guest", machine.guest.id)
    assert.same({}, machine.findings)
  end)

  it("takes an ovf:required that is not there for neither", function()
    local node = xml.parse(('<a xmlns:o="%s"><b/><b o:required="false"/><b o:required="true"/>'
      .. "</a>"):format(V1))
    assert.is_nil(nodes.required(node[1]))
    assert.is_false(nodes.required(node[2]))
    assert.is_true(nodes.required(node[3]))
  end)
end)
