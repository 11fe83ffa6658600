"""The engine's binding: the WebAssembly module run through wasmtime.

Each call runs in an instance of its own, so calls from several threads do not meet, and a call's
memory is gone when it ends. While the engine works, Python's global lock is released.
"""

from __future__ import annotations

import atexit
import functools
import logging
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sitecodec.errors import EngineError, ModelError, PayloadError, SitecodecError

if TYPE_CHECKING:
    import numpy as np
    import wasmtime
    from numpy.typing import NDArray

WASM = Path(__file__).with_name("engine.wasm")
DECODER = WASM.with_name("decoder.wasm")  # visitors' browsers run it, Python does not
_log = logging.getLogger("sitecodec")
MAX_PIXELS = 50_000_000
_MOST_KEPT, _MOST_KEPT_BYTES = 4, 32 << 20
STRIP_ROWS, STRIDE = 256, 16  # rows of a strip; pixels per latent, in x and in y

_ERRORS: dict[int, tuple[type[SitecodecError], str]] = {
    -1: (EngineError, "the engine ran out of memory: the picture is too large for it"),
    -2: (ModelError, "not a valid model file: install or pull the model again"),
    -3: (PayloadError, "not a .slat payload: the file does not begin with SLAT"),
    -4: (PayloadError, "payload of a newer format version: update sitecodec"),
    -5: (PayloadError, "payload of a codec that the engine does not know"),
    -6: (PayloadError, "payload made with another model: add that model, or encode again"),
    -7: (PayloadError, "payload over the size limit: 50 million pixels, and 4096 a byte"),
    -8: (PayloadError, "corrupt payload: checksum mismatch; encode the source again"),
    -9: (PayloadError, "corrupt payload: a value out of range; encode the source again"),
    -10: (EngineError, "the payload did not fit the space set aside for it"),
    -11: (EngineError, "a picture to score needs sides of 113 to 65536 pixels: report this"),
    -12: (EngineError, "a part to score lies outside of its picture: report this"),
    -13: (PayloadError, "the model asks for too much at this size: make the picture smaller"),
}


@dataclass(frozen=True)
class Models:
    """The bytes of a model's two files."""

    decoder: bytes
    encoder: bytes = b""


def decode(payload: bytes, models: Models, max_pixels: int = 0) -> NDArray[np.uint8]:
    """The picture of a `web` payload, uint8 sRGB: (height, width, 3), or with alpha 4 channels.

    Raises PayloadError for anything that is not a whole, valid payload of these models, and for
    more than `max_pixels`; without such a number, more than the format's limits.
    """
    with _loaded(models.decoder) as (engine, [model]):
        return read(engine, model, payload, max_pixels)


def read(engine: Session, model: int, payload: bytes, max_pixels: int = 0) -> NDArray[np.uint8]:
    """The result of `decode`, with a model loaded before, or 0 if the payload needs none."""
    import numpy as np

    decoder = engine.call("sc_open", model, engine.put(payload), len(payload), max_pixels)
    width, height = engine.call("sc_width", decoder), engine.call("sc_height", decoder)
    channels = engine.call("sc_channels", decoder)
    picture = np.empty((height, width, channels), np.uint8)
    strip = engine.call("sc_alloc", min(STRIP_ROWS, height) * width * channels)
    for top in range(0, height, STRIP_ROWS):
        rows = engine.call("sc_read", decoder, strip, min(STRIP_ROWS, height - top))
        data = engine.get(strip, rows * width * channels)
        picture[top : top + rows] = np.frombuffer(data, np.uint8).reshape(rows, width, channels)
    return picture


def encode_alpha(alpha: NDArray[np.uint8]) -> bytes:
    """The alpha section of a payload, of a (height, width) plane: 255 is opaque."""
    return _coded_alpha(alpha, 0)[0]


def eased_alpha(alpha: NDArray[np.uint8], slack: int) -> NDArray[np.uint8]:
    """A plane like a (height, width) one whose section is smaller.

    A bit less is worth a squared error of `slack`, at steep edges sixteen times that. Transparent
    and opaque pixels stay as they are.
    """
    return _coded_alpha(alpha, slack)[1]


