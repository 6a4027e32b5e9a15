"""Nova's fake hypervisor, with disks: what a guest booted from an image would have.

Each such disk is a raw file DISKS/UUID. A snapshot of the machine uploads it, as libvirt's
driver uploads the root disk; in the format of the image that the machine was booted from
(libvirt's: in that of its file), or in the one that the file DISKS/format names. A server
may have a guest (lab_guest.py), which writes while it is on.
"""

import contextlib
import os
import subprocess
from pathlib import Path

import lab_guest
from nova.compute import power_state, task_states
from nova.image import glance
from nova.virt import fake

DISKS = os.environ.get("LAB_DISKS", "")
FOLDER = Path(DISKS).parent.parent


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
        if instance.image_ref and not os.path.exists(self._path(instance)):
            self._make_root(context, instance)
        if instance.metadata.get("guest") == "writes":
            with lab_guest.of(FOLDER, instance.uuid) as guest:
                guest.start(self._disks(instance, kwargs.get("block_device_info")))

    def _disks(self, instance, info):
        """Device -> name, as the guest has them."""
        disks = {instance.root_device_name: instance.uuid} if instance.image_ref else {}
        for mapping in (info or {}).get("block_device_mapping") or ():
            disks[mapping["mount_device"]] = mapping["connection_info"]["serial"]
        return disks

    @contextlib.contextmanager
    def _guest(self, instance):
        """Its guest, or None."""
        if not os.path.exists(self._path(instance) + ".guest"):
            yield None
            return
        with lab_guest.of(FOLDER, instance.uuid) as guest:
            yield guest

    def power_on(self, context, instance, network_info, block_device_info=None, *args,
                 **kwargs):
        # The fake hypervisor forgets its machines when nova-compute is started again.
        self.instances.setdefault(instance.uuid, fake.FakeInstance(
            instance.name, power_state.SHUTDOWN, instance.uuid))
        super().power_on(context, instance, network_info, block_device_info, *args, **kwargs)
        with self._guest(instance) as guest:
            if guest:
                guest.start(self._disks(instance, block_device_info))

    def power_off(self, instance, *args, **kwargs):
        with self._guest(instance) as guest:
            if guest:
                guest.stop()
        super().power_off(instance, *args, **kwargs)

    def attach_volume(self, context, connection_info, instance, mountpoint, *args, **kwargs):
        super().attach_volume(context, connection_info, instance, mountpoint, *args, **kwargs)
        with self._guest(instance) as guest:
            if guest:
                guest.has({**guest.names(), mountpoint: connection_info["serial"]})
                guest.note()

    def detach_volume(self, context, connection_info, instance, mountpoint, *args, **kwargs):
        super().detach_volume(context, connection_info, instance, mountpoint, *args, **kwargs)
        with self._guest(instance) as guest:
            if guest:
                guest.has({device: name for device, name in guest.names().items()
                           if device != mountpoint})
                guest.note()

    def extend_volume(self, context, connection_info, instance, requested_size):
        with self._guest(instance) as guest:
            if guest:
                guest.has(guest.names())
                guest.note()

    def _make_root(self, context, instance):
        part = self._path(instance) + ".part"
        self.images.download(context, instance.image_ref, dest_path=part)
        kind = self._kind(instance)
        if kind != "raw":
            os.rename(part, part + "." + kind)
            convert(part + "." + kind, kind, part, "raw")
            os.unlink(part + "." + kind)
        if instance.flavor.root_gb:
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
