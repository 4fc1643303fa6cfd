"""Weights: where they lie, what they are, and into which module they fit. Nothing in a file is ever executed."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import socket
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies

import torch
from torch import Tensor, nn

from geoadapt.errors import GeoadaptError

__all__ = [
    "Provenance",
    "check_state",
    "find_weights",
    "fingerprint",
    "load_into",
    "load_state",
    "provenance",
    "random_provenance",
]

SHOWN = 5
"""Keys listed in an error."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """Which weights a backbone carries: their file's sha256, where to get them, and under which licence."""

    name: str
    file: str
    sha256: str
    where: str
    licence: str

    def as_plain(self) -> dict[str, str]:
        """As plain data, for a bundle."""
        return asdict(self)


def find_weights(
    name: str, path: str | Path | None, files: Sequence[str], *, hub: tuple[str, str] | None = None, where: str = ""
) -> Path:
    """The weights file of a backbone.

    Args:
        name: the backbone's, and its folder's under GEOADAPT_WEIGHTS.
        path: a file, or a folder that holds one of ``files``; None looks in GEOADAPT_WEIGHTS (or ../shared/weights),
            then on the Hugging Face hub.
        files: file names, the preferred one first.
        hub: repository and file on the hub.
        where: they are published, for those that are not there.

    Raises:
        GeoadaptError: where there is none, with all places looked at.
    """
    if path is not None:
        found = _in_folder(Path(path), name, files)
        if found is None:
            raise GeoadaptError(
                path, f"no weights of {name} here", f"expected a file, or a folder with {' or '.join(files)}"
            )
        return found
    looked: list[str] = []
    for folder in _weight_folders():
        looked.append(str(folder))
        if found := _in_folder(folder, name, files):
            return found
    if hub is None:
        files_told = f"GEOADAPT_WEIGHTS to the folder above {name}/{files[0]}, or give backbone.weights=FILE"
        hint = f"download them: {where}; then set {files_told}" if where else f"set {files_told}"
        raise GeoadaptError(name, "no weights found; looked in " + ", ".join(looked), hint)
    return _from_hub(name, hub, looked)


def load_state(path: str | Path) -> dict[str, Tensor]:
    """All tensors of a .safetensors or PyTorch file, on the CPU.

    Raises:
        GeoadaptError: for a missing, damaged or unsafe file, and for values that are not finite.
    """
    path = Path(path)
    if not path.is_file():
        raise GeoadaptError(path, "no such file", "give a .safetensors or .pt file")
    state = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    bad = [key for key, value in state.items() if value.is_floating_point() and not bool(value.isfinite().all())]
    if bad:
        raise GeoadaptError(path, f"values that are not finite in {_listed(bad)}", "the file is damaged; get it again")
    return {key.replace("backbone.", "", 1) if key.startswith("backbone.") else key: v for key, v in state.items()}


def check_state(state: Mapping[str, Tensor], wanted: Mapping[str, Tensor], path: object) -> None:
    """Raises GeoadaptError where keys or shapes of ``state`` differ from ``wanted``, listing up to five of each."""
    missing = [key for key in wanted if key not in state]
    extra = [key for key in state if key not in wanted]
    shapes = [
        f"{key} {tuple(value.shape)}, expected {tuple(wanted[key].shape)}"
        for key, value in state.items()
        if key in wanted and value.shape != wanted[key].shape
    ]
    problems = [
        f"{what} {_listed(keys)}"
        for what, keys in (("missing keys", missing), ("unknown keys", extra), ("wrong shapes", shapes))
        if keys
    ]
    if problems:
        raise GeoadaptError(path, "; ".join(problems), "these are the weights of something else")


def load_into(module: nn.Module, path: str | Path) -> None:
    """Fill a module from a file, all keys or nothing; raises GeoadaptError."""
    state = load_state(path)
    check_state(state, module.state_dict(), path)
    module.load_state_dict(state, strict=True)


def fingerprint(path: str | Path) -> str:
    """The sha256 of a file, remembered by its size and time of change."""
    path = Path(path).resolve()
    try:
        stat = path.stat()
    except OSError as error:
        raise GeoadaptError(path, f"cannot be read: {error.strerror}", "give a weights file") from error
    key = f"{path}|{stat.st_size}|{stat.st_mtime_ns}"
    if key not in _KNOWN:
        _KNOWN.update(_read_cache())
    if key not in _KNOWN:
        with path.open("rb") as file:
            _KNOWN[key] = hashlib.file_digest(file, "sha256").hexdigest()
        _write_cache(_KNOWN)
    return _KNOWN[key]


