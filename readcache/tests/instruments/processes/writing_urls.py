"""URLs at which a worker writes."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.urls import path

from library import views  # noqa: F401 - what they declare
from library.models import Book


def write(request: HttpRequest, title: str) -> HttpResponse:
    """Gives each book the title, except for "nothing"."""
    if title != "nothing":
        Book.objects.update(title=title)
    return HttpResponse(title)


urlpatterns = [path("<str:title>/", write)]
