"""Models from the hub, through its own client: pinned to a commit, file by file."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from sitecodec.errors import ModelError
from sitecodec.sd.registry import ALIASES


@dataclass(frozen=True)
class Hub:
    """A repository at one commit."""

    name: str
    revision: str
    """The commit."""

    files: tuple[str, ...]
    digests: dict[str, str]
    """SHA-256 by path, as the hub says it of large files."""

    @classmethod
    def open(cls, name: str, revision: str = "") -> Hub:
        """The repository at a revision (default: its main branch). Raises ModelError."""
        try:
            import huggingface_hub
        except ImportError as error:
            raise ModelError(
                "models from the hub need its client: install it with"
                "  pip install 'sitecodec[torch]'"
            ) from error
        try:
            info = huggingface_hub.HfApi().model_info(
                name, revision=revision or None, timeout=20, files_metadata=True
            )
        except Exception as error:  # the client raises its own, its transport's and the system's
            raise _unreachable(name, error) from error
        if not info.sha:
            raise ModelError(f"cannot fetch {name}: the hub names no commit; give its folder")
        siblings = info.siblings or ()
        files = tuple(item.rfilename for item in siblings)
        digests = {item.rfilename: item.lfs.sha256 for item in siblings if item.lfs}
        return cls(name, info.sha, files, digests)

    def paths(self) -> list[str]:
        """The repository's files."""
        return list(self.files)

    def get(self, path: str) -> Path:
        """A file on this machine, downloaded if need be, as the hub has it. Raises ModelError."""
        import huggingface_hub

        try:
            file = Path(huggingface_hub.hf_hub_download(self.name, path, revision=self.revision))
            with file.open("rb") as opened:
                digest = hashlib.file_digest(opened, "sha256").hexdigest()
        except Exception as error:
            raise _unreachable(self.name, error) from error
        if self.digests.get(path, digest) != digest:
            # The client compares sizes only, and would take the same file from its cache again.
            file.resolve().unlink(missing_ok=True)
            file.unlink(missing_ok=True)
            raise ModelError(
                f"cannot fetch {self.name}: {path} arrived damaged (SHA-256); try again"
            )
        return file


def _unreachable(name: str, error: Exception) -> ModelError:
    kind = type(error).__name__
    if "Gated" in kind:
        what = "its licence must be accepted on its page first, and a token set"
    elif "RepositoryNotFound" in kind and name in ALIASES.values():
        # Makers withdraw models: those of 1.5 and of 2.1 went in 2024 and 2025.
        what = (
            "the repository is not there any more; look for a copy that you trust and give its"
            " name or folder to --from"
        )
    elif "RepositoryNotFound" in kind or "HFValidation" in kind:
        what = "there is no such folder here and no such repository there; check the name"
    elif "RevisionNotFound" in kind or ("EntryNotFound" in kind and "Local" not in kind):
        what = "no such revision or file there; check --revision"
    else:
        detail = " ".join(str(error).split())[:80] or kind
        what = (
            f"the hub cannot be reached ({detail}); download the model elsewhere and give its"
            " folder to --from"
        )
    return ModelError(f"cannot fetch {name}: {what}")
