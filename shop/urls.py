from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    # The busiest first: URLs are matched in this order.
    path("", include("catalog.urls")),
    path("admin/", admin.site.urls),
    path("api-auth/", include("rest_framework.urls")),
]
