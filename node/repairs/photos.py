"""Photos of a request: read for what they are, made anew without metadata, kept in the database.

What arrives is decoded and written again as JPEG, so that neither the place and camera that a
phone writes into a picture nor anything hidden in the file reaches the house. The name and the
type that the sender claims are never looked at.
"""

import hashlib
import io
import threading
from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session, defer

from node.kernel.errors import DomainError, IdReused
from node.kernel.ports import Clock
from node.repairs import service
from node.repairs.model import Photo

SENT_BYTES_MAX = 8_000_000  # of one photo as it arrives
PHOTOS_AT_ONCE_MAX = 3  # in one form
PHOTOS_MAX = 12  # of one request
PIXELS_MAX = 50_000_000  # before decoding: a small file can claim to be a huge picture
SIDE_PIXELS_MAX, PREVIEW_PIXELS_MAX = 1_600, 480
QUALITY = 82
FORMATS = ("JPEG", "PNG", "WEBP")  # what a picture may be, judged by its content
MEDIA_TYPE = "image/jpeg"  # what it always becomes


class PhotoUnreadable(DomainError):
    code = "repairs.photo_unreadable"
    message = "This is no photo that can be read here: JPEG, PNG or WebP is needed."


class PhotoTooLarge(DomainError):
    code = "repairs.photo_too_large"
    message = "A photo may have {megabytes} MB and {megapixels} million pixels at most."


class TooManyPhotos(DomainError):
    code = "repairs.too_many_photos"
    message = "A request has {most} photos at most."


class UnknownPhoto(DomainError):
    code = "repairs.photo_not_found"
    message = "There is no such photo."


class Made(NamedTuple):
    """A picture made anew, and what it was made from."""

    sent_sha256: str
    content: bytes
    preview: bytes
    width: int
    height: int


_one_at_a_time = threading.Lock()  # a decoded photo takes up to 200 MB for a moment


def make(sent: bytes) -> Made:
    """The picture in these bytes, made anew. Slow: call it in a thread, outside the write path."""
    if len(sent) > SENT_BYTES_MAX:
        raise _too_large()
    with _one_at_a_time:
        picture = _decoded(sent)
        large, small = picture, picture.copy()
        large.thumbnail((SIDE_PIXELS_MAX, SIDE_PIXELS_MAX))
        small.thumbnail((PREVIEW_PIXELS_MAX, PREVIEW_PIXELS_MAX))
        digest = hashlib.sha256(sent).hexdigest()
        return Made(digest, _jpeg(large), _jpeg(small), large.width, large.height)


def _decoded(sent: bytes) -> Any:
    """Upright RGB pixels and nothing else."""
    from PIL import Image, ImageOps  # lazily: most nodes serve most days without a photo

    try:
        with Image.open(io.BytesIO(sent), formats=FORMATS) as opened:
            if opened.width * opened.height > PIXELS_MAX:
                raise _too_large()
            opened.draft("RGB", (SIDE_PIXELS_MAX, SIDE_PIXELS_MAX))
            upright = ImageOps.exif_transpose(opened)
            pixels = upright.convert("RGBA" if upright.mode in ("P", "LA", "PA") else upright.mode)
            plain = Image.new("RGB", pixels.size, "white")
            mask = pixels.getchannel("A") if pixels.mode == "RGBA" else None
            plain.paste(pixels.convert("RGB"), mask=mask)
            return plain
    except DomainError:
        raise
    except Exception as problem:  # a broken picture breaks decoders in many ways
        raise PhotoUnreadable from problem


def _jpeg(picture: Any) -> bytes:
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=QUALITY, optimize=True, exif=b"")
    return out.getvalue()


def _too_large() -> PhotoTooLarge:
    megapixels = PIXELS_MAX // 1_000_000
    return PhotoTooLarge(megabytes=SENT_BYTES_MAX // 1_000_000, megapixels=megapixels)


def add(
    session: Session, clock: Clock, *, photo_id: UUID, request_id: int, made: Made, added_by: str
) -> Photo:
    """Keep a photo with its request. The same id and bytes finds the first one."""
    service.find(session, request_id)
    known = session.get(Photo, photo_id)
    if known is not None:
        if (known.request_id, known.sent_sha256) != (request_id, made.sent_sha256):
            raise IdReused(id=str(photo_id))
        return known
    count = select(func.count()).where(Photo.request_id == request_id)
    if session.scalars(count).one() >= PHOTOS_MAX:
        raise TooManyPhotos(most=PHOTOS_MAX)
    photo = Photo(
        id=photo_id,
        request_id=request_id,
        sent_sha256=made.sent_sha256,
        content=made.content,
        preview=made.preview,
        width=made.width,
        height=made.height,
        added_by=added_by,
        added_at=clock.now(),
    )
    session.add(photo)
    session.flush()
    return photo


def photos_of(session: Session, request_id: int) -> Sequence[Photo]:
    """A request's photos, oldest first; their bytes are not read."""
    query = select(Photo).where(Photo.request_id == request_id)
    lean = query.options(defer(Photo.content), defer(Photo.preview))
    return session.scalars(lean.order_by(Photo.added_at, Photo.id)).all()


def find(session: Session, *, request_id: int, photo_id: UUID) -> Photo:
    """One photo of this very request; refuses any other."""
    photo = session.get(Photo, photo_id)
    if photo is None or photo.request_id != request_id:
        raise UnknownPhoto
    return photo
