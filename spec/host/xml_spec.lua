local xml = require "host.xml"

local XSI = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'

local function refusal(text, opts)
  opts = opts or {}
  opts.what = "reply"
  local node, err = xml.parse(text, opts)
  assert.is_nil(node, text)
  assert.equal("format", err.kind)
  return err.message
end

describe("xml.parse:", function()
  it("gives name, namespace, attributes, text and children", function()
    local root = assert(xml.parse([[<?xml version="1.0" encoding="UTF-8"?>
<e:Envelope xmlns:e="urn:soap" xmlns="urn:vim25"><name key="a&amp;b" e:x="1">a &lt;01&gt;
</name><e:empty/></e:Envelope>]]))
    assert.equal("Envelope", root.name)
    assert.equal("urn:soap", root.ns)
    assert.same({}, root.attrs)
    assert.equal("", root.text)
    assert.equal(2, #root)
    assert.equal("name", root[1].name)
    assert.equal("urn:vim25", root[1].ns)
    assert.same({ key = "a&b", ["{urn:soap}x"] = "1" }, root[1].attrs)
    assert.equal("a <01>\n", root[1].text)
    assert.equal("empty", root[2].name)
    assert.equal("", root[2].text)
  end)

  it("gives elements of no namespace an empty one", function()
    assert.equal("", xml.parse("<a/>").ns)
    assert.equal("", xml.parse('<a xmlns="urn:x"><b xmlns=""/></a>')[1].ns)
  end)

  it("joins an element's own texts, without its children's", function()
    local root = xml.parse("<a>one<b>x</b>two<!-- c --> <?p i?>three<![CDATA[<&]]></a>")
    assert.equal("onetwo three<&", root.text)
    assert.equal("x", root[1].text)
  end)

  it("keeps text that is only space", function()
    assert.equal("  ", xml.parse("<a>  </a>").text)
  end)

  it("reads a long text whole", function()
    local text = ("0123456789 ä€"):rep(100000)
    assert.equal(text, xml.parse("<a>" .. text .. "</a>").text)
  end)

  it("reads many pieces of text in time that grows with their number", function()
    local root = xml.parse("<a>" .. ("x<b/>"):rep(200000) .. "</a>",
      { max_memory = 1 << 30 })
    assert.equal(200000, #root)
    assert.equal(200000, #root.text)
  end)

  it("lets nobody write into the attributes that all bare nodes share", function()
    assert.has_error(function()
      xml.parse("<a/>").attrs.x = 1
    end)
  end)

  it("refuses a DOCTYPE before anything in it is read", function()
    local bomb = '<!DOCTYPE a [<!ENTITY x "xxxxxxxxxx"><!ENTITY y "&x;&x;&x;&x;">]>'
      .. "<a>&y;</a>"
    assert.equal("reply:1:1: a DOCTYPE is not taken", refusal(bomb))
    assert.matches("^reply:3:2: a DOCTYPE",
      refusal('<?xml version="1.0"?>\n<!-- <a> -->\n <!DOCTYPE a SYSTEM "file:x"><a/>'))
    assert.matches("DOCTYPE", refusal("\239\187\191<!DOCTYPE a><a/>"))
    assert.matches("DOCTYPE", refusal("<!doctype html><a/>"))
    for _, comment in ipairs({ "<!--><a>-->", "<!---><a>-->", "<!--<a>-->" }) do
      assert.matches("DOCTYPE", refusal(comment .. "<!DOCTYPE a [<!ENTITY x 'y'>]><a/>"))
    end
  end)

  it("knows no entities but the five of XML and characters by number", function()
    assert.equal("<>&\"'ä", xml.parse("<a>&lt;&gt;&amp;&quot;&apos;&#228;</a>").text)
    assert.matches("^reply:1:%d+: Entity 'nbsp' not defined", refusal("<a>&nbsp;</a>"))
  end)

  it("does not follow an XInclude", function()
    local root = xml.parse('<a xmlns:i="http://www.w3.org/2001/XInclude">'
      .. '<i:include href="/etc/hostname" parse="text"/></a>')
    assert.equal("include", root[1].name)
    assert.equal("", root.text)
  end)

  it("refuses what is not well-formed and says where", function()
    for _, text in ipairs({ "", "x", "<a>", "<a></b>", "<a/><b/>", "<a/>x", "<a b=1/>",
      '<a b="1" b="2"/>', "<a><b></a></b>", "<a>&</a>", "<a>&#0;</a>", "<a>\1</a>",
      "<1/>", "<a", "<a>]]></a>", '<a b="<"/>', "<p:a/>", "<!-- x", "<?xml",
      "\0<a/>" }) do
      assert.matches("^reply:%d+:%d+: .", refusal(text))
    end
    assert.matches("^reply:2:", refusal("<a>\n<b></c></a>"))
  end)

  it("refuses what is not UTF-8, whatever it says it is", function()
    assert.equal("reply:2:2: text that is not UTF-8", refusal("<a>\nx\255</a>"))
    assert.equal("reply:1:47: text that is not UTF-8",
      refusal('<?xml version="1.0" encoding="ISO-8859-1"?><a>\228</a>'))
    assert.equal("reply:1:1: text that is not UTF-8", refusal("\255\254<\0a\0/\0>\0"))
  end)

  it("goes as deep as it may and no further", function()
    local function nested(n)
      return ("<a>"):rep(n) .. ("</a>"):rep(n)
    end
    assert(xml.parse(nested(128)))
    assert.matches("nested too deep", refusal(nested(129)))
    assert.matches("nested too deep", refusal(nested(4), { max_depth = 3 }))
    assert.matches("nested too deep", refusal(("<a>"):rep(1000000)))
  end)

  it("takes as many bytes as it may and no more", function()
    assert(xml.parse("<a></a>", { max_size = 7 }))
    assert.equal("reply: more than 6 bytes", refusal("<a></a>", { max_size = 6 }))
  end)

  it("bounds the number of attributes of an element", function()
    local function with(n)
      local attributes = {}
      for i = 1, n do
        attributes[i] = "a" .. i .. (i % 2 == 0 and '="<\'>"' or "='\">'")
      end
      return '<x> "\'"<y ' .. table.concat(attributes, " "):gsub("<", "&lt;") .. "/></x>"
    end
    assert.equal('">', assert(xml.parse(with(256)))[1].attrs.a1)
    assert.equal("reply:1:8: more than 256 attributes", refusal(with(257)))
  end)

  it("bounds the length of a namespace's URI, which each of its names repeats", function()
    local function with(length, n)
      local attributes = {}
      for i = 1, n do
        attributes[i] = ('x:a%d=""'):format(i)
      end
      return ('<r xmlns:x="%s"><a %s/></r>'):format(("u"):rep(length),
        table.concat(attributes, " "))
    end
    assert(xml.parse(with(1024, 250)))
    assert.matches("^reply:1:%d+: a namespace URI of more than 1024 bytes$",
      refusal(with(1025, 1)))
    local before = collectgarbage("count")
    refusal(with(1000000, 250))
    assert.truthy(collectgarbage("count") - before < 8192)
    assert.matches("URI of more than", refusal('<r xmlns="' .. ("u"):rep(4000000) .. '">'
      .. ("<a/>"):rep(20) .. "</r>"))
  end)

  it("takes no more memory than it may, whatever the document is made of", function()
    local made_of = {
      elements = "<a>" .. ("<b/>"):rep(10000) .. "</a>",
      attributes = "<a>" .. ('<b c="" d=""/>'):rep(5000) .. "</a>",
      ["attributes with a namespace"] = '<a xmlns:x="' .. ("u"):rep(1000) .. '">'
        .. ('<b x:c=""/>'):rep(2000) .. "</a>",
      ["elements with one"] = '<a xmlns="' .. ("u"):rep(1000) .. '">'
        .. ("<b/>"):rep(2000) .. "</a>",
      names = "<a>" .. ("<" .. ("n"):rep(500) .. "/>"):rep(3000) .. "</a>",
      text = "<a>" .. ("t"):rep(2000000) .. "</a>",
      ["pieces of text"] = "<a>" .. ("x<b/>"):rep(10000) .. "</a>",
    }
    for what, text in pairs(made_of) do
      assert.matches("takes more than 1024 KiB of memory",
        refusal(text, { max_memory = 1 << 20 }), what)
      collectgarbage()
      local before = collectgarbage("count")
      refusal(text, { max_memory = 1 << 20 })
      assert.truthy(collectgarbage("count") - before < 1600, what)
      assert(xml.parse(text, { max_memory = 1 << 24 }), what)
    end
  end)

  it("takes 32 MiB of memory for a document at most, unless it is told otherwise", function()
    assert.matches("takes more than 32768 KiB of memory",
      refusal("<a>" .. ("<b/>"):rep(500000) .. "</a>"))
  end)

  it("never fails but by an err, whatever the text", function()
    local pieces = { "<a>", "</a>", "<b/>", "<", ">", "&amp;", "&", "x", " ", "<!--",
      "-->", "<![CDATA[", "]]>", "<?p", "?>", ' c="d"', "<p:q ", "xmlns:p='u'", "\255",
      "<!D", "'" }
    math.randomseed(9)
    for _ = 1, 3000 do
      local text = {}
      for i = 1, math.random(1, 12) do
        text[i] = pieces[math.random(#pieces)]
      end
      local node, err = xml.parse("<a>" .. table.concat(text) .. "</a>")
      assert.is_true(node ~= nil or err.kind == "format")
    end
  end)
end)

describe("xml.child, children, child_text:", function()
  local root = xml.parse('<a xmlns:n="urn:n"><b>1</b><c/><n:b>2</n:b></a>')

  it("find children by local name", function()
    assert.equal(root[1], xml.child(root, "b"))
    assert.same({ root[1], root[3] }, xml.children(root, "b"))
    assert.equal("1", xml.child_text(root, "b"))
  end)

  it("say plainly that there is none", function()
    assert.is_nil(xml.child(root, "x"))
    assert.same({}, xml.children(root, "x"))
    assert.is_nil(xml.child_text(root, "x"))
    assert.equal("", xml.child_text(root, "c"))
  end)
end)

describe("xml.type:", function()
  local function type_of(text)
    return xml.type(xml.parse(text))
  end

  it("is the local part of xsi:type", function()
    assert.equal("VirtualDisk", type_of("<a " .. XSI .. ' xsi:type="VirtualDisk"/>'))
    assert.equal("string", type_of("<a " .. XSI .. ' xsi:type="xsd:string"/>'))
  end)

  it("is found by namespace, not by prefix or position", function()
    assert.equal("Folder",
      type_of([[<a xmlns:_X="http://www.w3.org/2001/XMLSchema-instance"
        type="ManagedObjectReference" _X:type="vim25:Folder"/>]]))
    assert.is_nil(type_of('<a xmlns:xsi="urn:else" xsi:type="x" type="y"/>'))
    assert.is_nil(type_of("<a/>"))
  end)
end)

describe("xml.escape:", function()
  it("is undone by parsing, in elements and in attributes", function()
    local text = "a<b>&\"'\t\r\n ä€😀]]>"
    local escaped = assert(xml.escape(text))
    assert.equal(text, xml.parse("<a>" .. escaped .. "</a>").text)
    assert.equal(text, xml.parse('<a b="' .. escaped .. '"/>').attrs.b)
    assert.equal(text, xml.parse("<a b='" .. escaped .. "'/>").attrs.b)
  end)

  it("refuses what XML cannot hold", function()
    for _, text in ipairs({ "\0", "\1", "a\27b", "\255", "\u{fffe}", "\u{ffff}" }) do
      local escaped, err = xml.escape(text)
      assert.is_nil(escaped)
      assert.equal("invalid", err.kind)
    end
  end)
end)
