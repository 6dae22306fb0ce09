# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Image archives: what ``docker save`` writes and ``docker load`` reads, made from one layer without an engine.

The layer comes first, so that it can be streamed while it is built; configuration and manifest follow. A reader that
seeks (``read_archive``) finds both without reading the layer. Format: Docker image specification v1.2, "Combined
Image JSON + Filesystem Changeset Format".
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import tarfile

from ..common.errors import HostError

_CHUNK = 1024 * 1024


def write_archive(path, layer, recipe):
    """Write an image archive to ``path`` and return its image id (``sha256:…``).

    ``layer`` is a readable binary stream with the uncompressed tar of the root file system, ``recipe`` a ``Recipe``.
    The file appears under its name only when it is whole.
    """
    partial = f"{path}.partial"
    try:
        with open(partial, "wb") as out:
            image_id = _write(out, layer, recipe)
            out.flush()
            os.fsync(out.fileno())
        os.replace(partial, path)
    finally:
        if os.path.exists(partial):
            os.unlink(partial)
    return image_id


def _write(out, layer, recipe):
    digest = hashlib.sha256()
    # The header names the layer's digest and size, known only once it has passed through.
    out.write(b"\0" * tarfile.BLOCKSIZE)
    size = 0
    while True:
        chunk = layer.read(_CHUNK)
        if not chunk:
            break
        digest.update(chunk)
        out.write(chunk)
        size += len(chunk)
    if not size:
        raise HostError("the root file system came out empty")
    out.write(b"\0" * (-size % tarfile.BLOCKSIZE))
    end = out.tell()
    layer_name = f"{digest.hexdigest()}.tar"
    out.seek(0)
    out.write(_header(layer_name, size))
    out.seek(end)
    config = _json(recipe.image_config(f"sha256:{digest.hexdigest()}"))
    config_name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = [{"Config": config_name, "RepoTags": [recipe.name], "Layers": [layer_name]}]
    for name, data in ((config_name, config), ("manifest.json", _json(manifest))):
        out.write(_header(name, len(data)) + data + b"\0" * (-len(data) % tarfile.BLOCKSIZE))
    out.write(b"\0" * (2 * tarfile.BLOCKSIZE))
    return f"sha256:{config_name[:-5]}"


def _header(name, size):
    """Return the 512 bytes before a member; sizes of 8 GiB and more take GNU's binary form."""
    info = tarfile.TarInfo(name)
    info.size = size
    info.mode = 0o644
    return info.tobuf(format=tarfile.GNU_FORMAT)


def _json(data):
    return json.dumps(data, sort_keys=True, separators=(",", ":")).encode("utf-8")


def read_archive(path):
    """Return {id, tags, labels, layers} of the first image in an archive; layers by the digests of their content.

    :raises HostError: when the file is no image archive.
    """
    try:
        with tarfile.open(path, "r:*") as archive:
            manifest = json.load(archive.extractfile("manifest.json"))[0]
            raw = archive.extractfile(manifest["Config"]).read()
        config = json.loads(raw)
    except (OSError, KeyError, IndexError, TypeError, ValueError, AttributeError, tarfile.TarError) as error:
        raise HostError(f"{path} is not an image archive that docker load would take: {error}") from error
    return {
        "id": f"sha256:{hashlib.sha256(raw).hexdigest()}",
        "tags": manifest.get("RepoTags") or [],
        "labels": (config.get("config") or {}).get("Labels") or {},
        "layers": (config.get("rootfs") or {}).get("diff_ids") or [],
    }


def read_if_sound(path):
    """Return what ``read_archive`` says of a file of a cache, or None where there is none that can be used.

    A file that was cut short (a full disk, a copy that was interrupted) lacks its manifest, which comes last.
    """
    try:
        return read_archive(path)
    except HostError:
        return None


@contextlib.contextmanager
def open_layer(path):
    """Give a readable stream of the only layer of an archive that ``write_archive`` made."""
    with tarfile.open(path, "r:") as archive:
        manifest = json.load(archive.extractfile("manifest.json"))[0]
        yield archive.extractfile(manifest["Layers"][0])


def files_archive(files):
    """Return the bytes of a tar with ``files`` (a sequence of ``File``), parents not included."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for item in files:
            info = tarfile.TarInfo(item.dest.lstrip("/"))
            info.size, info.mode, info.uid, info.gid = len(item.content), item.mode, item.uid, item.gid
            archive.addfile(info, io.BytesIO(item.content))
    return buffer.getvalue()
