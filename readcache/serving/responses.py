"""Builds HTTP responses from entries, by RFC 9110 (semantics), 9111 (caching) and 9211 (Cache-Status)."""

from __future__ import annotations

from functools import lru_cache

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.http import parse_etags
from rest_framework.response import Response

from readcache.conf import configuration
from readcache.storage.entries import Entry

# Clients may keep a copy but must ask before they use it, so that an invalidation reaches them.
CACHE_CONTROL = "no-cache"
VARY = "Accept, Accept-Encoding"
GZIP_SUFFIX = "-gzip"
STORABLE_HEADERS = {"content-type", "vary", "cache-control"}


def blank() -> HttpResponse:
    """A response with the headers that do not depend on an entry."""
    return HttpResponse(
        content_type="application/json", headers={"Cache-Control": CACHE_CONTROL, "Vary": VARY}
    )


def from_entry(
    request: HttpRequest, entry: Entry, *, status: str, now_ms: int, response: HttpResponse | None = None
) -> HttpResponse:
    """A 200 with the body of the entry, or a 304 if the client already has it.

    Completes ``response``, a ``blank()`` that was made earlier, or makes one. ``status`` goes into
    ``Cache-Status``.
    """
    response = response or blank()
    headers = response.headers
    gzipped = entry.compressed and accepts_gzip(request.META.get("HTTP_ACCEPT_ENCODING", ""))
    # A strong tag, and so a different one for each encoding: RFC 9110, section 8.8.3.3.
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
    # HEAD and 304 have the length that a 200 to GET would have: RFC 9110, section 8.6.
    headers["Content-Length"] = str(len(entry.payload) if gzipped else entry.body_length)
    headers["Cache-Status"] = f"{configuration().name}; {status}"
    headers["ETag"] = etag
    headers["Age"] = str(max(0, now_ms - entry.filled_at_ms) // 1000)
    return response


def add_cache_status(response: HttpResponseBase, *, status: str) -> None:
    """Complete a response that was not built from an entry: an error, or a page of the browsable API."""
    response.headers["Cache-Status"] = f"{configuration().name}; {status}"
    if "Cache-Control" not in response.headers:
        response.headers["Cache-Control"] = CACHE_CONTROL


def may_be_stored(response: HttpResponseBase) -> bool:
    """Whether it is a 200 of Django REST framework that a shared cache may store: RFC 9111, section 3."""
    if not isinstance(response, Response) or response.status_code != 200 or response.cookies:
        return False
    # An entry keeps no other headers, so its hits would lack them.
    if {name.lower() for name in response.headers} - STORABLE_HEADERS:
        return False
    varies = {name.strip().lower() for name in response.headers.get("Vary", "").split(",")}
    if varies - {"", "accept", "accept-encoding"}:
        return False
    directives = response.headers.get("Cache-Control", "").lower()
    return not any(word in directives for word in ("private", "no-store"))


@lru_cache(maxsize=256)
def accepts_gzip(header: str) -> bool:
    """Whether ``Accept-Encoding`` allows gzip, by name or else by "*": RFC 9110, section 12.5.3."""
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
