from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    # URLs are matched in this order, so the busiest come first.
    path("", include("catalog.urls")),
    path("admin/", admin.site.urls),
    path("api-auth/", include("rest_framework.urls")),
]
