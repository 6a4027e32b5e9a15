"""What each service is told: ports, configuration files, how it is started."""

from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
NODE = "lab"            # the host name that the services use for themselves
PASSWORD = "pass"       # every password of the lab
PORTS = {name: 14300 + i for i, name in enumerate((
    "identity", "placement", "image", "volume", "compute", "network",
    "amqp", "epmd", "erlang", "tls", "control", "brief"))}
DATABASES = ("keystone", "placement", "glance", "cinder", "nova", "nova_api", "nova_cell0",
             "neutron")
REGION = "RegionOne"    # behind TLS
DIRECT = "Direct"       # the same services without


def local(name):
    return f"http://127.0.0.1:{PORTS[name]}"


URLS = {name: local(name) for name in ("identity", "image", "volume", "compute", "network")}
IDENTITY = local("identity") + "/v3"
# Behind the proxy, a second Keystone on the same tables: its tokens live for so many seconds.
BRIEF_LIFE = 60


def database(folder, name):
    return (f"mysql+pymysql://root@localhost/{name}"
            f"?unix_socket={folder}/mariadb.sock&charset=utf8")


def _login():
    return {
        "auth_type": "password", "auth_url": IDENTITY, "username": "services",
        "password": PASSWORD, "user_domain_name": "Default", "project_name": "service",
        "project_domain_name": "Default", "region_name": REGION,
    }


def _common():
    """Sections for whatever checks tokens, and calls others in the caller's name.

    Debian's cinder detaches a volume only for a caller who shows a service's token too.
    """
    return {
        "keystone_authtoken": {
            "www_authenticate_uri": IDENTITY, "interface": "internal",
            "service_token_roles": "service", "service_token_roles_required": "true",
            **_login()},
        "service_user": {"send_service_user_token": "true", **_login()},
    }


def _rpc():
    return {
        "transport_url": f"rabbit://guest:guest@127.0.0.1:{PORTS['amqp']}/",
        "host": NODE, "report_interval": 2, "periodic_fuzzy_delay": 0, "use_stderr": "true",
    }


def _keystone(folder, life=7200):
    return {
        "DEFAULT": {"use_stderr": "true"},
        "database": {"connection": database(folder, "keystone")},
        "token": {"provider": "fernet", "expiration": life},
        "identity": {"password_hash_rounds": 4},  # the fewest: everybody logs in all the time
        "fernet_tokens": {"key_repository": f"{folder}/keys/fernet"},
        "credential": {"key_repository": f"{folder}/keys/credential"},
        "cache": {"enabled": "true", "backend": "oslo_cache.dict"},
    }


def _placement(folder):
    return {
        "DEFAULT": {"use_stderr": "true"}, "api": {"auth_strategy": "keystone"},
        "placement_database": {"connection": database(folder, "placement")},
        **_common(),
    }


def _glance(folder):
    stores = {f"os_glance_{name}_store": {"filesystem_store_datadir": f"{folder}/glance/{name}"}
              for name in ("staging", "tasks")}
    return {
        "DEFAULT": {"bind_host": "127.0.0.1", "bind_port": PORTS["image"], "workers": 0,
                    "use_stderr": "true", "enabled_backends": "files:file"},
        "database": {"connection": database(folder, "glance")},
        "glance_store": {"default_backend": "files"},
        "files": {"filesystem_store_datadir": f"{folder}/glance/images",
                  "filesystem_store_chunk_size": 1 << 20},
        "paste_deploy": {"flavor": "keystone",
                         "config_file": "/etc/glance/glance-api-paste.ini"},
        "oslo_concurrency": {"lock_path": f"{folder}/locks"},
        **stores, **_common(),
    }


def _cinder(folder):
    return {
        "DEFAULT": {
            **_rpc(), "auth_strategy": "keystone", "osapi_volume_listen": "127.0.0.1",
            "osapi_volume_listen_port": PORTS["volume"], "osapi_volume_workers": 1,
            "api_paste_config": "/etc/cinder/api-paste.ini",
            "rootwrap_config": "/etc/cinder/rootwrap.conf",
            "resource_query_filters_file": "/etc/cinder/resource_filters.json",
            "state_path": f"{folder}/cinder",
            "image_conversion_dir": f"{folder}/cinder/conversion",
            "glance_api_servers": local("image"), "enabled_backends": "files",
        },
        "database": {"connection": database(folder, "cinder")},
        "files": {
            "volume_backend_name": "files", "volume_driver": "lab_nfs.Driver",
            "nfs_shares_config": f"{folder}/etc/shares",
            "nfs_mount_point_base": f"{folder}/cinder/mounts",
            "nfs_snapshot_support": "true", "nfs_sparsed_volumes": "true",
            "nas_secure_file_operations": "false", "nas_secure_file_permissions": "false",
        },
        "nova": {"interface": "internal", **_login()},
        "oslo_concurrency": {"lock_path": f"{folder}/locks"},
        **_common(),
    }