def provenance(name: str, path: Path, where: str, licence: str) -> Provenance:
    """Where published weights come from."""
    return Provenance(name, path.name, fingerprint(path), where, licence)


def random_provenance(name: str, seed: int, module: nn.Module) -> Provenance:
    """What stands for a file's hash where weights are drawn: the seed and a hash of all values."""
    digest = hashlib.sha256(str(seed).encode())
    for key, value in sorted(module.state_dict().items()):
        digest.update(key.encode())
        digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return Provenance(name, f"random weights, seed {seed}", digest.hexdigest(), "drawn from the seed", "none needed")


_KNOWN: dict[str, str] = {}


def _cache_file() -> Path:
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "geoadapt" / "fingerprints.json"


def _read_cache() -> dict[str, str]:
    try:
        stored = json.loads(_cache_file().read_text(encoding="utf-8"))
    except (OSError, ValueError, RuntimeError):
        return {}
    if not isinstance(stored, dict):
        return {}
    return {k: v for k, v in stored.items() if isinstance(k, str) and isinstance(v, str) and len(v) == 64}


def _write_cache(known: dict[str, str]) -> None:
    try:
        file = _cache_file()
        file.parent.mkdir(parents=True, exist_ok=True)
        aside = file.with_name(f"{file.name}.{os.getpid()}.part")
        aside.write_text(json.dumps(known), encoding="utf-8")
        aside.replace(file)
    except (OSError, RuntimeError):
        # a cache that cannot be written costs a second next time, nothing else
        return


def _weight_folders() -> list[Path]:
    """Where weights are looked for, in this order; the last holds what the package ships."""
    shipped = Path(__file__).resolve().parents[1] / "shipped"
    if given := os.environ.get("GEOADAPT_WEIGHTS"):
        return [Path(given), shipped]
    near = Path("..") / "shared" / "weights"
    return list(dict.fromkeys([Path(__file__).resolve().parents[2] / near, Path.cwd() / near, shipped]))


def _in_folder(path: Path, name: str, files: Sequence[str]) -> Path | None:
    if path.is_file():
        return path
    candidates = (folder / file for folder in (path / name, path) for file in files)
    return next((c for c in candidates if c.is_file()), None)


def _from_hub(name: str, hub: tuple[str, str], looked: list[str]) -> Path:
    repository, file = hub
    looked.append(f"huggingface.co/{repository} ({file})")
    try:
        return _download(repository, file)
    except Exception as error:  # the hub's client raises whatever its transport does
        raise GeoadaptError(
            name,
            f"no weights found; looked in {', '.join(looked)} ({type(error).__name__})",
            f"download {file} from there and set GEOADAPT_WEIGHTS to the folder above {name}/, or give weights=FILE",
        ) from error


def _download(repository: str, file: str) -> Path:
    """The hub's copy in the user's cache, or a fresh one."""
    from huggingface_hub import constants, hf_hub_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(hf_hub_download(repository, file, local_files_only=True))
    except LocalEntryNotFoundError:
        if not getproxies():
            # without a network the client would try five times in half a minute; a name look-up tells at once
            socket.getaddrinfo(urlsplit(constants.ENDPOINT).hostname, 443)
        return Path(hf_hub_download(repository, file))


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise GeoadaptError(path, f"not a whole safetensors file ({error})", "get it again") from error


def _read_torch(path: Path) -> dict[str, Tensor]:
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise GeoadaptError(
            path,
            "holds more than tensors and was not opened: loading it could run code",
            "convert it to safetensors where you trust it",
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise GeoadaptError(path, f"not a whole PyTorch file ({first})", "get it again") from error
    if isinstance(loaded, Mapping):
        for key in [k for k in loaded if str(k).endswith("state_dict") or k == "model"]:
            if isinstance(loaded.get(key), Mapping):
                loaded = loaded[key]
    if not isinstance(loaded, Mapping) or not all(isinstance(v, Tensor) for v in loaded.values()):
        raise GeoadaptError(path, "is no table of tensors", "give a file of weights")
    return {str(key): value for key, value in loaded.items()}


def _listed(keys: Sequence[str]) -> str:
    more = f" and {len(keys) - SHOWN} more" if len(keys) > SHOWN else ""
    return ", ".join(keys[:SHOWN]) + more
