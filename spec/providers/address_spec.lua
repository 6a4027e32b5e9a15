local address = require "providers.address"

-- What answers in an API's stead, and what is said of it.
local ANSWERS = {
  ["it redirects to https://vc.example.com/ui/ (302)"] = {
    status = 302, headers = { location = "https://vc.example.com/ui/?token=s3cret#x" } },
  ["it redirects to https://vc.example.com/ (301)"] = {
    status = 301, headers = { location = "https://me:s3cret@vc.example.com/" } },
  ["it redirects to /ui/ (307)"] = { status = 307, headers = { location = "/ui/" } },
  ["it redirects to nowhere (308)"] = { status = 308, headers = {} },
  ["it answers with a web page (\"VMware vSphere\") (200)"] = { status = 200,
    body = "<!DOCTYPE html>\n<html><head><title> VMware\n vSphere</title></head></html>" },
  ["it answers with a web page (404)"] = { status = 404, body = "<html><h1>no</h1></html>" },
  ["HTTP status 404"] = { status = 404, body = "nothing here" },
  ["HTTP status 300"] = { status = 300, body = "{}" },
}

describe("address.answered", function()
  for wanted, response in pairs(ANSWERS) do
    it("says: " .. wanted, function()
      assert.equal(wanted, address.answered(response))
    end)
  end

  it("lets no page write to a terminal, nor at length", function()
    local text = address.answered({ status = 200,
      body = "<html><title>\27[2J" .. ("x"):rep(5000) .. "</title>" })
    assert.falsy(text:find("%c"))
    assert.truthy(#text < 150)
  end)
end)
