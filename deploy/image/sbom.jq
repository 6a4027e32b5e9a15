# The image's software bill of materials, SPDX 2.3, of its list of packages ("NAME VERSION
# ARCHITECTURE" a line). Arguments: $version, $revision, $created.
def id: "SPDXRef-" + gsub("[^A-Za-z0-9.-]"; "-");

def package($name; $version; $supplier): {
  SPDXID: ("Package-" + $name | id),
  name: $name,
  versionInfo: $version,
  supplier: ("Organization: " + $supplier),
  downloadLocation: "NOASSERTION",
  filesAnalyzed: false
};

def debian: split(" ") | package(.[0]; .[1]; "Debian") + {
  externalRefs: [{
    referenceCategory: "PACKAGE-MANAGER",
    referenceType: "purl",
    referenceLocator: "pkg:deb/debian/\(.[0] | @uri)@\(.[1] | @uri)?arch=\(.[2])&distro=trixie"
  }]
};

package("vm-import-controller"; $version; "vm-import-controller") as $own
| [split("\n")[] | select(. != "") | debian] as $packages
| {
  spdxVersion: "SPDX-2.3",
  dataLicense: "CC0-1.0",
  SPDXID: "SPDXRef-DOCUMENT",
  name: "vm-import-controller \($version)",
  documentNamespace: "https://migration.harvesterhci.io/spdx/vm-import-controller/\($version)/\($revision)",
  creationInfo: { created: $created, creators: ["Tool: scripts/image"] },
  packages: ([$own + { licenseDeclared: "Apache-2.0" }] + $packages),
  relationships: ([{
    spdxElementId: "SPDXRef-DOCUMENT",
    relationshipType: "DESCRIBES",
    relatedSpdxElement: $own.SPDXID
  }] + [$packages[] | {
    spdxElementId: $own.SPDXID,
    relationshipType: "DEPENDS_ON",
    relatedSpdxElement: .SPDXID
  }])
}
