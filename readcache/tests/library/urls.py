"""The same endpoints twice: with their read caches, and below ``/uncached/`` without."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.urls import URLPattern, include, path

from library.views import AuthorViewSet, BookDetail, BookList, BookStatistics


def endpoints(**initkwargs: Any) -> list[URLPattern]:
    return [
        path("books/", BookList.as_view(**initkwargs)),
        path("books/statistics/", BookStatistics.as_view(**initkwargs)),
        path("books/<int:pk>/", BookDetail.as_view(**initkwargs)),
        path("authors/", AuthorViewSet.as_view({"get": "list"}, **initkwargs)),
        path("authors/<slug:slug>/", AuthorViewSet.as_view({"get": "retrieve"}, **initkwargs)),
    ]


urlpatterns = [
    path("", include(endpoints())),
    path("uncached/", include(endpoints(read_cache=None))),
    path("admin/", admin.site.urls),
    path("api-auth/", include("rest_framework.urls")),
]
