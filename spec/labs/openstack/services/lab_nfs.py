"""Cinder's NFS driver on a local folder, for a hypervisor that runs no guest.

The stock driver has a snapshot of an attached volume made by the hypervisor, which Nova's
fake one cannot do. Nobody writes to the files here, so the driver's own way for volumes
that are not attached is right for all. Nothing is mounted: the share is the folder where
its mount point would be.
"""

import os

from cinder.volume.drivers import nfs


class Driver(nfs.NfsDriver):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        client = self._remotefsclient
        client.mount = lambda share, flags=None: os.makedirs(
            client.get_mount_point(share), exist_ok=True)

    def _is_volume_attached(self, volume):
        return False
