"""A real control plane on loopback: etcd, kube-apiserver, controller-manager and scheduler, one per test session."""

from __future__ import annotations

import base64
import json
import os
import secrets
import signal
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

READY_SECONDS = 90


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@dataclass
class Plane:
    """Started by `start`, ended by `close`. `kubeconfig` is that of an administrator."""

    binaries: Path
    clients: Path
    folder: Path
    port: int = field(default_factory=free_port)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    tokens: dict[str, str] = field(
        default_factory=lambda: {name: secrets.token_hex(16) for name in ("admin", "kcm", "scheduler")}
    )

    @property
    def server(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "admin.kubeconfig"

    @property
    def authority(self) -> Path:
        return self.folder / "pki/ca.crt"

    def start(self) -> Plane:
        (self.folder / "log").mkdir(parents=True)
        self._certificates()
        self._credentials()
        self._etcd()
        self.start_apiserver()
        self._controllers()
        return self

    def close(self) -> None:
        for process in reversed(list(self.processes.values())):
            process.kill()
        for process in self.processes.values():
            process.wait(20)

    def kill_apiserver(self) -> None:
        self.processes["kube-apiserver"].send_signal(signal.SIGKILL)
        self.processes["kube-apiserver"].wait(20)

    def start_apiserver(self) -> None:
        pki = self.folder / "pki"
        self._run(
            "kube-apiserver",
            f"--etcd-servers=http://127.0.0.1:{self._etcd_port}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            f"--secure-port={self.port}",
            f"--tls-cert-file={pki}/api.crt",
            f"--tls-private-key-file={pki}/api.key",
            f"--client-ca-file={pki}/ca.crt",
            f"--token-auth-file={pki}/tokens.csv",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={pki}/sa.pub",
            f"--service-account-signing-key-file={pki}/sa.key",
            "--service-cluster-ip-range=10.96.0.0/16",
            "--authorization-mode=Node,RBAC",
            "--endpoint-reconciler-type=none",
            "--enable-priority-and-fairness=false",
            f"--requestheader-client-ca-file={pki}/ca.crt",
            "--requestheader-allowed-names=front-proxy",
            "--requestheader-username-headers=X-Remote-User",
            "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            "--profiling=false",
            f"--audit-policy-file={self._audit_policy()}",
            f"--audit-log-path={self._audit_log}",
        )
        deadline = time.monotonic() + READY_SECONDS
        while self.request("GET", "/readyz") != "ok":
            if self.processes["kube-apiserver"].poll() is not None or time.monotonic() > deadline:
                raise AssertionError((self.folder / "log/kube-apiserver").read_text()[-4000:])
            time.sleep(0.1)

    def _audit_policy(self) -> Path:
        """Every write to an object of Tocsin's, in one line when it is done."""
        path = self.folder / "audit.yaml"
        path.write_text(
            "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules:\n"
            "  - {level: Request, verbs: [create, update, patch, delete], resources: [{group: tocsin.dev}]}\n"
            "  - {level: None}\n"
        )
        return path

    @property
    def _audit_log(self) -> Path:
        return self.folder / "log/audit"

    def writes(self, namespace: str, subresource: str = "status") -> list[dict[str, Any]]:
        """What the API server has noted of writes to this subresource of Tocsin's objects, oldest first."""
        lines = self._audit_log.read_text(encoding="utf-8").splitlines() if self._audit_log.exists() else []
        found = []
        for line in lines:
            entry = json.loads(line)
            about = entry.get("objectRef", {})
            if about.get("namespace") == namespace and about.get("subresource", "") == subresource:
                found.append(entry)
        return found

    def call(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Status and decoded answer of one request of an administrator."""
        call = self._call(method, path, body)
        try:
            with urllib.request.urlopen(call, context=self._tls(), timeout=30) as response:
                return response.status, json.loads(response.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    def _call(self, method: str, path: str, body: object) -> urllib.request.Request:
        data = None if body is None else json.dumps(body).encode()
        call = urllib.request.Request(self.server + path, method=method, data=data)
        call.add_header("Authorization", f"Bearer {self.tokens['admin']}")
        call.add_header("Content-Type", "application/json")
        return call

    def _tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.authority))

    def kubectl(self, *arguments: str, text: str = "", check: bool = True) -> str:
        """What an administrator's kubectl prints. Fails with what it says if it fails."""
        return self._client("kubectl", arguments, text, check=check)

    def helm(self, *arguments: str, text: str = "", check: bool = True) -> str:
        return self._client("helm", arguments, text, check=check)

    def _client(self, program: str, arguments: tuple[str, ...], text: str, *, check: bool) -> str:
        environment = {**os.environ, "KUBECONFIG": str(self.kubeconfig), "HOME": str(self.folder)}
        command = [str(self.clients / program), *arguments]
        done = subprocess.run(
            command, input=text, env=environment, capture_output=True, text=True, timeout=180, check=False
        )
        if check and done.returncode:
            raise AssertionError(
                f"{program} {' '.join(arguments)}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
            )
        return done.stdout

    def request(self, method: str, path: str, body: object = None) -> str:
        """The answer's text; "" while the server cannot be reached or refuses."""
        try:
            with urllib.request.urlopen(
                self._call(method, path, body), context=self._tls(), timeout=10
            ) as response:
                return str(response.read().decode())
        except OSError:  # HTTPError is one
            return ""

    def _run(self, program: str, *arguments: str) -> None:
        with (self.folder / "log" / program).open("ab") as log:
            self.processes[program] = subprocess.Popen(
                [str(self.binaries / program), *arguments], stdout=log, stderr=log, cwd=self.folder
            )

    def _etcd(self) -> None:
        self._etcd_port, peer = free_port(), free_port()
        client_url, peer_url = f"http://127.0.0.1:{self._etcd_port}", f"http://127.0.0.1:{peer}"
        self._run(
            "etcd",
            "--name=t",
            f"--data-dir={self.folder}/etcd",
            "--unsafe-no-fsync",
            f"--listen-client-urls={client_url}",
            f"--advertise-client-urls={client_url}",
            f"--listen-peer-urls={peer_url}",
            f"--initial-advertise-peer-urls={peer_url}",
            f"--initial-cluster=t={peer_url}",
            "--log-level=warn",
        )

    def _controllers(self) -> None:
        pki = self.folder / "pki"
        for program, name, extra in (
            (
                "kube-controller-manager",
                "kcm",
                (
                    f"--service-account-private-key-file={pki}/sa.key",
                    f"--root-ca-file={pki}/ca.crt",
                    "--use-service-account-credentials=true",
                    "--controllers=*,-node-ipam-controller",
                ),
            ),
            ("kube-scheduler", "scheduler", ()),
        ):
            config = f"{self.folder}/{name}.kubeconfig"
            self._run(
                program,
                f"--kubeconfig={config}",
                f"--authentication-kubeconfig={config}",
                f"--authorization-kubeconfig={config}",
                "--leader-elect=false",
                "--kube-api-qps=200",
                "--kube-api-burst=400",
                "--bind-address=127.0.0.1",
                f"--secure-port={free_port()}",
                *extra,
            )

    def _certificates(self) -> None:
        pki = self.folder / "pki"
        pki.mkdir()
        names = "IP:127.0.0.1,IP:10.96.0.1,DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc"
        (pki / "ext").write_text(
            f"subjectAltName={names}\nextendedKeyUsage=serverAuth\nauthorityKeyIdentifier=keyid\n"
        )
        purpose = "-addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign"
        curve = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
        for command in (
            f"req -x509 {curve} -days 30 -subj /CN=test-ca -keyout ca.key -out ca.crt {purpose}",
            f"req {curve} -subj /CN=kube-apiserver -keyout api.key -out api.csr",
            "x509 -req -in api.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 -extfile ext -out api.crt",
            "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out sa.key",
            "pkey -in sa.key -pubout -out sa.pub",
        ):
            subprocess.run(["openssl", *command.split()], cwd=pki, check=True, capture_output=True)

    def _credentials(self) -> None:
        users = (
            ("admin", 'admin,admin,"system:masters"'),
            ("kcm", "system:kube-controller-manager,kcm"),
            ("scheduler", "system:kube-scheduler,ks"),
        )
        lines = [f"{self.tokens[name]},{rest}" for name, rest in users]
        (self.folder / "pki/tokens.csv").write_text("\n".join(lines) + "\n")
        for name in self.tokens:
            self.write_kubeconfig(self.folder / f"{name}.kubeconfig", self.tokens[name])

    def write_kubeconfig(self, path: Path, token: str, namespace: str = "default") -> Path:
        authority = base64.b64encode(self.authority.read_bytes()).decode()
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {"name": "t", "cluster": {"server": self.server, "certificate-authority-data": authority}}
            ],
            "users": [{"name": "u", "user": {"token": token}}],
            "contexts": [{"name": "t", "context": {"cluster": "t", "user": "u", "namespace": namespace}}],
            "current-context": "t",
        }
        path.write_text(json.dumps(config))
        path.chmod(0o600)
        return path
