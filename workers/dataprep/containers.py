"""What a file is by its first bytes, and the one data file inside a gzip or ZIP archive, unpacked within bounds."""

import gzip
import re
import stat
import struct
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import IO

from workers.dataprep.limits import WANTED, Limits, UnreadableDataset, is_damage, megabytes

_READ = 1 << 20
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")

_READABLE = {b"\x1f\x8b": "gzip", b"PK\x03\x04": "zip", b"PK\x05\x06": "zip", b"PK\x07\x08": "zip", b"PAR1": "parquet"}
_SPELT = {"gzip": "gzip", "zip": "ZIP"}
_REFUSED = {
    b"%PDF": "a PDF document",
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"GIF8": "a GIF picture",
    b"\x7fELF": "a program",
    b"MZ\x90\x00": "a program",
    b"SQLite format 3": "a SQLite database",
    b"GGUF": "a model file",
    b"ARROW1": "an Arrow file; save it as Parquet",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "an old Office document (.xls or .doc); save it as .xlsx or CSV",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive; pack it with ZIP or gzip",
    b"Rar!\x1a\x07": "a RAR archive; pack it with ZIP or gzip",
    b"BZh": "a bzip2 archive; pack it with ZIP or gzip",
    b"\xfd7zXZ\x00": "an XZ archive; pack it with ZIP or gzip",
    b"\x28\xb5\x2f\xfd": "a Zstandard archive; pack it with ZIP or gzip",
    b"\x80\x04\x95": "a Python pickle, which is never opened because it can run code",
    b"\x80\x05\x95": "a Python pickle, which is never opened because it can run code",
    b"\x93NUMPY": "a NumPy array",
    b"\x89HDF": "an HDF5 file",
}
_PAGES = (b"<!doctype html", b"<html", b"<head", b"<body")
_OTHER_TEXT = {
    b"<?xml": "an XML document",
    b"{\\rtf": "a rich text document (RTF); save it as plain text",
    b"-----begin ": "a key or a certificate. If it is a private key, replace it: it has been sent around",
    b"#!": "a script",
}
_OFFICE = {
    "word/document.xml": "a Word document",
    "ppt/presentation.xml": "a PowerPoint document",
    "content.xml": "an OpenDocument file; save it as .xlsx or CSV",
    "xl/workbook.bin": "a binary Excel workbook (.xlsb); save it as .xlsx or CSV",
}


_DAMAGES = (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile, struct.error, ValueError, RuntimeError, OSError)


def kind(head: bytes) -> str:
    """gzip, zip, parquet, or empty for what is perhaps text. Raises UnreadableDataset for what is neither."""
    if not head.removeprefix(b"\xef\xbb\xbf").strip():
        raise UnreadableDataset(f"It is empty. {WANTED}")
    for magic, what in _READABLE.items():
        if head.startswith(magic):
            return what
    for magic, what in _REFUSED.items():
        if head.startswith(magic):
            raise UnreadableDataset(f"It is {what}. {WANTED}")
    if head[257:262] == b"ustar":
        raise UnreadableDataset("It is a tar archive. Attach the data file itself; it may be packed with gzip or ZIP.")
    return ""


def refuse_other_text(head: bytes) -> None:
    """Raise UnreadableDataset for text that is certainly no dataset: web pages, XML, scripts."""
    start = head.lstrip()[:512].lower()
    if not start:
        raise UnreadableDataset(f"It is empty. {WANTED}")
    if start.startswith(_PAGES):
        raise UnreadableDataset(f"It is a web page (HTML), perhaps a log-in page saved by mistake. {WANTED}")
    for magic, what in _OTHER_TEXT.items():
        if start.startswith(magic):
            raise UnreadableDataset(f"It is {what}. {WANTED}")


def unpacked(path: Path, packing: str, limits: Limits, out: Path) -> Path:
    """Write an archive's one data file to `out`. Raises UnreadableDataset for bombs, damage and anything unusual."""
    try:
        if packing == "gzip":
            with gzip.open(path) as plain:
                _copy(plain, path.stat().st_size, limits, out)  # type: ignore[arg-type]
        else:
            with zipfile.ZipFile(path) as archive:
                member = _only_member(archive)
                with archive.open(member) as plain:
                    _copy(plain, member.compress_size, limits, out)
    except _DAMAGES as error:
        if not is_damage(error):
            raise
        words = f"The {_SPELT[packing]} archive is damaged or was cut off. Pack it again, or attach the file unpacked."
        raise UnreadableDataset(words) from error
    return out


def _copy(plain: IO[bytes], packed: int, limits: Limits, out: Path) -> None:
    written = 0
    most = min(limits.max_plain_bytes, max(limits.free_bytes, packed * limits.max_ratio))
    with out.open("wb") as file:
        while block := plain.read(_READ):
            written += len(block)
            if written > most:
                raise UnreadableDataset(
                    f"The archive of {megabytes(packed)} holds more than {megabytes(most)}, which is more than is "
                    "unpacked here. Attach the file unpacked, or split it."
                )
            file.write(block)


def _only_member(archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    members = archive.infolist()
    names = {one.filename for one in members}
    for name, what in _OFFICE.items():
        if name in names:
            raise UnreadableDataset(f"It is {what}. {WANTED}")
    for one in members:
        place = PurePosixPath(one.filename.replace("\\", "/"))
        if place.is_absolute() or ".." in place.parts or _DRIVE.match(one.filename):
            raise UnreadableDataset(
                f"The ZIP archive has a file that wants to lie outside of it ({_shown(one.filename)}), which is not "
                "safe. Pack the data file alone and attach that."
            )
        if stat.S_ISLNK(one.external_attr >> 16):
            raise UnreadableDataset(
                f"The ZIP archive holds a link ({_shown(one.filename)}) instead of a file. Pack the file itself."
            )
    files = [one for one in members if not one.is_dir() and not _is_litter(one.filename)]
    if not files:
        raise UnreadableDataset(f"The ZIP archive is empty. {WANTED}")
    if len(files) > 1:
        listed = ", ".join(_shown(one.filename) for one in files[:5]) + (", …" if len(files) > 5 else "")
        raise UnreadableDataset(
            f"The ZIP archive holds {len(files)} files ({listed}), and a dataset is one. Attach the one to train on."
        )
    if files[0].flag_bits & 1:
        raise UnreadableDataset("The ZIP archive is locked with a password. Attach it without one.")
    check_packing(files[0])
    return files[0]


def check_packing(member: zipfile.ZipInfo) -> None:
    """Raise UnreadableDataset for packings that are unpacked without a bound on memory (bzip2), or not at all."""
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise UnreadableDataset("The ZIP archive uses an unusual packing. Pack it again as a plain ZIP archive.")


def _is_litter(name: str) -> bool:
    """What a Mac or an editor leaves in archives."""
    parts = PurePosixPath(name).parts
    return not parts or parts[0] == "__MACOSX" or parts[-1].startswith(".") or parts[-1].lower() == "thumbs.db"


def _shown(name: str) -> str:
    return "".join(one if one.isprintable() else "?" for one in name[-60:])
