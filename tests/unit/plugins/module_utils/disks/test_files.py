# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images, templates, copies and records, as files; no mount, no root."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from ansible_collections.stowage.fleet.plugins.module_utils.common.errors import LockHeld
from ansible_collections.stowage.fleet.plugins.module_utils.disks import copies, ext4, mkfs, program
from ansible_collections.stowage.fleet.plugins.module_utils.disks.errors import DiskError, PoolFull
from ansible_collections.stowage.fleet.plugins.module_utils.disks.pool import Budget, Pool, age_days, empty_record
from ansible_collections.stowage.fleet.plugins.module_utils.host import mounts

E2FSCK = shutil.which("e2fsck", path="/usr/sbin:/sbin:/usr/bin:/bin")


def make(folder, name, size):
    path = folder / f"{name}.img"
    with open(path, "w+b") as image:
        uuid = mkfs.Maker(str(folder / "templates")).make(image.fileno(), str(path), name, size, "ext4")
    return path, uuid


@pytest.mark.parametrize("size", [4 << 20, (100 << 20) + 4096, 2 << 30])
def test_a_copied_file_system_is_sound_has_its_own_identity_and_stays_sparse(tmp_path, size):
    make(tmp_path, "first", size)
    path, uuid = make(tmp_path, "second", size)
    found = ext4.read(path)
    assert (found.uuid, found.label, found.size, found.sound) == (uuid, mkfs.label_of("second"), size, True)
    assert ext4.read(tmp_path / "first.img").uuid != uuid
    assert os.stat(path).st_blocks * 512 < size / 10
    assert subprocess.run([E2FSCK, "-fn", path], capture_output=True, check=False).returncode == 0


def test_a_backup_of_the_superblock_has_the_new_identity_too(tmp_path):
    make(tmp_path, "first", 200 << 20)
    path, uuid = make(tmp_path, "second", 200 << 20)
    with open(path, "rb") as image:
        backup = ext4.Superblock(os.pread(image.fileno(), 1024, 32768 * 4096))
    assert (backup.uuid, backup.sound) == (uuid, True)


def test_a_torn_template_is_made_anew(tmp_path):
    make(tmp_path, "first", 8 << 20)
    template, = (tmp_path / "templates").iterdir()
    template.write_bytes(template.read_bytes()[:-5])
    path, uuid = make(tmp_path, "second", 8 << 20)
    assert ext4.read(path).uuid == uuid


def test_crc32c_is_the_one_of_rfc_3720():
    assert crc_of(bytes(32)) == 0x8A9136AA
    assert crc_of(bytes(range(32))) == 0x46DD794E


def crc_of(data):
    return ext4.crc32c(data) ^ 0xFFFFFFFF


def test_the_checksum_of_a_copy_is_that_of_its_content_not_of_its_holes(tmp_path):
    source, target, dense = tmp_path / "a", tmp_path / "b", tmp_path / "c"
    with open(source, "wb") as handle:
        handle.truncate(20 << 20)
        os.pwrite(handle.fileno(), b"x" * 5000, (3 << 20) + 17)
        os.pwrite(handle.fileno(), b"y", (20 << 20) - 1)
    checksum = copies.sparse_copy(str(source), str(target))
    dense.write_bytes(source.read_bytes())
    assert target.read_bytes() == source.read_bytes()
    assert os.stat(target).st_blocks * 512 < 1 << 20
    assert copies.digest_of(target) == copies.digest_of(dense) == checksum
    os.truncate(source, 19 << 20)
    assert copies.digest_of(source) != checksum


def test_mountinfo_is_read_with_its_escapes_and_file_system_options():
    line = "36 35 7:3 / /var/lib/a\\040b rw,noatime shared:1 master:2 - ext4 /dev/loop3 rw,emergency_ro"
    found, = mounts.parse_mountinfo(line)
    assert (found.device, found.target, found.fstype, found.super_options) == (
        (7, 3), "/var/lib/a b", "ext4", ["rw", "emergency_ro"])


def test_a_record_survives_and_a_broken_one_is_named(tmp_path):
    pool = Pool(str(tmp_path / "pool"))
    pool.prepare()
    pool.write_record({**empty_record("a_b_0"), "size": 5})
    (tmp_path / "pool/records/a_b_1.json").write_text("{")
    found, broken = pool.read_records()
    assert found["a_b_0"]["size"] == 5
    assert "can't be read" in broken["a_b_1"]
    with pytest.raises(DiskError):
        pool.read_record("a_b_1")


def test_the_pool_promises_what_it_has_less_the_reserve_times_the_ratio(tmp_path):
    pool = Pool(str(tmp_path))
    Budget(pool, size=100, reserve=20).check(0, 80)
    Budget(pool, size=100, reserve=20, thin_ratio=2).check(0, 160)
    Budget(pool, size=100, reserve=20).check(90, 90)  # what is promised already may stay
    with pytest.raises(PoolFull, match="nothing was changed"):
        Budget(pool, size=100, reserve=20).check(0, 81)


def test_a_pool_is_held_by_one_run_at_a_time_and_says_so(tmp_path):
    pool = Pool(str(tmp_path))
    told = f"The pool {tmp_path} is being worked on by .*process [0-9]+"
    with pool.lock(0), pytest.raises(LockHeld, match=told), pool.lock(0):
        pytest.fail("two hold one pool")
    with pool.lock(0):
        pass


def test_days_are_counted_from_the_date_of_release():
    assert age_days("2000-01-01T00:00:00Z") > 9000
    assert age_days(None) == 0


def test_the_boot_program_is_the_same_bytes_each_time_and_runs_alone(tmp_path):
    path = tmp_path / "volumes.pyz"
    assert program.install(str(path))
    assert not program.install(str(path))
    done = subprocess.run(["python3", "-I", str(path), "list", "--pool", str(tmp_path / "none")], capture_output=True,
                          text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "[]\n")
