"""Tells plain JSON from other formats, and prepares the data of an entry for their renderers."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404
from django.utils.http import parse_header_parameters
from rest_framework.exceptions import APIException
from rest_framework.pagination import LimitOffsetPagination, PageNumberPagination
from rest_framework.renderers import BaseRenderer, JSONRenderer, TemplateHTMLRenderer
from rest_framework.request import Request, override_method
from rest_framework.utils.serializer_helpers import ReturnDict

from readcache.request.parameters import is_single

JSON_TYPE = "application/json"
# The state of these paginators can be restored without the rows.
KNOWN_PAGINATION = (PageNumberPagination.paginate_queryset, LimitOffsetPagination.paginate_queryset)


def is_plain_json(renderer: BaseRenderer, media_type: str) -> bool:
    """Whether the response is JSON without parameters such as ``indent``. A weight (``q``) does not count."""
    if not isinstance(renderer, JSONRenderer):
        return False
    name, parameters = parse_header_parameters(media_type)
    return name == JSON_TYPE and not parameters.keys() - {"q"}


def asks_for_plain_json(request: Request) -> bool:
    """After content negotiation."""
    return is_plain_json(request.accepted_renderer, request.accepted_media_type)


def json_body(view: Any, data: Any) -> bytes:
    renderer = next(each for each in view.get_renderers() if isinstance(each, JSONRenderer))
    return bytes(renderer.render(data, JSON_TYPE, view.get_renderer_context()))


def can_render_from_data(view: Any, data: Any, request: Request) -> bool:
    """Whether the renderer needs nothing of the view but its data and the state of its paginator."""
    # The view's own response names the template.
    if isinstance(request.accepted_renderer, TemplateHTMLRenderer):
        return False
    paginator = getattr(view, "paginator", None)
    if paginator is None or is_single(view):
        return True
    return type(paginator).paginate_queryset in KNOWN_PAGINATION and _is_page(data)


def restore_context(view: Any, data: Any, request: Request) -> Any:
    """The data with the context that it had in the view, for renderers that show more than the data."""
    if getattr(view, "paginator", None) is not None and _is_page(data):
        # Gives the paginator the state that it has after a list of this length was cut into pages.
        view.paginate_queryset(range(data["count"]))
    elif isinstance(data, dict) and hasattr(view, "retrieve") and _may_put(view, request):
        # The browsable API shows a form with the instance.
        with suppress(Http404):
            return ReturnDict(data, serializer=view.get_serializer(view.get_object()))
    return data


def _may_put(view: Any, request: Request) -> bool:
    if "PUT" not in view.allowed_methods:
        return False
    try:
        with override_method(view, request, "PUT") as put_request:
            view.check_permissions(put_request)
    except (APIException, PermissionDenied):
        return False
    return True


def _is_page(data: Any) -> bool:
    return isinstance(data, dict) and "count" in data and "results" in data
