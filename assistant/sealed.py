"""Files that are sealed with a passphrase, written and read as streams.

libsodium does the work: the key is Argon2id's of the passphrase (RFC 9106), the content a
secretstream of XChaCha20-Poly1305, which tells when a part is changed, missing, moved, or follows
the end.

    magic, salt, header of the stream, an empty part that only the right key opens, parts of PART
    bytes, the last one marked as such
"""

from __future__ import annotations

import io
from typing import IO, TYPE_CHECKING

from nacl import bindings as sodium
from nacl import pwhash
from nacl.exceptions import CryptoError
from nacl.utils import random

from assistant.errors import AssistantError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

MAGIC = b"frontdesk sealed 1\n"
PART = 1 << 20
_OVERHEAD = sodium.crypto_secretstream_xchacha20poly1305_ABYTES
_HEADER = sodium.crypto_secretstream_xchacha20poly1305_HEADERBYTES
_MORE = sodium.crypto_secretstream_xchacha20poly1305_TAG_MESSAGE
_LAST = sodium.crypto_secretstream_xchacha20poly1305_TAG_FINAL


class SealError(AssistantError):
    """A sealed file cannot be opened: another passphrase, or it is not what was written."""


class Sealer(io.RawIOBase):
    """Seals what is written to it. Only a file that was finished can be opened to its end."""

    def __init__(self, file: IO[bytes], passphrase: str) -> None:
        self._file = file
        self._buffer = bytearray()
        self._state = sodium.crypto_secretstream_xchacha20poly1305_state()
        salt = random(pwhash.argon2id.SALTBYTES)
        key = _key(passphrase, salt)
        header = sodium.crypto_secretstream_xchacha20poly1305_init_push(self._state, key)
        file.write(MAGIC + salt + header)
        self._push(b"", _MORE)

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: ReadableBuffer, /) -> int:
        """Take bytes in."""
        taken = memoryview(data).cast("B")
        self._buffer += taken
        while len(self._buffer) > PART:  # the last part is written when it is known to be the last
            self._push(bytes(self._buffer[:PART]), _MORE)
            del self._buffer[:PART]
        return len(taken)

    def finish(self) -> None:
        """Write the end; a file without one counts as cut off."""
        self._push(bytes(self._buffer), _LAST)
        self._buffer.clear()

    def _push(self, part: bytes, tag: int) -> None:
        sealed = sodium.crypto_secretstream_xchacha20poly1305_push(self._state, part, MAGIC, tag)
        self._file.write(sealed)


class Opener(io.RawIOBase):
    """Reads what was sealed. Every byte that it gives is authentic; SealError comes as soon as one
    is not, and at the end of a file that is cut off."""

    def __init__(self, file: IO[bytes], passphrase: str) -> None:
        self._file = file
        self._left = memoryview(b"")
        self._ended = False
        self._state = sodium.crypto_secretstream_xchacha20poly1305_state()
        if file.read(len(MAGIC)) != MAGIC:
            raise SealError("this is no backup of Frontdesk")
        salt, header = file.read(pwhash.argon2id.SALTBYTES), file.read(_HEADER)
        first = file.read(_OVERHEAD)
        if len(first) < _OVERHEAD:
            raise SealError("the file is cut off")
        sodium.crypto_secretstream_xchacha20poly1305_init_pull(
            self._state, header, _key(passphrase, salt)
        )
        self._pull(first, "the passphrase is wrong, or the file's first bytes were changed")

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Give bytes out."""
        while not self._left and not self._ended:
            self._next()
        wanted = memoryview(buffer).cast("B")
        count = min(len(wanted), len(self._left))
        wanted[:count] = self._left[:count]
        self._left = self._left[count:]
        return count

    def _next(self) -> None:
        at = self._file.tell()
        sealed = self._file.read(PART + _OVERHEAD)
        if not sealed:
            raise SealError("the file is cut off")
        part, tag = self._pull(sealed, f"the file was changed, or is cut off, after byte {at:,}")
        self._left, self._ended = memoryview(part), tag == _LAST
        if self._ended and self._file.read(1):
            raise SealError("something was added to the file")

    def _pull(self, sealed: bytes, otherwise: str) -> tuple[bytes, int]:
        try:
            part, tag = sodium.crypto_secretstream_xchacha20poly1305_pull(
                self._state, sealed, MAGIC
            )
        except (CryptoError, ValueError) as error:
            raise SealError(otherwise) from error
        return part, tag


def _key(passphrase: str, salt: bytes) -> bytes:
    """libsodium's moderate cost: 256 MiB and most of a second for every guess."""
    found: bytes = pwhash.argon2id.kdf(
        sodium.crypto_secretstream_xchacha20poly1305_KEYBYTES,
        passphrase.encode(),
        salt,
        opslimit=pwhash.argon2id.OPSLIMIT_MODERATE,
        memlimit=pwhash.argon2id.MEMLIMIT_MODERATE,
    )
    return found