def _nova(folder):
    return {
        "DEFAULT": {
            **_rpc(), "my_ip": "127.0.0.1", "state_path": f"{folder}/nova",
            "instances_path": f"{folder}/nova/instances", "compute_driver": "lab.Driver",
            "enabled_apis": "osapi_compute", "osapi_compute_listen": "127.0.0.1",
            "osapi_compute_listen_port": PORTS["compute"], "osapi_compute_workers": 1,
            "rootwrap_config": "/etc/nova/rootwrap.conf",
        },
        "api_database": {"connection": database(folder, "nova_api")},
        "database": {"connection": database(folder, "nova")},
        "wsgi": {"api_paste_config": "/etc/nova/api-paste.ini"},
        "conductor": {"workers": 1},
        "scheduler": {"workers": 1, "discover_hosts_in_cells_interval": 2},
        "vnc": {"enabled": "false"},
        "glance": {"api_servers": local("image")},
        "cinder": {"catalog_info": "volumev3::internalURL", "os_region_name": REGION,
                   **_login()},
        "placement": {"valid_interfaces": "internal", **_login()},
        "neutron": {"valid_interfaces": "internal", **_login()},
        "oslo_concurrency": {"lock_path": f"{folder}/locks"},
        **_common(),
    }


def _neutron(folder):
    return {
        "DEFAULT": {
            **_rpc(), "bind_host": "127.0.0.1", "bind_port": PORTS["network"],
            "api_workers": 1, "rpc_workers": 1, "rpc_state_report_workers": 0,
            "core_plugin": "ml2", "service_plugins": "", "auth_strategy": "keystone",
            "api_paste_config": "/etc/neutron/api-paste.ini",
            "state_path": f"{folder}/neutron",
            "notify_nova_on_port_status_changes": "false",
            "notify_nova_on_port_data_changes": "false",
        },
        "database": {"connection": database(folder, "neutron")},
        "ml2": {"type_drivers": "local", "tenant_network_types": "local",
                "mechanism_drivers": "openvswitch", "extension_drivers": "port_security"},
        "oslo_concurrency": {"lock_path": f"{folder}/locks"},
        **_common(),
    }


def _brief(folder):
    return _keystone(folder, BRIEF_LIFE)


_FILES = {"keystone": _keystone, "brief": _brief, "placement": _placement, "glance": _glance,
          "cinder": _cinder, "nova": _nova, "neutron": _neutron}

_FOLDERS = ("etc", "locks", "keys/fernet", "keys/credential", "glance/images",
            "glance/staging", "glance/tasks", "cinder/mounts", "cinder/conversion",
            "nova/instances", "neutron", "rabbit", "bin")


def file_of(folder, service):
    return f"{folder}/etc/{service}.conf"


def write(folder):
    for name in _FOLDERS:
        (folder / name).mkdir(parents=True, exist_ok=True)
    for service, sections in _FILES.items():
        lines = []
        for section, values in sections(folder).items():
            lines.append(f"[{section}]")
            lines += [f"{key} = {value}" for key, value in values.items()]
        Path(file_of(folder, service)).write_text("\n".join(lines) + "\n")
    # Placement reads its file from a folder, under this name.
    (folder / "etc/placement").mkdir(exist_ok=True)
    (folder / "etc/placement/placement.conf").write_text(
        Path(file_of(folder, "placement")).read_text())
    for name in ("keystone", "brief"):
        (folder / f"etc/{name}").mkdir(exist_ok=True)
        (folder / f"etc/{name}/keystone.conf").write_text(
            Path(file_of(folder, name)).read_text())
    (folder / "etc/shares").write_text("127.0.0.1:/lab\n")
    (folder / "etc/rabbitmq.conf").write_text(
        f"listeners.tcp.1 = 127.0.0.1:{PORTS['amqp']}\n"
        "log.file.level = warning\ndisk_free_limit.absolute = 50MB\n"
        "collect_statistics_interval = 60000\n")
    (folder / "etc/plugins").write_text("[].\n")
    # The volume service looks whether this program is there; nothing is mounted.
    helper = folder / "bin/mount.nfs"
    if not helper.exists():
        helper.symlink_to("/bin/true")


def environment(folder, more=None):
    """What every process gets: no proxy, no other Python than Debian's."""
    env = {"PATH": f"{folder}/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8",
           "HOME": str(folder), "PYTHONPATH": str(HERE / "services"),
           "PYTHONDONTWRITEBYTECODE": "1"}
    env.update(more or {})
    return env


def rabbit_environment(folder):
    return {
        "HOME": f"{folder}/rabbit", "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_EPMD_PORT": str(PORTS["epmd"]), "RABBITMQ_NODENAME": f"{NODE}@localhost",
        "RABBITMQ_DIST_PORT": str(PORTS["erlang"]),
        "RABBITMQ_CONFIG_FILE": f"{folder}/etc/rabbitmq",
        "RABBITMQ_ENABLED_PLUGINS_FILE": f"{folder}/etc/plugins",
        "RABBITMQ_MNESIA_BASE": f"{folder}/rabbit/mnesia",
        "RABBITMQ_LOG_BASE": f"{folder}/log", "RABBITMQ_PID_FILE": f"{folder}/rabbit/pid",
        "RABBITMQ_CONF_ENV_FILE": "/dev/null",
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS":
            "-kernel inet_dist_use_interface {127,0,0,1}",
    }


def service(folder, name, target, config):
    """argv of a service's entry point, as its console script would call it."""
    return ["/usr/bin/python3", str(HERE / "services/run.py"), name, target,
            "--config-file", file_of(folder, config)]


def wsgi(port, target):
    return ["/usr/bin/python3", str(HERE / "services/wsgi.py"), str(port), target]


def proxy(folder):
    return ["/usr/bin/python3", str(HERE / "services/proxy.py"),
            str(folder), str(PORTS["tls"]), str(PORTS["control"])]
