"""The services, from an empty folder to the last one that answers."""

import concurrent.futures
import json
import subprocess
import time
import uuid

from . import rest, settings
from .processes import Broken, Processes
from .settings import DATABASES, DIRECT, NODE, PASSWORD, PORTS, REGION, URLS

# How each service makes its tables.
MIGRATIONS = {
    "keystone": [["keystone-manage", "--config-file", "{conf}/keystone.conf", "db_sync"]],
    "placement": [["placement-manage", "--config-file", "{conf}/placement.conf", "db", "sync"]],
    "glance": [["glance-manage", "--config-file", "{conf}/glance.conf", "db_sync"]],
    "cinder": [["cinder-manage", "--config-file", "{conf}/cinder.conf", "db", "sync"]],
    "neutron": [["neutron-db-manage", "--config-file", "{conf}/neutron.conf", "upgrade",
                 "heads"]],
    "nova": [["nova-manage", "--config-file", "{conf}/nova.conf", *words] for words in (
        ["api_db", "sync"], ["cell_v2", "map_cell0"],
        ["cell_v2", "create_cell", "--name", "cell1"], ["db", "sync"])],
}

SERVICES = {  # name -> entry point, configuration
    "glance-api": ("glance.cmd.api:main", "glance"),
    "neutron-server": ("neutron.cmd.eventlet.server:main", "neutron"),
    "cinder-api": ("cinder.cmd.api:main", "cinder"),
    "nova-api": ("nova.cmd.api:main", "nova"),
    "nova-conductor": ("nova.cmd.conductor:main", "nova"),
    "cinder-volume": ("cinder.cmd.volume:main", "cinder"),
    "cinder-scheduler": ("cinder.cmd.scheduler:main", "cinder"),
    "nova-scheduler": ("nova.cmd.scheduler:main", "nova"),
    "nova-compute": ("nova.cmd.compute:main", "nova"),
}

# ML2 binds ports only on a host whose agent it has heard of; none runs here.
AGENT = f"""
INSERT INTO agents (id, agent_type, `binary`, topic, host, admin_state_up, created_at,
  started_at, heartbeat_timestamp, configurations, `load`)
VALUES ('{uuid.uuid4()}', 'Open vSwitch agent', 'neutron-openvswitch-agent', 'N/A', '{NODE}',
  1, UTC_TIMESTAMP(), UTC_TIMESTAMP(), '2099-01-01',
  '{{"bridge_mappings": {{}}, "tunnel_types": [], "datapath_type": "system"}}', 0)
"""


