# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is done to a volume, on real images; loop devices and mounts are played by folders, so no root is needed."""

from __future__ import annotations

import errno
import os
import stat
from types import SimpleNamespace

import pytest

from ansible_collections.stowage.fleet.plugins.module_utils.disks import copies, filesystems, mkfs, volumes
from ansible_collections.stowage.fleet.plugins.module_utils.disks.decide import Wanted
from ansible_collections.stowage.fleet.plugins.module_utils.disks.errors import DamagedVolume, DiskError, VolumeBusy
from ansible_collections.stowage.fleet.plugins.module_utils.disks.pool import ATTACHED, RELEASED, Pool

M = 1 << 20
NAME = "acme_db_0"


class Kernel:
    """Loop devices and mounts of one host. What is mounted is a folder that is moved to where it is mounted."""

    def __init__(self, folder):
        self.folder = str(folder)
        self.mounted = {}
        self.told = []
        #: What the next mounts are answered with: errnos, or None for a mount.
        self.answers = []
        #: Loops of images, as Sight has them; and those that a container holds.
        self.loops = []
        self.claimed = set()
        self.bound = set()

    def attach_loop(self, descriptor, name):
        self.told.append(f"attach {name}")
        return os.open(os.devnull, os.O_RDONLY), 7

    def detach_loop(self, number):
        self.told.append(f"detach loop{number}")
        self.bound.discard(number)

    def refresh_capacity(self, number):
        self.told.append("refresh")

    def is_claimed(self, number):
        return number in self.claimed

    def mount(self, device, target, filesystem, options):
        code = self.answers.pop(0) if self.answers else None
        if code:
            raise OSError(code, os.strerror(code))
        self.told.append(f"mount {device} as {filesystem} {','.join(options)}")
        content = os.path.join(self.folder, os.path.basename(target))
        os.makedirs(content, exist_ok=True)
        os.rmdir(target)
        os.rename(content, target)
        self.mounted[target] = content

    def unmount(self, target):
        self.told.append("unmount")
        if target in self.mounted:
            os.rename(target, self.mounted.pop(target))
            os.mkdir(target)


class Sight:
    """What of the loop devices was seen."""

    def __init__(self, kernel):
        self.kernel = kernel

    def loops_of(self, image):
        return self.kernel.loops

    def still_bound(self, loop):
        return loop.number in self.kernel.bound

    def forget_free(self, image):
        self.kernel.loops = [loop for loop in self.kernel.loops if self.still_bound(loop)]

    def look_again(self, image):
        pass


@pytest.fixture
def kernel(tmp_path, monkeypatch):
    (tmp_path / "contents").mkdir()
    found = Kernel(tmp_path / "contents")
    for name in ("attach_loop", "detach_loop", "refresh_capacity", "is_claimed", "mount", "unmount"):
        monkeypatch.setattr(volumes.kernel, name, getattr(found, name))
    monkeypatch.setattr(volumes.os.path, "ismount", lambda path: path in found.mounted)
    return found


@pytest.fixture
def pool(tmp_path):
    found = Pool(str(tmp_path / "pool"))
    found.prepare()
    return found


@pytest.fixture
def volume(pool, kernel):
    """Return a function that makes a Volume as a run does, with what is recorded by then."""
    def make(name=NAME, repair="safe", size=8 * M, **wanted):
        asked = Wanted(name, size=size, **wanted)
        return volumes.Volume(pool, Sight(kernel), mkfs.Maker(pool.templates), asked, pool.read_record(name), repair)

    return make


@pytest.fixture
def there(volume):
    """A volume of 8 MiB that is there, and not mounted."""
    volume().perform("create")
    return volume


def perform(volume, *actions):
    for action in actions:
        volume.perform(action)
    return volume


def hold(kernel, number=7, bound=True):
    """Have the image bound to a loop device."""
    kernel.loops = [SimpleNamespace(number=number, path=f"/dev/loop{number}")]
    kernel.bound = {number} if bound else set()


def cut_power(*_arguments):
    raise OSError("power cut")