def _coded_alpha(alpha: NDArray[np.uint8], slack: int) -> tuple[bytes, NDArray[np.uint8]]:
    import numpy as np

    height, width = alpha.shape
    capacity = height * width * 5 // 4 + 1024  # noise takes a little more than it has
    with session() as engine:
        plane = engine.put_array(alpha, np.uint8)
        section = engine.call("sc_alloc", capacity)
        size = engine.call("sc_alpha", plane, width, height, slack, section, capacity)
        coded = np.frombuffer(engine.get(plane, alpha.size), np.uint8)
        return engine.get(section, size), coded.reshape(height, width)


def encode(pixels: NDArray[np.uint8], models: Models, quality: float, strength: int = 0) -> bytes:
    """A payload of an (height, width, 3) uint8 sRGB picture at a quality of 0-100."""
    return encode_many(pixels, models, [quality], strength)[0]


def encode_many(
    pixels: NDArray[np.uint8], models: Models, qualities: list[float], strength: int = 0
) -> list[bytes]:
    """Payloads of one picture at several qualities; its analysis, most of the work, is shared."""
    with analysed(pixels, models, strength) as encode_at:
        return [encode_at(quality) for quality in qualities]


@contextmanager
def analysed(
    pixels: NDArray[np.uint8], models: Models, strength: int = 0
) -> Iterator[Callable[[float], bytes]]:
    """Analyse a picture once; yields what makes a payload of it for each quality it is given.

    With a `strength`, latents are rounded towards their predicted means where that saves more bits
    than it adds error: a bit may cost strength / 16384 squared quantisation steps, less in smooth
    blocks and more in texture. 0 rounds to the nearest.
    """
    import numpy as np

    height, width, _ = pixels.shape
    capacity = height * width + 65536  # the latents of pure noise take less than half of it
    with _loaded(models.encoder, models.decoder) as (engine, [model, decoder]):
        source = engine.put_array(pixels, np.uint8)
        analysis = engine.call("sc_analyse", model, source, width, height)
        buffer = engine.call("sc_alloc", capacity)
        mark = engine.call("sc_mark")

        def encode_at(quality: float) -> bytes:
            hundredths = round(quality * 100)
            size = engine.call(
                "sc_encode", analysis, decoder, hundredths, strength, buffer, capacity
            )
            payload = engine.get(buffer, size)
            engine.call("sc_release", mark)
            return payload

        yield encode_at


