"""The HTTP answer to a cached read, per RFC 9110 (semantics), 9111 (caching) and 9211 (Cache-Status)."""

from __future__ import annotations

from functools import lru_cache

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.http import parse_etags

from readcache.conf import configuration
from readcache.storage.entries import Entry

# Clients may keep a copy but must ask, so that an invalidation reaches everyone.
CACHE_CONTROL = "no-cache"
VARY = "Accept, Accept-Encoding"
GZIP_SUFFIX = "-gzip"


def blank() -> HttpResponse:
    """What of an answer does not depend on the entry."""
    return HttpResponse(
        content_type="application/json", headers={"Cache-Control": CACHE_CONTROL, "Vary": VARY}
    )


def answer(
    request: HttpRequest, entry: Entry, *, status: str, now_ms: int, response: HttpResponse | None = None
) -> HttpResponse:
    """A 200 with the entry's body, or a 304 where the client has it already.

    ``response`` is a ``blank()`` one that was made before.
    """
    response = response or blank()
    headers = response.headers
    gzipped = entry.compressed and accepts_gzip(request.META.get("HTTP_ACCEPT_ENCODING", ""))
    # Strong, and so another for each encoding: RFC 9110, section 8.8.3.3.
    etag = f'"{entry.digest.hex()}{GZIP_SUFFIX if gzipped else ""}"'
    condition = request.META.get("HTTP_IF_NONE_MATCH")
    if condition is not None and matches(condition, etag):
        response.status_code = 304
        del headers["Content-Type"]
    else:
        if request.method != "HEAD":
            response.content = entry.payload if gzipped else entry.body
        if gzipped:
            headers["Content-Encoding"] = "gzip"
    # For HEAD and 304 the length that the 200 to a GET would have: RFC 9110, section 8.6.
    headers["Content-Length"] = str(len(entry.payload) if gzipped else entry.body_length)
    headers["Cache-Status"] = f"{configuration().name}; {status}"
    headers["ETag"] = etag
    headers["Age"] = str(max(0, now_ms - entry.filled_at_ms) // 1000)
    return response


def add_cache_status(response: HttpResponseBase, *, status: str) -> None:
    """Say how an answer came about that is not made from an entry: an error, or a page for one user."""
    response.headers["Cache-Status"] = f"{configuration().name}; {status}"
    if "Cache-Control" not in response.headers:
        response.headers["Cache-Control"] = CACHE_CONTROL


@lru_cache(maxsize=256)
def accepts_gzip(header: str) -> bool:
    """RFC 9110, section 12.5.3: gzip is named, or else "*", with a weight of more than 0."""
    weights: dict[str, float] = {}
    for element in header.lower().split(","):
        coding, *parameters = (part.strip() for part in element.split(";"))
        weight = 1.0
        for parameter in parameters:
            name, _, value = parameter.partition("=")
            if name.strip() == "q":
                weight = _weight(value.strip())
        weights["gzip" if coding == "x-gzip" else coding] = weight
    return weights.get("gzip", weights.get("*", 0.0)) > 0


def _weight(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def matches(condition: str, etag: str) -> bool:
    """Whether ``If-None-Match`` names the tag, by weak comparison: RFC 9110, section 13.1.2."""
    named = parse_etags(condition)
    return named == ["*"] or any(tag.removeprefix("W/") == etag for tag in named)
