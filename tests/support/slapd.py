"""OpenLDAP's server for tests: on free loopback ports, with a folder and a certificate of its own.

People are `uid=<name>,ou=people,dc=example,dc=com` with the password `<name>-password`; groups nest:
developers (alice, bob) < engineering < everybody < developers, which is a loop; `admins` has alice. 5,000 more people
are `user0000` and so on, without groups.
"""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.support.certificates import Authority
from tests.support.postgres import free_port
from tests.support.programs import require_program

BASE = "dc=example,dc=com"
PEOPLE = f"ou=people,{BASE}"
GROUPS = f"ou=groups,{BASE}"
SERVICE = f"cn=search,{BASE}"
SERVICE_PASSWORD = "service-password"
MANY = 5000

_PERSON = """dn: uid={name},{people}
objectClass: inetOrgPerson
uid: {name}
cn: {name}
sn: {name}
mail: {name}@example.com
userPassword: {name}-password

"""
_CONFIG = """include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
include /etc/ldap/schema/nis.schema
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload memberof
pidfile {folder}/pid
TLSCACertificateFile {folder}/ca.pem
TLSCertificateFile {folder}/server.pem
TLSCertificateKeyFile {folder}/server.key
sizelimit unlimited
access to attrs=userPassword by anonymous auth by * none
access to dn.subtree="dc=example,dc=com" by dn.exact="{service}" read by anonymous auth by * none
access to * by * read
database mdb
maxsize 268435456
suffix "dc=example,dc=com"
rootdn "cn=root,dc=example,dc=com"
rootpw root-password
directory {folder}/data
dbnosync
index objectClass,uid,member,memberUid eq
overlay memberof
memberof-refint true
"""


@dataclass
class Slapd:
    """One server."""

    folder: Path
    port: int = 0
    tls_port: int = 0
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"ldap://localhost:{self.port}"

    @property
    def tls_url(self) -> str:
        return f"ldaps://localhost:{self.tls_port}"

    @property
    def ca(self) -> Path:
        return self.folder / "ca.pem"

    def prepare(self) -> Slapd:
        """Make its folder: certificate, configuration, people and groups."""
        slapd = require_program("slapd")
        (self.folder / "data").mkdir(parents=True)
        authority = Authority("Directory authority")
        self.ca.write_bytes(authority.pem)
        authority.issue("localhost", dns=("localhost",), server=True).write(self.folder, "server")
        self.config.write_text(_CONFIG.format(folder=self.folder, service=SERVICE))
        (self.folder / "content").write_text(_content())
        added = [slapd, "-T", "add", "-q", "-f", str(self.config), "-l", str(self.folder / "content")]
        subprocess.run(added, check=True, capture_output=True)
        self.port, self.tls_port = free_port(), free_port()
        self.start()
        _add(self.url, _groups())
        return self

    @property
    def config(self) -> Path:
        return self.folder / "slapd.conf"

    def start(self) -> None:
        """Start it on its ports and wait until it answers."""
        listen = f"ldap://127.0.0.1:{self.port}/ ldaps://127.0.0.1:{self.tls_port}/"
        with (self.folder / "log").open("ab") as log:
            # `-d` keeps it in the foreground, so that the process is ours to end.
            command = [require_program("slapd"), "-f", str(self.config), "-h", listen, "-d", "none"]
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.tls_port), 1):
                return
            time.sleep(0.05)
        raise RuntimeError((self.folder / "log").read_text()[-2000:])

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it."""
        assert self.process is not None
        self.process.send_signal(how)
        self.process.wait(20)


def _content() -> str:
    parts = [
        f"dn: {BASE}\nobjectClass: domain\ndc: example\n\n",
        f"dn: {PEOPLE}\nobjectClass: organizationalUnit\nou: people\n\n",
        f"dn: {GROUPS}\nobjectClass: organizationalUnit\nou: groups\n\n",
        f"dn: {SERVICE}\nobjectClass: organizationalRole\nobjectClass: simpleSecurityObject\ncn: search\n",
        f"userPassword: {SERVICE_PASSWORD}\n\n",
    ]
    names = ["alice", "bob", "carol", "d*ve", "er(in)", "fr\\ank", *(f"user{n:04}" for n in range(MANY))]
    for name in names:
        safe = name.replace("\\", "\\\\")
        person = _PERSON.format(name=name, people=PEOPLE)
        parts.append(person.replace(f"dn: uid={name},", f"dn: uid={safe},"))
    return "".join(parts)


def _groups() -> str:
    def group(name: str, *members: str) -> str:
        lines = "".join(f"member: {member}\n" for member in members)
        return f"dn: cn={name},{GROUPS}\nobjectClass: groupOfNames\ncn: {name}\n{lines}\n"

    def person(name: str) -> str:
        return f"uid={name},{PEOPLE}"

    everybody = f"cn=everybody,{GROUPS}"
    return (
        group("developers", person("alice"), person("bob"), everybody)
        + group("engineering", f"cn=developers,{GROUPS}")
        + group("everybody", f"cn=engineering,{GROUPS}")
        + group("admins", person("alice"))
        + f"dn: cn=posix,{GROUPS}\nobjectClass: posixGroup\ncn: posix\ngidNumber: 1000\nmemberUid: carol\n\n"
    )


def _add(url: str, content: str) -> None:
    """By the protocol, because slapd's overlay for memberOf does not see what is added offline."""
    import ldap3

    connection = ldap3.Connection(url, f"cn=root,{BASE}", "root-password", auto_bind=True, raise_exceptions=True)
    for block in content.strip().split("\n\n"):
        attributes: dict[str, list[str]] = {}
        dn = ""
        for line in block.split("\n"):
            name, value = line.split(": ", 1)
            if name == "dn":
                dn = value
            else:
                attributes.setdefault(name, []).append(value)
        connection.add(dn, attributes=attributes)  # type: ignore[no-untyped-call]
    connection.unbind()
