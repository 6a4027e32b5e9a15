"""Nova's fake hypervisor, with disks: what a guest booted from an image would have.

Each such disk is a raw file DISKS/UUID. A snapshot of the machine uploads it, as libvirt's
driver uploads the root disk; in the format of the image that the machine was booted from
(libvirt's: in that of its file), or in the one that the file DISKS/format names.
"""

import os
import subprocess

from nova.compute import task_states
from nova.image import glance
from nova.virt import fake

DISKS = os.environ.get("LAB_DISKS", "")


def convert(path, kind, into, wanted):
    subprocess.run(["qemu-img", "convert", "-f", kind, "-O", wanted, path, into], check=True)


class Driver(fake.FakeDriver):
    def __init__(self, virtapi, read_only=False):
        super().__init__(virtapi, read_only)
        self.images = glance.API()

    def _path(self, instance):
        return os.path.join(DISKS, instance.uuid)

    def _kind(self, instance):
        return instance.image_meta.disk_format

    def spawn(self, context, instance, image_meta, *args, **kwargs):
        super().spawn(context, instance, image_meta, *args, **kwargs)
        if not instance.image_ref or os.path.exists(self._path(instance)):
            return
        part = self._path(instance) + ".part"
        self.images.download(context, instance.image_ref, dest_path=part)
        kind = self._kind(instance)
        if kind != "raw":
            os.rename(part, part + "." + kind)
            convert(part + "." + kind, kind, part, "raw")
            os.unlink(part + "." + kind)
        os.truncate(part, instance.flavor.root_gb << 30)
        os.rename(part, self._path(instance))

    def snapshot(self, context, instance, image_id, update_task_state):
        update_task_state(task_state=task_states.IMAGE_PENDING_UPLOAD)
        update_task_state(task_state=task_states.IMAGE_UPLOADING,
                          expected_state=task_states.IMAGE_PENDING_UPLOAD)
        path, kind = self._path(instance), self._kind(instance)
        wanted = os.path.join(DISKS, "format")
        if os.path.exists(wanted):
            with open(wanted, encoding="ascii") as file:
                kind = file.read().strip()
        if kind != "raw":
            convert(path, "raw", path + "." + kind, kind)
            path = path + "." + kind
        try:
            with open(path, "rb") as data:
                self.images.update(context, image_id, {
                    "disk_format": kind, "container_format": "bare", "status": "active",
                }, data)
        finally:
            if kind != "raw":
                os.unlink(path)

    def destroy(self, context, instance, *args, **kwargs):
        super().destroy(context, instance, *args, **kwargs)
        if os.path.exists(self._path(instance)):
            os.unlink(self._path(instance))
