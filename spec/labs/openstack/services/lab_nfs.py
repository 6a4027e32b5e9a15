"""Cinder's NFS driver on a local folder, for a hypervisor that runs no guest.

The stock driver has a snapshot of an attached volume made by the hypervisor, which Nova's
fake one cannot do. The driver's own way for volumes that are not attached is right for all
here: nobody writes to the files but lab_guest.py, which does not while they change places.
Nothing is mounted: the share is the folder where its mount point would be.

Volumes of the type `thin` are uploaded as qcow2, so that an import of what is nearly empty
takes as long as its requests.
"""

import os

import lab_guest
from cinder.image import image_utils
from cinder.volume.drivers import nfs


class Driver(nfs.NfsDriver):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        client = self._remotefsclient
        client.mount = lambda share, flags=None: os.makedirs(
            client.get_mount_point(share), exist_ok=True)

    def _is_volume_attached(self, volume):
        return False

    def _unwritten(self, snapshot):
        return lab_guest.volume_lock(self._local_volume_dir(snapshot.volume),
                                     snapshot.volume.id)

    def _create_snapshot(self, snapshot):
        with self._unwritten(snapshot):
            return super()._create_snapshot(snapshot)

    def _delete_snapshot(self, snapshot):
        with self._unwritten(snapshot):
            return super()._delete_snapshot(snapshot)

    def _copy_volume_from_snapshot(self, snapshot, volume, *_):
        """The stock one refuses every snapshot of a volume but the first.

        Its file has a backing file, which Debian's fix of CVE-2024-32498 lets nobody
        convert. Cinder then tells of no backend with room: it tries each but once.
        """
        chain = self._read_info_file(self._local_path_volume_info(snapshot.volume))
        folder, name = self._local_volume_dir(snapshot.volume), snapshot.volume.name
        above = self._qemu_img_info(os.path.join(folder, chain[snapshot.id]), name)
        path = os.path.join(folder, above.backing_file)
        made = self._local_path_volume(volume)
        self._execute("qemu-img", "convert", "-f", self._qemu_img_info(path, name).file_format,
                      "-O", "raw", path, made, run_as_root=self._execute_as_root)
        self._set_rw_permissions_for_all(made)

    def _copy_volume_to_image(self, context, volume, image_service, image_meta,
                              store_id=None):
        if not volume.volume_type or volume.volume_type.name != "thin":
            return super()._copy_volume_to_image(context, volume, image_service, image_meta,
                                                 store_id)
        with image_utils.temporary_file(prefix=volume.id) as path:
            image_utils.convert_image(self.local_path(volume), path, "qcow2")
            image_service.update(context, image_meta["id"], {"disk_format": "qcow2"},
                                 purge_props=False)
            with open(path, "rb") as file:
                return image_service.update(context, image_meta["id"], {}, file)

    def _revert_to_snapshot(self, context, volume, snapshot):
        """The stock driver has none: what was written since the newest snapshot goes."""
        with self._unwritten(snapshot):
            info = self._read_info_file(self._local_path_volume_info(snapshot.volume))
            path = os.path.join(self._local_volume_dir(snapshot.volume), info[snapshot.id])
            below = self._qemu_img_info(path, snapshot.volume.name).backing_file
            os.unlink(path)
            self._do_create_snapshot(snapshot, below, path)