class Stack:
    def __init__(self, folder):
        self.folder = folder
        self.processes = Processes(folder)
        self.began = time.monotonic()
        self.admin = None

    def say(self, text):
        print(f"openstack: {time.monotonic() - self.began:6.1f} s  {text}", flush=True)

    def run(self, name, argv, env=None):
        argv = [word.replace("{conf}", f"{self.folder}/etc") for word in argv]
        with open(self.processes.log / f"{name}.log", "ab") as log:
            done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                  env=settings.environment(self.folder, env), check=False)
        if done.returncode != 0:
            raise Broken(f"{' '.join(argv)}: {self.processes.tail(name)}")

    def start(self, name, argv, env=None):
        self.processes.start(name, argv, settings.environment(self.folder, env))

    def sql(self, text, name=""):
        done = subprocess.run(
            ["mariadb", "--no-defaults", "-uroot", f"--socket={self.folder}/mariadb.sock",
             name, "-e", text], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Broken(f"MariaDB: {done.stderr}")
        return done.stdout

    # -- the two that are not OpenStack

    def start_base(self):
        folder = self.folder
        self.run("mariadb-install", [
            "mariadb-install-db", "--no-defaults", f"--datadir={folder}/mariadb",
            "--auth-root-authentication-method=normal", "--skip-test-db", "--user=root"])
        self.start("mariadb", [
            "mariadbd", "--no-defaults", "--user=root", f"--datadir={folder}/mariadb",
            f"--socket={folder}/mariadb.sock", "--skip-networking", "--skip-name-resolve",
            f"--pid-file={folder}/mariadb.pid", "--character-set-server=utf8mb3",
            "--max-connections=400", "--innodb-buffer-pool-size=128M",
            "--innodb-flush-log-at-trx-commit=0", "--innodb-flush-method=nosync"])
        epmd = settings.rabbit_environment(folder)
        self.start("epmd", ["epmd"], epmd)
        self.start("rabbitmq", ["/usr/lib/rabbitmq/bin/rabbitmq-server"], epmd)
        self.processes.wait_for("MariaDB", self._database_answers, 60, ["mariadb"])
        for name in DATABASES:
            self.sql(f"CREATE DATABASE {name} CHARACTER SET utf8mb3")

    def _database_answers(self):
        try:
            return self.sql("select 1")
        except Broken:
            return None

    def make_tables(self):
        def migrate(name):
            for argv in MIGRATIONS[name]:
                self.run(f"tables-{name}", argv)
            if name == "keystone":
                self._make_keys()
        with concurrent.futures.ThreadPoolExecutor() as pool:
            # The longest first.
            order = ("nova", "neutron", "keystone", "cinder", "glance", "placement")
            for done in [pool.submit(migrate, name) for name in order]:
                done.result()
        self.sql(AGENT, "neutron")

    def _make_keys(self):
        manage = ["keystone-manage", "--config-file", "{conf}/keystone.conf"]
        who = ["--keystone-user", "root", "--keystone-group", "root"]
        self.run("tables-keystone", [*manage, "fernet_setup", *who])
        self.run("tables-keystone", [*manage, "credential_setup", *who])
        url = settings.IDENTITY
        self.run("tables-keystone", [
            *manage, "bootstrap", "--bootstrap-password", PASSWORD,
            "--bootstrap-region-id", REGION, "--bootstrap-internal-url", url,
            "--bootstrap-admin-url", url])

    # -- OpenStack

    def start_identity(self):
        for name, port in (("keystone", "identity"), ("brief", "brief")):
            self.start(name, settings.wsgi(
                PORTS[port], "keystone.server.wsgi:initialize_public_application"),
                {"OS_KEYSTONE_CONFIG_DIR": f"{self.folder}/etc/{name}"})
        self.start("placement", settings.wsgi(
            PORTS["placement"], "placement.wsgi:init_application"),
            {"OS_PLACEMENT_CONFIG_DIR": f"{self.folder}/etc/placement"})

    def fill_identity(self):
        self.processes.wait_for(
            "Keystone", lambda: rest.answers(settings.IDENTITY), 90, ["keystone", "brief"])
        admin = self.admin = rest.Account(URLS, "admin", PASSWORD, "admin").log_in()
        roles = {r["name"]: r["id"] for r in admin.get("identity", "/roles")["roles"]}
        for name in ("service",):
            if name not in roles:
                role = admin.post("identity", "/roles", {"role": {"name": name}})
                roles[name] = role["role"]["id"]
        self._add_user("services", "service", [roles["admin"], roles["service"]])
        self._add_user("demo", "admin", [roles["member"]])
        self._project("elsewhere")
        self._fill_catalogue()

    def _project(self, name):
        found = self.admin.get("identity", f"/projects?name={name}")["projects"]
        if found:
            return found[0]["id"]
        body = {"project": {"name": name, "domain_id": "default"}}
        return self.admin.post("identity", "/projects", body)["project"]["id"]

    def _add_user(self, name, project, roles):
        user = self.admin.post("identity", "/users", {"user": {
            "name": name, "domain_id": "default", "password": PASSWORD}})["user"]["id"]
        for role in roles:
            self.admin.call("PUT", "identity",
                            f"/projects/{self._project(project)}/users/{user}/roles/{role}")

    def _fill_catalogue(self):
        """RegionOne: public through TLS, internal without. Direct: all without."""
        admin, tls = self.admin, f"https://127.0.0.1:{PORTS['tls']}"
        admin.post("identity", "/regions", {"region": {"id": DIRECT}})
        known = {s["type"]: s["id"] for s in admin.get("identity", "/services")["services"]}
        for kind, name, path in (
                ("identity", "identity", "/v3"), ("image", "image", ""),
                ("volumev3", "volume", "/v3/%(project_id)s"),
                ("block-storage", "volume", "/v3/%(project_id)s"),
                ("compute", "compute", "/v2.1"), ("network", "network", ""),
                ("placement", "placement", "")):
            if kind not in known:
                made = admin.post("identity", "/services",
                                  {"service": {"name": f"lab {kind}", "type": kind}})
                known[kind] = made["service"]["id"]
            inside = settings.local(name) + path
            for region, interface, url in (
                    (REGION, "public", f"{tls}/{name}{path}"), (REGION, "internal", inside),
                    (REGION, "admin", inside), (DIRECT, "public", inside)):
                if kind == "identity" and region == REGION and interface != "public":
                    continue  # the bootstrap has made these
                admin.post("identity", "/endpoints", {"endpoint": {
                    "service_id": known[kind], "interface": interface, "region_id": region,
                    "url": url}})

    def start_services(self, names):
        disks = {"LAB_DISKS": f"{self.folder}/nova/disks"}
        (self.folder / "nova/disks").mkdir(exist_ok=True)
        for name in names:
            self.start(name, settings.service(self.folder, name, *SERVICES[name]), disks)

    def wait_for_services(self):
        for name, process in (("image", "glance-api"), ("network", "neutron-server"),
                              ("volume", "cinder-api"), ("compute", "nova-api")):
            self.processes.wait_for(
                process, lambda name=name: rest.answers(URLS[name] + "/"), 120, [process])
        self.say("all APIs answer")
        for service, binary in (("volume", "cinder-volume"), ("volume", "cinder-scheduler"),
                                ("compute", "nova-conductor"), ("compute", "nova-compute")):
            self.processes.wait_for(
                binary, lambda s=service, b=binary: self._is_up(s, b), 120, [binary])
        self.processes.wait_for("the hypervisor is in its cell", lambda: self.admin.get(
            "compute", "/os-hypervisors")["hypervisors"], 60, ["nova-compute"])

    def _is_up(self, service, binary):
        return any(s["binary"] == binary and s["state"] == "up"
                   for s in self.admin.get(service, "/os-services")["services"])

    # -- TLS in front

    def start_proxy(self):
        tls = self.folder / "tls"
        tls.mkdir(exist_ok=True)
        names = {n: PORTS[n] for n in (*URLS, "brief")}
        (self.folder / "backends.json").write_text(json.dumps(names))
        new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        self.run("tls", ["openssl", "req", "-x509", *new, "-days", "3", "-subj", "/CN=lab CA",
                         "-keyout", f"{tls}/ca.key", "-out", f"{tls}/ca.crt",
                         "-addext", "basicConstraints=critical,CA:TRUE",
                         "-addext", "keyUsage=critical,keyCertSign"])
        self.run("tls", ["openssl", "req", *new, "-subj", "/CN=devstack",
                         "-keyout", f"{tls}/server.key", "-out", f"{tls}/server.csr"])
        (tls / "extensions").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n"
                                        "extendedKeyUsage=serverAuth\n")
        self.run("tls", ["openssl", "x509", "-req", "-in", f"{tls}/server.csr", "-CA",
                         f"{tls}/ca.crt", "-CAkey", f"{tls}/ca.key", "-CAcreateserial",
                         "-days", "3", "-out", f"{tls}/server.crt",
                         "-extfile", f"{tls}/extensions"])
        self.start("proxy", settings.proxy(self.folder))

    def up(self):
        settings.write(self.folder)
        self.start_base()
        self.say("MariaDB answers")
        self.make_tables()
        self.say("tables made")
        self.start_identity()
        self.start_services(["glance-api", "neutron-server"])
        self.start_proxy()
        self.fill_identity()
        self.say("Keystone is filled")
        self.processes.wait_for("RabbitMQ", self._rabbit_answers, 120, ["rabbitmq"])
        self.start_services([n for n in SERVICES if n not in ("glance-api", "neutron-server")])
        self.wait_for_services()
        self.say("all services are up")

    def _rabbit_answers(self):
        return subprocess.run(["bash", "-c", f"exec 3<>/dev/tcp/127.0.0.1/{PORTS['amqp']}"],
                              stderr=subprocess.DEVNULL, check=False).returncode == 0