def analyse(pixels: NDArray[np.uint8], models: Models) -> NDArray[np.float32]:
    """The latents of a picture before they are quantised, (ceil(H/16), ceil(W/16), channels)."""
    import numpy as np

    height, width, _ = pixels.shape
    _, channels, bits = struct.unpack_from("<BHB", models.encoder, 5)
    rows, columns = -(-height // STRIDE), -(-width // STRIDE)
    with session() as engine:
        model = engine.load(models.encoder)
        source = engine.put_array(pixels, np.uint8)
        analysis = engine.call("sc_analyse", model, source, width, height)
        values = engine.get(engine.call("sc_analysed", analysis), rows * columns * channels * 2)
        fixed = np.frombuffer(values, np.int16).reshape(rows, columns, channels)
        return fixed.astype(np.float32) / np.float32(1 << bits)


def code(
    latents: NDArray[np.int16], width: int, height: int, models: Models, quality: float
) -> bytes:
    """A payload of quantised latents, (ceil(height/16), ceil(width/16), channels) int16.

    Raises ValueError for latents of another shape than the picture's size and the model ask for.
    """
    import numpy as np

    (channels,) = struct.unpack_from("<H", models.decoder, 6)
    if latents.shape != (-(-height // STRIDE), -(-width // STRIDE), channels):
        raise ValueError(f"latents of shape {latents.shape} for {width}x{height} pixels")
    capacity = height * width + 65536
    with session() as engine:
        decoder = engine.load(models.decoder)
        data = engine.put_array(latents, np.int16)
        buffer = engine.call("sc_alloc", capacity)
        hundredths = round(quality * 100)
        size = engine.call("sc_code", decoder, data, width, height, hundredths, buffer, capacity)
        return engine.get(buffer, size)


class Session:
    """One instance of the module: numbers in, numbers out, memory by pointer."""

    def __init__(self, wasm: Path = WASM) -> None:
        import wasmtime

        engine, module = _module(wasm)
        self._store = wasmtime.Store(engine)
        self._exports = wasmtime.Instance(self._store, module, []).exports(self._store)
        memory = self._exports["memory"]
        assert isinstance(memory, wasmtime.Memory)
        self._memory = memory

    @property
    def size(self) -> int:
        """Bytes of its memory."""
        return int(self._memory.data_len(self._store))

    def close(self) -> None:
        """Give its memory back."""
        self._store.close()

    def call(self, name: str, *arguments: int) -> int:
        """The unsigned result. Raises the error that a negative one stands for."""
        import wasmtime

        function = self._exports[name]
        assert isinstance(function, wasmtime.Func)
        # Pointers are unsigned; wasmtime takes 32-bit arguments as signed ones.
        signed = [value - (1 << 32) if value >= 1 << 31 else value for value in arguments]
        try:
            result = function(self._store, *signed)
        except (wasmtime.Trap, wasmtime.WasmtimeError) as error:
            reason = str(error).splitlines()[-1].strip()
            raise EngineError(f"the engine stopped in {name} ({reason}): report this") from error
        if isinstance(result, int) and -100 < result < 0:
            kind, message = _ERRORS.get(result, (EngineError, f"the engine answered {result}"))
            raise kind(message)
        if name == "sc_alloc" and not result:
            raise EngineError(_ERRORS[-1][1])
        return (result or 0) & 0xFFFFFFFF

    def put(self, data: bytes | memoryview) -> int:
        """A pointer to a copy of the data."""
        pointer = self.call("sc_alloc", len(data))
        self._memory.write(self._store, data, pointer)  # type: ignore[arg-type]
        return pointer

    def put_array(self, values: NDArray[Any], kind: type[Any]) -> int:
        """A pointer to a copy of an array's numbers, row after row, of a NumPy `kind`."""
        import numpy as np

        return self.put(np.ascontiguousarray(values, kind).data.cast("B"))

    def get(self, pointer: int, size: int) -> bytes:
        """A copy of a piece of memory."""
        return bytes(self._memory.read(self._store, pointer, pointer + size))

    def load(self, file: bytes) -> int:
        """A pointer to a parsed model file. Raises ModelError."""
        return self.call("sc_load", self.put(file), len(file))


_kept: dict[tuple[bytes, ...], list[tuple[Session, list[int], int]]] = {}
"""Sessions that wait for the next picture, by the models they hold, and the mark behind these."""


@contextmanager
def _loaded(*files: bytes) -> Iterator[tuple[Session, list[int]]]:
    """A session and pointers to the models of these files in it.

    Small pictures take little longer than their models take to be parsed. So a session that ends
    well is kept for another picture, unless a large one has made it large.
    """
    waiting = _kept.setdefault(files, [])
    try:
        session, pointers, mark = waiting.pop()
    except IndexError:
        session = Session()
        pointers = [session.load(file) for file in files]
        mark = session.call("sc_mark")
    try:
        yield session, pointers
        session.call("sc_release", mark)
    except BaseException:
        session.close()
        raise
    if session.size > _MOST_KEPT_BYTES or len(waiting) >= _MOST_KEPT:
        session.close()
    else:
        waiting.append((session, pointers, mark))


@atexit.register
def _close_kept() -> None:
    while _kept:
        for session, _, _ in _kept.popitem()[1]:
            session.close()


@contextmanager
def session(wasm: Path = WASM) -> Iterator[Session]:
    """An instance that is closed in the end."""
    opened = Session(wasm)
    try:
        yield opened
    finally:
        opened.close()


@functools.cache
def _warn_of_no_cache() -> None:
    """Say so, once for all modules."""
    _log.warning(
        "no folder to keep the compiled engine in (~/.cache/wasmtime), so each start compiles"
        " it; set XDG_CACHE_HOME to a folder to write to"
    )


@functools.cache
def _module(wasm: Path) -> tuple[wasmtime.Engine, wasmtime.Module]:
    import wasmtime

    config = wasmtime.Config()
    try:
        config.cache = True
    except wasmtime.WasmtimeError:  # no home, or one that cannot be written to
        _warn_of_no_cache()
        config = wasmtime.Config()
    engine = wasmtime.Engine(config)
    # Left to the interpreter's end, their finalisers would find wasmtime already gone.
    atexit.register(_module.cache_clear)
    try:
        return engine, wasmtime.Module.from_file(engine, str(wasm))
    except (OSError, wasmtime.WasmtimeError) as error:
        raise EngineError(f"cannot load {wasm.name}: reinstall sitecodec ({error})") from error