def mode_of(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def files(folder):
    return sorted(os.listdir(folder))


# what brings it into being

def test_a_volume_is_made_with_its_record(volume, pool):
    made = perform(volume(path="/data", owner="999", mode="0700", fleet="blue", instance="acme_db_0"), "create")
    record = pool.read_record(NAME)
    assert record == made.record
    assert (record["size"], record["fs"], record["state"], record["fleet"]) == (8 * M, "ext4", ATTACHED, "blue")
    assert (record["path"], record["owner"], record["mode"]) == ("/data", "999", "0700")
    assert record["options"] == volumes.DEFAULT_OPTIONS
    assert filesystems.identify(pool.image(NAME), "ext4").uuid == record["uuid"]


def test_the_image_of_a_volume_is_for_root_alone_and_its_size_is_exact(there, pool):
    assert mode_of(pool.image(NAME)) == 0o600
    assert os.stat(pool.image(NAME)).st_size == 8 * M
    assert files(pool.images) == [f"{NAME}.img"]


def test_mount_options_that_are_asked_for_are_kept(volume, pool):
    perform(volume(options=["noexec"]), "create")
    assert pool.read_record(NAME)["options"] == ["noexec"]


def test_a_volume_whose_making_breaks_off_before_its_record_does_not_count(volume, pool, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(pool, "write_record", cut_power)
        with pytest.raises(OSError, match="power cut"):
            volume().perform("create")
    assert files(pool.images) == [f".new-{NAME}.img"]
    assert pool.read_record(NAME) is None
    perform(volume(), "create")
    assert files(pool.images) == [f"{NAME}.img"]


def test_a_volume_whose_making_breaks_off_after_its_record_only_lacks_its_name(volume, pool, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(volumes.os, "rename", cut_power)
        with pytest.raises(OSError, match="power cut"):
            volume().perform("create")
    assert files(pool.images) == [f".new-{NAME}.img"]
    uuid = pool.read_record(NAME)["uuid"]
    perform(volume(), "finish")
    assert files(pool.images) == [f"{NAME}.img"]
    assert filesystems.identify(pool.image(NAME), "ext4").uuid == uuid


def test_an_image_without_a_record_is_taken_up_as_it_is(there, pool):
    uuid = pool.read_record(NAME)["uuid"]
    pool.remove_record(NAME)
    adopted = perform(there(size=64 * M, path="/data"), "adopt")
    assert (adopted.record["uuid"], adopted.record["size"], adopted.record["fs"]) == (uuid, 8 * M, "ext4")
    assert (adopted.record["path"], adopted.words) == ("/data", ["an image without a record was taken up"])


def test_an_image_that_holds_no_file_system_is_left_untouched(volume, pool):
    with open(pool.image(NAME), "wb") as image:
        image.write(b"precious" * 1000)
    with pytest.raises(DiskError, match=r"holds no file system that is known.*left untouched"):
        volume().perform("adopt")
    assert pool.read_record(NAME) is None
    assert os.stat(pool.image(NAME)).st_size == 8000


def test_a_released_volume_is_attached_again(there, pool):
    perform(there(), "release")
    assert (pool.read_record(NAME)["state"], pool.read_record(NAME)["released_at"] is None) == (RELEASED, False)
    perform(there(), "reattach")
    assert (pool.read_record(NAME)["state"], pool.read_record(NAME)["released_at"]) == (ATTACHED, None)


# mounting

def test_a_volume_is_mounted_from_a_loop_device_with_its_options(there, kernel, pool):
    perform(there(), "mount")
    assert kernel.told == [f"attach {NAME}", "mount /dev/loop7 as ext4 noatime,nodev,nosuid"]
    assert list(kernel.mounted) == [pool.mountpoint(NAME)]


def test_an_image_that_has_a_loop_device_gets_no_second_one(there, kernel):
    hold(kernel, 3)
    perform(there(), "mount")
    assert kernel.told == ["mount /dev/loop3 as ext4 noatime,nodev,nosuid"]


def test_a_new_volume_gets_the_owner_and_the_mode_that_are_asked_for(volume, pool):
    perform(volume(mode="2750", owner=str(os.getuid()), group=str(os.getgid())), "create", "mount")
    assert mode_of(pool.data(NAME)) == 0o2750


def test_a_new_volume_is_readable_for_all_unless_said_otherwise(there, pool):
    umask = os.umask(0o077)
    try:
        perform(there(), "mount")
    finally:
        os.umask(umask)
    assert mode_of(pool.data(NAME)) == 0o755


def test_what_a_container_did_to_the_mode_of_its_data_stays(volume, pool):
    perform(volume(mode="0750"), "create", "mount")
    os.chmod(pool.data(NAME), 0o700)
    perform(volume(mode="0750"), "unmount", "mount")
    assert mode_of(pool.data(NAME)) == 0o700


def test_a_volume_is_not_mounted_over_files(there, pool, kernel):
    os.makedirs(os.path.join(pool.mountpoint(NAME), "lost"))
    with pytest.raises(DiskError, match=r"is not empty although nothing is mounted: something wrote there\. Move that"):
        there().perform("mount")
    assert kernel.told == []


def test_another_image_in_the_place_of_the_recorded_one_is_not_mounted(there, pool, volume, kernel):
    perform(volume("acme_db_1"), "create")
    os.replace(pool.image("acme_db_1"), pool.image(NAME))
    with pytest.raises(DiskError, match=r"holds another file system.*left untouched"):
        there().perform("mount")
    assert kernel.told == []


def test_a_mount_that_the_kernel_refuses_for_damage_is_tried_again_after_a_check(there, kernel):
    kernel.answers = [errno.EUCLEAN]
    done = perform(there(), "mount")
    assert kernel.told[-1] == "mount /dev/loop7 as ext4 noatime,nodev,nosuid"
    assert done.words == [
        "the kernel refuses to mount it (Structure needs cleaning); the check found nothing to repair"]


def test_a_mount_that_the_kernel_refuses_after_a_check_too_is_damage(there, kernel):
    kernel.answers = [errno.EUCLEAN, errno.EUCLEAN]
    with pytest.raises(DamagedVolume, match="even after a check: Structure needs cleaning; restore it from a snapshot"):
        there().perform("mount")


def test_a_mount_that_is_refused_for_another_reason_is_not_checked(there, kernel):
    kernel.answers = [errno.EPERM]
    with pytest.raises(DiskError, match="it can't be mounted: Operation not permitted"):
        there().perform("mount")


def wipe_superblock(path):
    with open(path, "r+b") as image:
        os.pwrite(image.fileno(), bytes(4096), 0)


def test_damage_is_named_and_let_be_where_nothing_may_be_repaired(there, pool, kernel):
    wipe_superblock(pool.image(NAME))
    with pytest.raises(DamagedVolume, match="its superblock is damaged; repair: none leaves it as it is, unmounted"):
        there(repair="none").perform("mount")
    assert kernel.told == []


def test_an_image_is_not_checked_while_a_loop_device_holds_it(there, pool, kernel):
    wipe_superblock(pool.image(NAME))
    hold(kernel)
    with pytest.raises(DiskError, match="a loop device still holds its image, so it can't be checked"):
        there().perform("mount")


def test_damage_that_is_not_safe_to_repair_is_told_with_its_reason(there, monkeypatch):
    def damaged(image, kind, name):
        raise DamagedVolume(f"volume {name}: its file system is damaged and can't be repaired")

    monkeypatch.setattr(filesystems, "check", damaged)
    with pytest.raises(DamagedVolume, match="acme_db_0: it went read-only after an error; it is damaged and can't"):
        there().perform("check")


def test_repair_by_force_keeps_a_way_back(volume, pool):
    perform(volume(size=200 * M), "create")
    wipe_superblock(pool.image(NAME))
    done = perform(volume(size=200 * M, repair="force"), "mount")
    (way_back,) = files(pool.snapshots)
    assert way_back.startswith(f"{NAME}@before-repair-")
    assert done.words[0].startswith("its file system was repaired by force; ")


# letting go

def test_a_loop_device_that_frees_itself_is_left_to_do_so(there, kernel):
    perform(there(), "mount")
    hold(kernel, bound=False)
    perform(there(), "unmount")
    assert kernel.told[-1] == "unmount"


def test_a_loop_device_that_stays_is_detached(there, kernel):
    perform(there(), "mount")
    hold(kernel)
    perform(there(), "unmount")
    assert kernel.told[-2:] == ["unmount", "detach loop7"]
    assert kernel.loops == []


def test_a_volume_that_a_container_holds_is_mounted_again_and_stays(there, kernel, monkeypatch):
    perform(there(), "mount")
    hold(kernel)
    kernel.claimed = {7}
    monkeypatch.setattr(volumes, "_let_go", lambda number: False)
    with pytest.raises(VolumeBusy, match="in use by a container and stays as it is; stop that first"):
        there().perform("unmount")
    assert kernel.told[-2:] == ["unmount", "mount /dev/loop7 as ext4 noatime,nodev,nosuid"]


@pytest.fixture
def clock(monkeypatch):
    """A clock that only sleeping moves on."""
    now = [0.0]
    monkeypatch.setattr(volumes.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(volumes.time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    return now


def test_the_last_mount_of_a_stopped_container_is_waited_for(clock, monkeypatch):
    monkeypatch.setattr(volumes.kernel, "is_claimed", lambda number: clock[0] < 1)
    assert volumes._let_go(7)
    assert 1 <= clock[0] < 1.1


def test_a_container_that_does_not_stop_is_not_waited_for_longer_than_2_seconds(clock, monkeypatch):
    monkeypatch.setattr(volumes.kernel, "is_claimed", lambda number: True)
    assert not volumes._let_go(7)
    assert 2 <= clock[0] < 2.1


def test_a_volume_is_mounted_back_after_what_needed_it_unmounted_has_failed(there, kernel, pool):
    perform(there(), "mount", "unmount")
    there().mount_back()
    assert list(kernel.mounted) == [pool.mountpoint(NAME)]


def test_mounting_back_hides_no_failure_behind_its_own(there, kernel):
    perform(there(), "mount", "unmount")
    kernel.answers = [errno.EIO]
    there().mount_back()
    assert kernel.mounted == {}


# size

@pytest.fixture
def growing(monkeypatch):
    """A kernel that grows mounted file systems; what it is asked is kept."""
    told = []
    monkeypatch.setattr(filesystems, "can_grow_mounted", lambda kind: True)
    monkeypatch.setattr(filesystems, "grow_mounted", lambda device, target, kind, name: told.append((target, kind)))
    return told


def test_a_mounted_volume_grows_while_it_is_used(there, growing, kernel, pool):
    perform(there(), "mount")
    perform(there(size=16 * M), "grow")
    assert os.stat(pool.image(NAME)).st_size == pool.read_record(NAME)["size"] == 16 * M
    assert growing == [(pool.mountpoint(NAME), "ext4")]
    assert kernel.told[-1] == "refresh"


def test_a_volume_that_could_not_grow_is_recorded_with_its_old_size_so_that_the_next_run_tries_again(
        there, growing, pool, monkeypatch):
    def fail(*_arguments):
        raise DiskError("it could not grow while mounted")

    perform(there(), "mount")
    monkeypatch.setattr(filesystems, "grow_mounted", fail)
    with pytest.raises(DiskError):
        there(size=16 * M).perform("grow")
    assert pool.read_record(NAME)["size"] == 8 * M


def test_growing_again_after_the_image_has_grown_is_no_harm(there, growing, pool):
    perform(there(), "mount")
    os.truncate(pool.image(NAME), 16 * M)
    perform(there(size=16 * M), "grow")
    assert pool.read_record(NAME)["size"] == 16 * M


@pytest.fixture
def nested(monkeypatch):
    """A host whose root may not grow a mounted ext4."""
    monkeypatch.setattr(filesystems, "can_grow_mounted", lambda kind: False)


def test_where_root_may_not_grow_a_mounted_volume_it_grows_unmounted(there, nested, kernel, pool):
    perform(there(), "mount")
    hold(kernel, bound=False)
    perform(there(size=16 * M), "grow")
    assert filesystems.identify(pool.image(NAME), "ext4").size == pool.read_record(NAME)["size"] == 16 * M
    assert list(kernel.mounted) == [pool.mountpoint(NAME)]


def test_where_root_may_not_grow_a_mounted_volume_one_in_use_stays_as_it_is(there, nested, kernel, pool, monkeypatch):
    perform(there(), "mount")
    hold(kernel)
    monkeypatch.setattr(volumes, "_let_go", lambda number: False)
    with pytest.raises(DiskError, match=r"lacks CAP_SYS_RESOURCE.*Stop its container for now, or use xfs"):
        there(size=16 * M).perform("grow")
    assert os.stat(pool.image(NAME)).st_size == pool.read_record(NAME)["size"] == 8 * M
    assert list(kernel.mounted) == [pool.mountpoint(NAME)]


def test_a_volume_shrinks_and_stays_the_same_file_system(volume, pool):
    perform(volume(size=32 * M), "create")
    uuid = pool.read_record(NAME)["uuid"]
    perform(volume(size=16 * M, shrink=True), "shrink")
    found = filesystems.identify(pool.image(NAME), "ext4")
    assert (found.uuid, found.size, os.stat(pool.image(NAME)).st_size) == (uuid, 16 * M, 16 * M)
    assert pool.read_record(NAME)["size"] == 16 * M
    assert files(pool.images) == [f"{NAME}.img"]


def test_a_volume_that_can_not_shrink_is_as_it_was(volume, pool, monkeypatch):
    def fail(image, size, name):
        raise DiskError("its file system can't be made smaller")

    perform(volume(size=32 * M), "create")
    monkeypatch.setattr(filesystems, "resize_image", fail)
    with pytest.raises(DiskError, match="can't be made smaller"):
        volume(size=16 * M, shrink=True).perform("shrink")
    assert filesystems.identify(pool.image(NAME), "ext4").size == pool.read_record(NAME)["size"] == 32 * M
    assert files(pool.images) == [f"{NAME}.img"]


# bookkeeping

def test_another_mode_is_given_to_the_data_and_recorded(there, pool):
    perform(there(), "mount")
    perform(there(mode="0700"), "own")
    assert (mode_of(pool.data(NAME)), pool.read_record(NAME)["mode"]) == (0o700, "0700")


def test_an_owner_that_this_host_does_not_know_is_named_and_not_recorded(there, pool):
    perform(there(), "mount")
    with pytest.raises(DiskError, match="owner 'no-such-user' is not known on this host; give its number instead"):
        there(owner="no-such-user").perform("own")
    assert pool.read_record(NAME)["owner"] is None


@pytest.mark.parametrize(("value", "number"), [(None, -1), ("0", 0), (999, 999), ("999", 999), ("root", 0)])
def test_owners_are_names_or_numbers(value, number):
    assert volumes._number(value, "owner") == number


def test_an_unknown_group_is_called_a_group():
    with pytest.raises(DiskError, match="group 'no-such-group'"):
        volumes._number("no-such-group", "group")


def test_a_note_keeps_what_it_does_not_say(volume, pool):
    perform(volume(path="/data", mode="0700"), "create")
    perform(volume(path="/other", size=None), "note")
    record = pool.read_record(NAME)
    assert (record["path"], record["mode"], record["size"]) == ("/other", "0700", 8 * M)


# copies

def test_a_volume_goes_back_to_its_snapshot_with_the_size_of_that_time(there, growing, pool):
    perform(there(snapshot="before"), "snapshot")
    before = copies.digest_of(pool.image(NAME))
    perform(there(), "mount")
    perform(there(size=16 * M), "grow", "unmount")
    perform(there(rollback="before"), "rollback")
    assert copies.digest_of(pool.image(NAME)) == before
    assert pool.read_record(NAME)["size"] == 8 * M


def test_the_oldest_snapshots_go_beyond_the_number_to_keep(there, pool):
    for name in ("a", "b", "c"):
        perform(there(snapshot=name), "snapshot")
    perform(there(keep_snapshots=2), "thin_out")
    assert [one["name"] for one in copies.list_snapshots(pool)[NAME]] == ["b", "c"]


def test_no_snapshot_goes_while_there_are_few(there, pool):
    perform(there(snapshot="a"), "snapshot")
    perform(there(keep_snapshots=2), "thin_out")
    assert len(copies.list_snapshots(pool)[NAME]) == 1


def test_a_backup_comes_back_under_another_name(there, pool, tmp_path):
    backup = str(tmp_path / "backup.tar")
    perform(there(backup=backup), "backup")
    restored = perform(there("acme_db_1", restore=backup, path="/data"), "restore")
    assert copies.digest_of(pool.image("acme_db_1")) == copies.digest_of(pool.image(NAME))
    assert (restored.record["size"], restored.record["path"]) == (8 * M, "/data")


# the end

def test_a_deleted_volume_leaves_nothing_behind(there, volume, pool):
    perform(there(snapshot="a"), "snapshot")
    perform(there(), "mount", "unmount")
    gone = perform(there(), "delete")
    assert gone.record is None
    assert [files(folder) for folder in (pool.images, pool.records, pool.snapshots)] == [[], [], []]
    assert not os.path.exists(pool.mountpoint(NAME)) or files(pool.mountpoint(NAME)) == []


def test_a_volume_whose_image_is_gone_is_deleted_too(there, pool):
    os.unlink(pool.image(NAME))
    perform(there(), "delete")
    assert files(pool.records) == []


def test_deleting_a_volume_leaves_those_with_a_longer_name(there, volume, pool):
    for other in (f"{NAME}.logs", f"{NAME}1"):
        perform(volume(other, snapshot="a"), "create", "snapshot")
    perform(there(), "delete")
    assert files(pool.images) == [f"{NAME}.logs.img", f"{NAME}1.img"]
    assert sorted(copies.list_snapshots(pool)) == [f"{NAME}.logs", f"{NAME}1"]
