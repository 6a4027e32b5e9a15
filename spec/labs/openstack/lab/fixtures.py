"""What there is in the lab to be imported: machines whose bytes are known."""

import hashlib
import os
import random
import subprocess

from .settings import BRIEF_LIFE, DIRECT, PASSWORD, PORTS, REGION, URLS

GIB = 1 << 30
IMAGE = 24 << 20  # bytes that the image holds; the volumes made of it end in zeros


def _fill(path, seed, spots):
    """Random bytes and text at these offsets of a file; the rest stays a hole."""
    source = random.Random(seed)
    with open(path, "r+b") as file:
        for offset, size in spots:
            file.seek(offset)
            file.write(source.randbytes(size))


def sha512(path):
    digest = hashlib.sha512()
    with open(path, "rb") as file:
        while data := file.read(1 << 20):
            digest.update(data)
    return digest.hexdigest()


class Fixtures:
    def __init__(self, stack):
        self.stack, self.admin = stack, stack.admin
        self.folder = stack.folder
        self.networks = {}
        self.sums = {}

    def make(self):
        """The document that up leaves in lab.json."""
        self._networks()
        self.admin.post("volume", "/types", {"volume_type": {"name": "thin"}})
        flavor = self._flavor("lab.small", 1)
        image, packed = self._images()
        boot = self._volume("demo-boot", image)
        data = self._volume("demo-data")
        lone = self._volume("lone-boot", image)
        for volume in (boot, data, lone):
            self.admin.until("volume", "volume", f"/volumes/{volume}", "available")
        self._write(data, 7, [(0, 4096), (GIB // 3, 3 << 20), (GIB - 8192, 8192)])
        self._write(lone, 8, [(300 << 20, 1 << 20)])
        demo = self._boot("openstack-demo", flavor, volume=boot, description="the demo, ö",
                          networks=("shared", "public"))
        others = {"lone": self._boot("lone", flavor, volume=lone),
                  "from-image": self._boot("from-image", flavor, image=image),
                  "from-qcow2": self._boot("from-qcow2", flavor, image=packed),
                  "openstack-demo-2": self._boot("openstack-demo-2", flavor, image=image)}
        twins = [self._boot("twin", flavor, image=image) for _ in range(2)]
        for server in [demo, *others.values(), *twins]:
            self.admin.until("server", "compute", f"/servers/{server}", "active")
        self.admin.post("compute", f"/servers/{demo}/os-volume_attachments",
                        {"volumeAttachment": {"volumeId": data}})
        self.admin.until("volume demo-data", "volume", f"/volumes/{data}", "in-use")
        for volume in (boot, data, lone):
            self.sums[volume] = sha512(self._file(volume))
        for name in ("from-image", "from-qcow2"):
            root = self.folder / "nova/disks" / others[name]
            _fill(root, 9, [(GIB // 2, 1 << 20)])
            self.sums[others[name]] = sha512(root)
        return self._document(demo, others, twins, boot, data, lone)

    def _document(self, demo, others, twins, boot, data, lone):
        tls = f"https://127.0.0.1:{PORTS['tls']}"
        return {
            "auth_url": f"{tls}/identity", "brief_auth_url": f"{tls}/brief",
            "brief_life": BRIEF_LIFE, "direct_auth_url": URLS["identity"] + "/v3",
            "ca": (self.folder / "tls/ca.crt").read_text(), "folder": str(self.folder),
            "control": f"http://127.0.0.1:{PORTS['control']}",
            "username": "demo", "admin": "admin", "password": PASSWORD, "project": "admin",
            "project_id": self.admin.project, "domain": "Default", "urls": URLS,
            "region": REGION, "direct_region": DIRECT,
            "servers": {"openstack-demo": demo, **others}, "twins": twins,
            "volumes": {"demo-boot": boot, "demo-data": data, "lone-boot": lone},
            "disks": {
                "openstack-demo": [self.sums[boot], self.sums[data]],
                "lone": [self.sums[lone]],
                "from-image": [self.sums[others["from-image"]]],
                "from-qcow2": [self.sums[others["from-qcow2"]]],
            },
        }

    def _networks(self):
        for i, name in enumerate(("shared", "public")):
            network = self.admin.post("network", "/networks", {"network": {"name": name}})
            self.networks[name] = network["network"]["id"]
            self.admin.post("network", "/subnets", {"subnet": {
                "name": name, "network_id": self.networks[name], "ip_version": 4,
                "cidr": f"10.20.{i}.0/24", "enable_dhcp": False}})

    def _flavor(self, name, disk):
        return self.admin.post("compute", "/flavors", {"flavor": {
            "name": name, "ram": 512, "vcpus": 2, "disk": disk}})["flavor"]["id"]

    def _images(self):
        """The same bytes as raw and as qcow2."""
        path, packed = self.folder / "image.raw", self.folder / "image.qcow2"
        path.touch()
        os.truncate(path, IMAGE)
        _fill(path, 6, [(0, 8 << 20), (20 << 20, 65536)])
        subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", path, packed],
                       check=True)
        return (self._image("lab-image", "raw", path),
                self._image("lab-image-qcow2", "qcow2", packed))

    def _image(self, name, kind, path):
        image = self.admin.post("image", "/images", {
            "name": name, "disk_format": kind, "container_format": "bare",
            "hw_firmware_type": "uefi", "os_distro": "debian"})["id"]
        self.admin.call("PUT", "image", f"/images/{image}/file", path.read_bytes(),
                        {"Content-Type": "application/octet-stream"})
        return image

    def _volume(self, name, image=None):
        body = {"name": name, "size": 1}
        if image:
            body["imageRef"] = image
        return self.admin.post("volume", "/volumes", {"volume": body})["volume"]["id"]

    def _file(self, volume):
        return next((self.folder / "cinder/mounts").glob(f"*/volume-{volume}"))

    def _write(self, volume, seed, spots):
        _fill(self._file(volume), seed, spots)

    def _boot(self, name, flavor, volume=None, image=None, networks=("shared",),
              description=None):
        ports = [self.admin.post("network", "/ports", {"port": {
            "network_id": self.networks[network], "name": f"{name}-{i}"}})["port"]["id"]
            for i, network in enumerate(networks)]
        body = {"name": name, "flavorRef": flavor, "networks": [{"port": p} for p in ports]}
        if description:
            body["description"] = description
        if volume:
            body["block_device_mapping_v2"] = [{
                "boot_index": 0, "uuid": volume, "source_type": "volume",
                "destination_type": "volume", "delete_on_termination": False}]
        else:
            body["imageRef"] = image
        return self.admin.call("POST", "compute", "/servers", {"server": body}, {
            "X-OpenStack-Nova-API-Version": "2.19"})["server"]["id"]
