"""A container engine without a registry of images: buildah, over bases by debootstrap with the Dockerfile's names."""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

from moonx_pipeline_tests.deploy.tools import DEPLOY, ROOT
from moonx_pipeline_tests.fixtures.missing import unavailable
from moonx_pipeline_tests.support.go_tools import CACHE

BUILD_SECONDS = 3600
_SUITE = "bookworm"
_PACKAGES = "ca-certificates,python3,python3-venv"
_CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
_TRUST = {"SSL_CERT_FILE": _CERTIFICATES, "PIP_CERT": _CERTIFICATES, "NODE_EXTRA_CA_CERTS": _CERTIFICATES}
"""Tools that bring certificates of their own look at the machine's: many sit behind a proxy."""

_AS_A_CONTAINER = r"""
root=$1 user=$2 group=$3 folder=$4; shift 4
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
mount --rbind /tmp "$root/tmp"
exec chroot "$root" /usr/bin/setpriv --reuid "$user" --regid "$group" --clear-groups --no-new-privs \
    --bounding-set=-all --inh-caps=-all /bin/sh -c 'cd "$1" && shift && exec "$@"' sh "$folder" "$@"
"""
"""Runs a command as compose.yaml does: a read-only root but for /tmp, the image's user, no capability."""


def require_engine() -> None:
    """Skips, with the reason, where no image can be built."""
    if os.geteuid() != 0:
        unavailable("A base image is made by root only.")
    for program in ("buildah", "debootstrap", "unshare", "chroot"):
        if shutil.which(program) is None:
            unavailable(f"{program} is not on this machine: images are built by Debian's buildah and debootstrap.")


class BuiltImage:
    """An image as the engine has built it, mounted; its commands run as those of a container."""

    def __init__(self, mounted: Path, config: dict[str, Any], temporary: Path) -> None:
        self.mounted = mounted
        self.config = config
        self._temporary = temporary

    def environment(self, **more: str) -> dict[str, str]:
        """The image's own variables, with what is kept in a folder of the test's, and more; none of this machine."""
        declared = dict(variable.split("=", 1) for variable in self.config["Env"])
        temporary = str(self._temporary)
        return {**declared, "HOME": temporary, "TMPDIR": temporary, "MOONX_HOME": f"{temporary}/moonx", **more}

    def start(self, *command: str, log: Path, **environment: str) -> subprocess.Popen[bytes]:
        """Starts a command; its process is the one that is returned."""
        return subprocess.Popen(
            self._words(command),
            env=self.environment(**environment),
            stdout=log.open("wb"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Runs a command to its end."""
        return subprocess.run(
            self._words(command), env=self.environment(**environment), capture_output=True, text=True, check=False
        )

    def _words(self, command: tuple[str, ...]) -> list[str]:
        user, group = self.config["User"].split(":")
        place = [str(self.mounted), user, group, self.config["WorkingDir"]]
        return ["/usr/bin/unshare", "--mount", "/bin/sh", "-ec", _AS_A_CONTAINER, "sh", *place, *command]


def build(tag: str) -> None:
    """Builds the Dockerfile over bases of our own, as the documentation's command does."""
    for name in _bases():
        if not _buildah("images", "--quiet", name, missing_is_fine=True):
            _make_base(name)
    _buildah(
        "bud", "--isolation", "chroot", "--format", "docker", "--pull-never",
        "--ignorefile", str(ROOT / ".dockerignore"), "-f", str(DEPLOY / "Dockerfile"), "-t", tag, str(ROOT),
    )  # fmt: skip
    _buildah("rmi", "--prune", "--force")  # the one that had the tag before: each is more than half a gigabyte


def mounted(tag: str) -> tuple[str, Path, dict[str, Any]]:
    """A container of an image: its name, where its files are, and the image's configuration."""
    container = _buildah("from", "--pull-never", tag)
    inspected = json.loads(_buildah("inspect", container))
    return container, Path(_buildah("mount", container)), inspected["Docker"]["config"]


def remove(container: str) -> None:
    _buildah("umount", container)
    _buildah("rm", container)


def _bases() -> list[str]:
    """The images that the Dockerfile begins with."""
    return re.findall(r"^ARG \w+_IMAGE=(\S+)$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)


def _make_base(name: str) -> None:
    """Debian with its Python, and, for ``node``, the Node that the page is built by elsewhere."""
    container = _buildah("from", "scratch")
    try:
        _buildah("add", container, str(_root_folder()), "/")
        _buildah("config", *(f"--env={key}={value}" for key, value in _TRUST.items()), container)
        if name.startswith("node:"):
            _buildah("copy", container, str(ROOT / "requirements-node.lock"), "/tmp/")  # noqa: S108 - of a container
            for command in (
                "python3 -m venv /opt/node",
                "/opt/node/bin/pip install -q --require-hashes -r /tmp/requirements-node.lock",
            ):
                _buildah("run", "--isolation", "chroot", container, "--", *command.split())
            _buildah("config", "--env=PATH=/opt/node/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", container)
        else:
            _buildah("config", "--env=PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", container)
        _buildah("commit", "--format", "docker", container, name)
    finally:
        _buildah("rm", container)


def _root_folder() -> Path:
    """A minimal Debian, made once and kept."""
    archive = CACHE / f"debian-{_SUITE}.tar"
    if not archive.exists():
        folder = CACHE / f"debian-{_SUITE}"
        shutil.rmtree(folder, ignore_errors=True)
        made = subprocess.run(
            ["debootstrap", "--variant=minbase", f"--include={_PACKAGES}", _SUITE, folder],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if made.returncode:
            unavailable(f"Debian's packages could not be had: {made.stdout[-400:]}")
        shutil.rmtree(folder / "var" / "cache" / "apt")
        if Path(_CERTIFICATES).exists():
            shutil.copy(_CERTIFICATES, f"{folder}{_CERTIFICATES}")
        subprocess.run(["tar", "-C", folder, "--exclude=./dev/*", "-cf", f"{archive}.new", "."], check=True)
        Path(f"{archive}.new").rename(archive)
        shutil.rmtree(folder)
    return archive


@functools.cache
def _storage() -> list[str]:
    store = CACHE / "buildah"
    return ["--root", str(store / "root"), "--runroot", str(store / "run"), "--storage-driver", "vfs"]


def _buildah(*arguments: str, missing_is_fine: bool = False) -> str:
    done = subprocess.run(["buildah", *_storage(), *arguments], capture_output=True, text=True, check=False)
    if done.returncode and missing_is_fine:
        return ""
    assert done.returncode == 0, f"buildah {arguments[0]}: {done.stdout[-2000:]}{done.stderr[-4000:]}"
    return done.stdout.strip().rpartition("\n")[2] if arguments[0] != "inspect" else done.stdout
