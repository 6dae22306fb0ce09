# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts are reached as a user who needs a password for sudo; who the user is stands in a vault.

A limited run observes the other hosts by a second Ansible, which has to be given both secrets.
"""

from __future__ import annotations

import pathlib
import secrets
import subprocess

import pytest

USER = "deploy"


@pytest.fixture(scope="module")
def access(fleet, tmp_path_factory):
    """The options that reach the hosts as the user, who exists while these tests run."""
    folder = tmp_path_factory.mktemp("access")
    password, vault = secrets.token_urlsafe(16), secrets.token_urlsafe(16)
    files = {"become": password, "vault": vault, "vars.yml": f"---\nansible_user: {USER}\n"}
    for name, content in files.items():
        (folder / name).write_text(content)
        (folder / name).chmod(0o600)
    subprocess.run(
        ["ansible-vault", "encrypt", "--vault-password-file", folder / "vault", folder / "vars.yml"],
        check=True, capture_output=True,
    )
    assert USER not in (folder / "vars.yml").read_text()
    for host in fleet.hosts:
        fleet.on(host).check_output(
            "useradd --create-home --shell /bin/bash %s && echo %s | chpasswd && "
            "install -d -o deploy -g deploy -m 700 /home/deploy/.ssh && "
            "install -o deploy -g deploy -m 600 /root/.ssh/authorized_keys /home/deploy/.ssh/ && "
            "echo 'deploy ALL=(ALL:ALL) ALL' > /etc/sudoers.d/deploy",
            USER, f"{USER}:{password}",
        )
    yield [
        "-e", f"@{folder / 'vars.yml'}", "--vault-password-file", str(folder / "vault"),
        "--become-password-file", str(folder / "become"),
    ]
    for host in fleet.hosts:
        fleet.on(host).run("pkill -KILL -u deploy; userdel --remove --force deploy; rm -f /etc/sudoers.d/deploy")


def test_the_user_may_do_nothing_without_the_password(fleet, access):
    assert fleet.on(fleet.hosts[0]).run("su - deploy -c 'sudo -n true'").rc != 0


def test_a_limited_run_knows_the_hosts_that_it_does_not_hold(fleet, access):
    before = fleet.ids()
    run = fleet.play("site", "--tags", "containers", "--limit", fleet.hosts[0], *access)
    assert run.rc == 0, run.output
    assert run.changed() == {}, run.output
    assert "does not answer" not in run.output
    assert fleet.ids() == before


def test_containers_come_and_go_for_that_user(fleet, access):
    scale = ("-e", "cluster=acme", "-e", "group=web", "-e")
    assert fleet.play("scale", *access, *scale, "count=3").rc == 0
    assert len(fleet.named("acme_web_")) == 3
    assert fleet.play("scale", *access, *scale, "count=2").rc == 0
    assert len(fleet.named("acme_web_")) == 2


def test_a_missing_password_is_named_by_host(fleet, access):
    before = fleet.ids()
    run = fleet.play("plan", *access[:-2])
    assert run.rc != 0
    assert "sudo" in run.output
    assert "Traceback" not in run.output
    assert fleet.ids() == before


def test_no_secret_is_left_on_the_controller(access):
    password = pathlib.Path(access[-1]).read_text()
    for folder in pathlib.Path("/tmp").glob("stowage-*"):
        for file in filter(pathlib.Path.is_file, folder.rglob("*")):
            assert password not in file.read_text(errors="replace"), file
